"""Every classifier of the zoo builds, and `zoo.load` says what it cannot do."""

import keras
import numpy as np
import pytest
import skimage.data

from keras_aib import zoo
from keras_aib.models import AIBClassifier
from keras_aib.zoo import ModelConfig
from keras_aib.zoo import loading
from keras_aib.zoo import registry
from keras_aib.zoo.recipes.results import read_rows

INITIALIZERS = (
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
)
# Counts know no backend; that each architecture builds is asked of all.
ONE_OF_EACH = (
    "aib_deit_tiny.imagenet",
    "aib_densenet121.imagenet",
    "aib_efficientnet_lite0.cifar10",
    "aib_vgg16",
    "aib_vgg32",
    "aib_wrn28_10",
    "aib_wrn50_2_continuous",
)
SHALLOW = "aib_vgg32_continuous"
TRAINED = "aib_efficientnet_lite0.cifar10"


@pytest.fixture
def zero_weights(monkeypatch):
    """Random values take most of the time on JAX, and nothing looks at them."""
    for name in INITIALIZERS:
        monkeypatch.setattr(
            getattr(keras.initializers, name),
            "__call__",
            lambda self, shape, dtype=None, **kwargs: keras.ops.zeros(
                shape, dtype
            ),
        )


def count_trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[] if name in ONE_OF_EACH else pytest.mark.once
        )
        for name in zoo.list_models("aib_*")
    ],
)
def test_every_model_builds_with_the_stated_parameters(name, zero_weights):
    config = zoo.info(name)
    model = zoo.load(name, num_classes=config.num_classes, weights=None)
    assert isinstance(model, AIBClassifier)
    assert count_trainable(model) == config.parameters
    assert model.input_shape == (None, *config.image_size, 3)
    assert model.output_shape == (None, config.num_classes)
    quantizer = model.attention_block.quantizer
    assert (None if quantizer is None else quantizer.num_anchors) == (
        config.num_anchors
    )


@pytest.mark.once
def test_the_zoo_is_as_large_as_it_says():
    names = zoo.list_models()
    assert len(names) == len(set(names)) >= 20
    with_weights = [
        name
        for name in names
        if not isinstance(zoo.info(name), ModelConfig)
        or zoo.info(name).has_weights
    ]
    assert len(with_weights) >= 6
    assert zoo.list_models("aib_vgg32*") == [
        "aib_vgg32",
        "aib_vgg32_continuous",
    ]


@pytest.mark.large
def test_the_trained_model_tells_pictures_apart():
    model = zoo.load(TRAINED)
    assert count_trainable(model) == zoo.info(TRAINED).parameters
    chelsea = skimage.data.chelsea()[:300, 75:375].astype("float32")
    image = keras.ops.image.resize(chelsea[None], (96, 96))
    logits = model.predict(keras.ops.convert_to_numpy(image), verbose=0)
    assert zoo.info(TRAINED).class_names[int(logits.argmax())] == "cat"
    again = AIBClassifier.from_preset(TRAINED, num_classes=4)
    assert again.output_shape == (None, 4)


@pytest.mark.large
def test_the_trained_model_is_settled():
    with pytest.raises(ValueError, match="settled"):
        zoo.load(TRAINED, beta=0.1)
    with pytest.raises(ValueError, match="image_size"):
        zoo.load(TRAINED, image_size=64)


@pytest.mark.once
def test_results_are_those_of_the_file():
    results = zoo.info(TRAINED).results
    rows = [
        float(row["value"])
        for row in read_rows()
        if row["experiment"] == "shipped" and row["metric"] == "accuracy"
    ]
    assert results["accuracy"] == pytest.approx(rows[0])
    assert zoo.info(SHALLOW).results == {}


@pytest.mark.once
@pytest.mark.parametrize("name", zoo.list_models("aib_*"))
def test_names_end_in_the_origin_of_the_weights(name):
    config = zoo.info(name)
    assert config.has_weights == ("." in name)
    assert bool(config.licence) == bool(config.origin) == config.has_weights


