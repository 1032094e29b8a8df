"""Which models can be exported, and with which inputs and outputs."""

import itertools

import keras
import numpy as np
import pytest
from exportable import HAS_TENSORFLOW
from exportable import IMAGE_SIZE
from exportable import NUM_CLASSES
from exportable import make_images
from exportable import make_model

from keras_aib.export import ExportError
from keras_aib.export import export
from keras_aib.export.deployed_model import OUTPUTS
from keras_aib.export.deployed_model import deployed_model
from keras_aib.export.image_source import MOST_IMAGES
from keras_aib.export.image_source import first_images
from keras_aib.export.litert import LiteRT
from keras_aib.export.onnx import Onnx
from keras_aib.export.single_precision import in_single_precision
from keras_aib.models import AIBClassifier

SHAPE = (IMAGE_SIZE, IMAGE_SIZE, 3)


def predict(model, images):
    return {
        name: keras.ops.convert_to_numpy(array)
        for name, array in model.predict_on_batch(images).items()
    }


def softmax(logits):
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def test_every_output():
    model, images = make_model(), make_images()
    outputs = predict(deployed_model(model, OUTPUTS), images)
    logits = model.predict(images, verbose=0)
    maps = model.attention(images)
    expected = {
        "probabilities": softmax(logits),
        "logits": logits,
        "attention": maps["quantized"],
        "attention_mean": maps["mean"],
        "attention_stddev": maps["stddev"],
    }
    assert set(outputs) == set(OUTPUTS)
    for name, array in expected.items():
        np.testing.assert_allclose(outputs[name], array, atol=1e-5)


def test_continuous_scores():
    model, images = make_model(num_anchors=None), make_images()
    outputs = predict(deployed_model(model, ["attention"]), images)
    np.testing.assert_allclose(
        outputs["attention"], model.attention(images)["mean"], atol=1e-6
    )


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_model_with_an_activation_of_its_own(activation):
    model, images = make_model(activation=activation), make_images()
    outputs = predict(deployed_model(model, ["probabilities"]), images)
    np.testing.assert_allclose(
        outputs["probabilities"], model.predict(images, verbose=0), atol=1e-6
    )
    with pytest.raises(ValueError, match=f"ends in {activation}"):
        deployed_model(model, ["logits"])


def test_channels_first_models_take_images_as_they_are():
    if keras.config.backend() == "tensorflow":
        # Its CPU kernels have no channels_first convolution to compare with.
        assert deployed_model(
            make_model(channels_first=True), ["attention"]
        ).input_shape == (None, *SHAPE)
        return
    model, images = make_model(channels_first=True), make_images()
    outputs = predict(deployed_model(model, ["logits", "attention"]), images)
    turned = images.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(
        outputs["logits"], model.predict(turned, verbose=0), atol=1e-5
    )
    np.testing.assert_allclose(
        outputs["attention"], model.attention(turned)["quantized"], atol=1e-5
    )


def test_a_model_that_takes_any_size():
    model = make_model(side=None)
    with pytest.raises(ValueError, match=r"image_size=\(height, width\)"):
        deployed_model(model, ["attention"])
    deployed = deployed_model(model, ["attention"], image_size=(20, 12))
    assert deployed.input_shape == (None, 20, 12, 3)
    assert deployed.output["attention"].shape == (None, 10, 6)


def test_a_preprocessor_that_resizes_fixes_the_size():
    pixels = keras.Input((8, 8, 3))
    backbone = keras.Model(pixels, keras.layers.Conv2D(4, 3)(pixels))
    model = AIBClassifier(
        backbone, NUM_CLASSES, preprocessor=keras.layers.Resizing(8, 8)
    )
    assert model.input_shape == (None, None, None, 3)
    deployed = deployed_model(model, ["logits"])
    assert deployed.input_shape == (None, 8, 8, 3)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_exported_in_float32(tmp_path, precision):
    keras.config.set_dtype_policy(precision)
    model = make_model()
    keras.config.set_dtype_policy("float32")
    full, images = make_model(), make_images()
    full.set_weights(model.get_weights())
    assert model.compute_dtype != "float32" or any(
        layer.compute_dtype != "float32" for layer in model.layers
    )
    export(model, tmp_path / "model.onnx", images=images)
    outputs = Onnx().load(tmp_path / "model.onnx").run(images)
    np.testing.assert_allclose(
        outputs["probabilities"],
        softmax(full.predict(images, verbose=0)),
        atol=1e-5,
    )


def test_single_precision_stays_as_it_is():
    model = make_model()
    assert in_single_precision(model) is model


def test_a_plain_classifier(tmp_path):
    inputs = keras.Input(SHAPE)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    plain = keras.Model(inputs, keras.layers.Dense(4, name="logits")(x))
    result = export(
        plain, tmp_path / "plain.onnx", outputs=["probabilities", "logits"]
    )
    images = make_images()
    outputs = Onnx().load(result.path).run(images)
    logits = plain.predict(images, verbose=0)
    np.testing.assert_allclose(outputs["logits"], logits, atol=1e-5)
    np.testing.assert_allclose(
        outputs["probabilities"], softmax(logits), atol=1e-5
    )


def test_a_fixed_batch_takes_no_other(tmp_path):
    model, images = make_model(), make_images(3)
    result = export(model, tmp_path / "model.onnx", batch_size=2, images=images)
    # Three images in batches of two: the first comes again.
    assert result.num_images + result.num_ties == 4
    run = Onnx().load(result.path).run
    assert run(images[:2])["attention"].shape[0] == 2
    with pytest.raises(Exception, match="Got: 3 Expected: 2"):
        run(images)


def test_a_fixed_batch_in_litert(tmp_path):
    if keras.config.backend() != "tensorflow" or not HAS_TENSORFLOW:
        assert LiteRT.backends == ("tensorflow",)
        return
    model, images = make_model(), make_images(4)
    path = tmp_path / "model.tflite"
    export(model, path, batch_size=2, images=images)
    run = LiteRT().load(path).run
    whole = LiteRT().load(path).run(images[:2])
    np.testing.assert_allclose(
        whole["probabilities"],
        softmax(model.predict(images[:2], verbose=0)),
        atol=1e-5,
    )
    try:
        other = run(images)["probabilities"]
    except (RuntimeError, ValueError):
        return
    np.testing.assert_allclose(
        other, softmax(model.predict(images, verbose=0)), atol=1e-5
    )


def test_not_more_images_than_needed():
    endless = ((make_images(), index) for index in itertools.count())
    received = first_images("images", endless, SHAPE)
    assert received.dtype == np.float32
    assert len(received) == MOST_IMAGES
    np.testing.assert_array_equal(received[: len(make_images())], make_images())
    assert next(endless)[1] < MOST_IMAGES


def test_a_layer_that_only_this_program_knows(tmp_path):
    class Unknown(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2.0

    if keras.config.backend() == "tensorflow" or not HAS_TENSORFLOW:
        return
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(Unknown()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(ExportError, match="TensorFlow in a process of its own"):
        export(model, tmp_path / "m.tflite", outputs=["probabilities"])
    assert list(tmp_path.iterdir()) == []
