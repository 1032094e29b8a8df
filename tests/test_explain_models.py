"""`keras-aib explain` of the models that people have."""

import re

import keras
import numpy as np
import pytest
from command_runs import run
from keras import layers
from PIL import Image

from keras_aib import zoo
from keras_aib.runs import model_source
from keras_aib.runs.model_source import ModelSource
from keras_aib.utils.requirements import require

SIZE = 12
# Of a black image these are what the model gives.
LOGITS = (3.0, 2.0, -3.0)
SIGMOIDS = 1 / (1 + np.exp(-np.array(LOGITS)))
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum()


def small(num_outputs=3, activation=None, loss=None, **options):
    pixels = keras.Input((SIZE, SIZE, 3), **options)
    x = layers.AveragePooling2D(2, name="features")(pixels)
    x = layers.GlobalAveragePooling2D()(x)
    dense = layers.Dense(
        num_outputs,
        activation=activation,
        kernel_initializer=keras.initializers.RandomNormal(stddev=1e-6),
        bias_initializer=lambda shape, dtype: keras.ops.convert_to_tensor(
            LOGITS[: shape[0]], dtype
        ),
    )
    outputs = dense(x)
    dense.bias_initializer = keras.initializers.Zeros()
    model = keras.Model(pixels, outputs)
    if loss is not None:
        model.compile(loss=loss)
    return model


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for shade in (0, 1, 2):
        Image.new("RGB", (20, 20), (shade,) * 3).save(folder / f"{shade}.png")
    return folder


def explain(model, photos, output, *more, code=0):
    path = output.parent / "model.keras"
    model.save(path)
    return run(
        *("explain", path, "--images", photos, "--output", output),
        *("--layer", "features", *more),
        code=code,
    )


def cells(output):
    page = (output / "index.html").read_text()
    ((names, shares), *_) = re.findall(
        r"<td>([\d<>br]+)</td><td class='number'>(.*?)</td></tr>", page
    )
    shares = [float(x.rstrip("%")) / 100 for x in shares.split("<br>")]
    return dict(zip(map(int, names.split("<br>")), shares, strict=True))


BINARY = keras.losses.BinaryCrossentropy(from_logits=True)


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "more", "expected"),
    [
        ({}, (), {0: SOFTMAX[0]}),
        ({"activation": "softmax"}, (), {0: SOFTMAX[0]}),
        ({"activation": "sigmoid"}, (), dict(enumerate(SIGMOIDS[:2]))),
        ({"loss": BINARY}, (), dict(enumerate(SIGMOIDS[:2]))),
        ({"num_outputs": 1}, (), {1: SIGMOIDS[0]}),
        ({"num_outputs": 1, "activation": "sigmoid"}, (), {1: SIGMOIDS[0]}),
        (
            {},
            ("--output-kind", "label_logits"),
            dict(enumerate(SIGMOIDS[:2])),
        ),
    ],
)
def test_the_page_says_what_the_model_says(
    photos, tmp_path, options, more, expected
):
    output = tmp_path / "maps"
    explain(small(**options), photos, output, *more)
    assert cells(output) == pytest.approx(expected, abs=1e-3)


def test_what_nothing_tells_is_asked_for(photos, tmp_path):
    model = small(activation="softplus")
    result = explain(model, photos, tmp_path / "maps", code=1)
    assert "Pass `--output-kind`" in result.output
    assert not (tmp_path / "maps").exists()


@keras.saving.register_keras_serializable("test_explain_models")
class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = small(activation="sigmoid")

    def call(self, images):
        return self.inner(images)


def test_a_trained_subclass(photos, tmp_path):
    model = Subclassed()
    model.compile("sgd", "binary_crossentropy")
    model.fit(np.zeros((2, SIZE, SIZE, 3)), np.ones((2, 3)), verbose=0)
    model.save(tmp_path / "model.keras")
    source = ModelSource(tmp_path / "model.keras")
    assert source.find_image_size() == (SIZE, SIZE)
    pixels = np.zeros((2, SIZE, SIZE, 3))
    np.testing.assert_allclose(
        source.classifier.predict(pixels, verbose=0),
        model.predict(pixels, verbose=0),
        atol=1e-6,
    )


@pytest.mark.once
def test_names_that_python_knows(monkeypatch, tmp_path):
    asked = []

    def load_classifier(name):
        asked.append(name)
        return small()

    monkeypatch.setattr(zoo, "load_classifier", load_classifier)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "preset").mkdir()
    text = '{"module": "keras_hub.src.models.vit", "class_name": "ViT"}'
    (tmp_path / "preset" / "config.json").write_text(text)
    names = ["keras.applications/ResNet50", "hf://timm/resnet18", "preset"]
    for name in names:
        result = run("explain", name, "--list-layers")
        assert result.output.splitlines()[-1] == "features  6 x 6 x 3"
    assert asked == names
    result = run("explain", "no/such", "--list-layers", code=1)
    assert "There is no model no/such" in result.output


@pytest.mark.once
def test_a_model_that_cannot_be_loaded(monkeypatch, tmp_path):
    path = tmp_path / "model.keras"
    small().save(path)
    content = bytearray(path.read_bytes())
    content[100:200] = bytes(100)
    (tmp_path / "torn.keras").write_bytes(content)
    result = run("explain", tmp_path / "torn.keras", "--list-layers", code=1)
    assert "torn.keras cannot be loaded as a Keras model" in result.output

    def load_model(path, compile):
        require("keras_hub.no_such_module", "Loading")

    monkeypatch.setattr(keras.saving, "load_model", load_model)
    monkeypatch.setattr(model_source, "is_installed", lambda name: False)
    result = run("explain", path, "--list-layers", code=1)
    assert f"The model {path} needs keras-hub. Install it" in result.output