@pytest.mark.once
def test_a_plain_name_is_referred_to_the_right_function():
    with pytest.raises(ValueError, match=r"zoo\.load_backbone"):
        zoo.load("efficientnet_lite0.imagenet", num_classes=3)
    with pytest.raises(ValueError, match=r"zoo\.load"):
        zoo.load_backbone("aib_efficientnet_lite0.imagenet")


@pytest.mark.once
def test_an_unknown_name_gets_near_names():
    with pytest.raises(ValueError, match="aib_resnet50"):
        zoo.load("aib_resnet_50.imagenet", num_classes=3)


def test_missing_weights_are_not_replaced_in_silence():
    with pytest.raises(ValueError, match="weights=None"):
        zoo.load(SHALLOW, num_classes=3)


def test_the_number_of_classes_is_needed_where_nothing_is_trained():
    with pytest.raises(ValueError, match="num_classes"):
        zoo.load(SHALLOW, weights=None)


def tiny_config(**changes):
    def build(image_size):
        images = keras.Input((*image_size, 3))
        x = keras.layers.Conv2D(4, 3, name="convolution")(images)
        return keras.Model(images, x)

    return ModelConfig(
        name="aib_tiny",
        build_backbone=build,
        image_size=(16, 16),
        options={"attention_layer": "convolution", "latent_dim": 4},
        **changes,
    )


@pytest.fixture
def tiny(monkeypatch):
    config = tiny_config()
    monkeypatch.setitem(registry.MODELS, config.name, config)
    return config.name


def test_options_replace_those_of_the_zoo(tiny):
    model = zoo.load(
        tiny, 3, weights=None, image_size=20, latent_dim=6, num_anchors=None
    )
    assert model.input_shape == (None, 20, 20, 3)
    assert model.bottleneck.latent_dim == 6
    assert model.attention_block.quantizer is None


def test_weights_of_ones_own_are_loaded(tiny, tmp_path):
    first = zoo.load(tiny, 3, weights=None)
    path = tmp_path / "own.weights.h5"
    first.save_weights(path)
    second = zoo.load(tiny, 3, weights=path)
    for expected, received in zip(
        first.get_weights(), second.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(received, expected)
    with pytest.raises(ValueError, match="do not fit"):
        zoo.load(tiny, 5, weights=path)
    with pytest.raises(FileNotFoundError, match="missing"):
        zoo.load(tiny, 3, weights=tmp_path / "missing.weights.h5")
    with pytest.raises(ValueError, match="load_model"):
        zoo.load(tiny, 3, weights=tmp_path / "model.keras")


def test_pretrained_weights_are_taken_over(monkeypatch):
    config = tiny_config(pretrained="other", copies_weights=True)
    monkeypatch.setitem(registry.MODELS, config.name, config)
    source = config.build_backbone((16, 16))
    asked = []
    monkeypatch.setattr(
        loading,
        "load_backbone",
        lambda name, size: asked.append((name, size)) or source,
    )
    model = zoo.load(config.name, 3)
    assert asked == [("other", (16, 16))]
    assert model.backbone is not source
    np.testing.assert_array_equal(
        model.backbone.get_weights()[0], source.get_weights()[0]
    )


def test_a_preset_keeps_its_half_precision(tiny, tmp_path):
    model = zoo.load(tiny, 3, weights=None)
    model.save_to_preset(tmp_path / "full")
    model.save_to_preset(tmp_path / "half", half_precision=True)
    again = AIBClassifier.from_preset(tmp_path / "half")
    for expected, received in zip(
        model.get_weights(), again.get_weights(), strict=True
    ):
        if expected.ndim > 1:
            expected = expected.astype("float16").astype("float32")
        np.testing.assert_array_equal(received, expected)
