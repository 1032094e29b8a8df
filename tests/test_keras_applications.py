"""`keras.applications` by name: weights, head and preprocessing."""

import types

import keras
import numpy as np
import pytest

from keras_aib import zoo
from keras_aib.models import AIBClassifier
from keras_aib.zoo.sources.keras_applications import PREFIX
from keras_aib.zoo.sources.keras_applications import list_applications

MODULES = [
    value
    for value in vars(keras.applications).values()
    if isinstance(value, types.ModuleType)
]
ONE_OF_EACH = ["ResNet50", "MobileNetV2", "DenseNet121", "EfficientNetB0"]


def own_preprocessing(name):
    title = name.removeprefix(PREFIX)
    if title.startswith("MobileNetV3"):
        return keras.applications.mobilenet_v3.preprocess_input
    module = next(m for m in MODULES if hasattr(m, title))
    return module.preprocess_input


def random_pixels(size=8):
    return np.random.default_rng(0).integers(0, 256, (2, size, size, 3))


def stand_in(**received):
    """A tiny network with the constructors' signature, and its record."""

    def constructor(
        weights=None,
        include_top=True,
        input_shape=None,
        classifier_activation="softmax",
    ):
        received.update(weights=weights, include_top=include_top)
        default = (16, 16, 3) if include_top else (None, None, 3)
        inputs = keras.Input(input_shape or default)
        x = keras.layers.Conv2D(4, 3, 2, "same", name="features")(inputs)
        if include_top:
            x = keras.layers.GlobalAveragePooling2D()(x)
            x = keras.layers.Dense(5, classifier_activation)(x)
        return keras.Model(inputs, x, name="stand_in")

    return constructor, received


@pytest.mark.once
def test_lists_every_model():
    names = list_applications()
    assert len(names) >= 40
    assert f"{PREFIX}ResNet50" in names
    assert not [name for name in names if not name.startswith(PREFIX)]


@pytest.mark.parametrize("name", list_applications())
def test_preprocesses_as_the_family_does(name):
    pixels = random_pixels()
    layer = zoo.preprocessor(name)
    received = keras.ops.convert_to_numpy(layer(pixels.astype("uint8")))
    expected = own_preprocessing(name)(pixels.astype("float32"))
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("title", ONE_OF_EACH)
def test_preprocessing_is_saved_with_a_model(title, tmp_path):
    layer = zoo.preprocessor(PREFIX + title)
    pixels = keras.Input((8, 8, 3))
    keras.Model(pixels, layer(pixels)).save(tmp_path / "m.keras")
    reloaded = keras.models.load_model(tmp_path / "m.keras")
    images = random_pixels().astype("float32")
    np.testing.assert_array_equal(
        reloaded.predict(images, verbose=0),
        keras.ops.convert_to_numpy(layer(images)),
    )


@pytest.mark.parametrize("title", ["ResNet50", "DenseNet121"])
def test_preprocessing_keeps_float32_under_mixed_precision(title):
    keras.config.set_dtype_policy("mixed_bfloat16")
    pixels = random_pixels()
    received = zoo.preprocessor(PREFIX + title)(pixels.astype("float32"))
    assert keras.backend.standardize_dtype(received.dtype) == "float32"
    expected = own_preprocessing(title)(pixels.astype("float32"))
    received = keras.ops.convert_to_numpy(received)
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=2e-5)


def test_backbone_has_weights_and_no_head(monkeypatch):
    constructor, received = stand_in()
    monkeypatch.setattr(keras.applications, "ResNet50", constructor)
    backbone = zoo.load_backbone(f"{PREFIX}ResNet50")
    assert received == {"weights": "imagenet", "include_top": False}
    assert backbone.output_shape == (None, None, None, 4)
    sized = zoo.load_backbone(f"{PREFIX}ResNet50", image_size=(32, 48))
    assert sized.output_shape == (None, 16, 24, 4)


def test_classifier_takes_pixels_gives_logits(monkeypatch, tmp_path):
    constructor, received = stand_in()
    monkeypatch.setattr(keras.applications, "ResNet50", constructor)
    model = zoo.load_classifier(f"{PREFIX}ResNet50")
    assert received == {"weights": "imagenet", "include_top": True}
    assert model.name == "resnet50_imagenet"
    pixels = random_pixels(16)
    logits = model.predict(pixels.astype("uint8"), verbose=0)
    assert logits.shape == (2, 5)
    assert np.abs(logits.sum(-1) - 1).min() > 1e-3
    scaled = own_preprocessing("ResNet50")(pixels.astype("float32"))
    expected = model.get_layer("stand_in").predict(scaled, verbose=0)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "m.keras")
    reloaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        reloaded.predict(pixels, verbose=0), logits, atol=1e-4
    )


def test_real_model_takes_attention(monkeypatch):
    real = keras.applications.MobileNet

    def without_weights(weights, **arguments):
        assert weights == "imagenet"
        return real(weights=None, alpha=0.25, **arguments)

    monkeypatch.setattr(keras.applications, "MobileNet", without_weights)
    name = f"{PREFIX}MobileNet"
    model = AIBClassifier(
        zoo.load_backbone(name, image_size=32),
        num_classes=2,
        attention_layer="conv_pw_5_relu",
        latent_dim=4,
        preprocessor=zoo.preprocessor(name),
    )
    pixels = random_pixels(32).astype("float32")
    assert model.predict(pixels, verbose=0).shape == (2, 2)
    assert model.attention(pixels)["mean"].shape == (2, 4, 4)


@pytest.mark.once
@pytest.mark.parametrize(
    "load", [zoo.load_backbone, zoo.load_classifier, zoo.preprocessor]
)
def test_unknown_name_lists_near_names(load):
    with pytest.raises(ValueError, match=r"keras\.applications/ResNet50"):
        load(f"{PREFIX}ResNet5")


@pytest.mark.once
@pytest.mark.parametrize(
    "failure",
    [
        Exception("URL fetch failure on https://storage/resnet50.h5: None"),
        ValueError("Incomplete or corrupted file detected."),
        TimeoutError("timed out"),
    ],
)
@pytest.mark.parametrize("load", [zoo.load_backbone, zoo.load_classifier])
def test_failed_download_names_the_remedy(monkeypatch, failure, load):
    def fail(**arguments):
        raise failure

    monkeypatch.setattr(keras.applications, "ResNet50", fail)
    with pytest.raises(OSError, match=r"KERAS_HOME/models") as caught:
        load(f"{PREFIX}ResNet50")
    assert str(failure) in str(caught.value)
    assert caught.value.__cause__ is failure


def test_a_wrong_argument_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(
        keras.applications,
        "VGG16",
        lambda weights, **arguments: keras.applications.VGG19(
            weights=None, **arguments
        ),
    )
    with pytest.raises(ValueError, match="at least 32x32"):
        zoo.load_backbone(f"{PREFIX}VGG16", image_size=16)


def test_model_of_unknown_preprocessing_is_refused(monkeypatch):
    monkeypatch.setattr(
        keras.applications, "NewNet", stand_in()[0], raising=False
    )
    with pytest.raises(ValueError, match=r"not known how .*NewNet"):
        zoo.preprocessor(f"{PREFIX}NewNet")
