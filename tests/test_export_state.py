"""The file against `predict` of the very model: state that is no weight."""

import keras
import numpy as np
import pytest
from exportable import HAS_TENSORFLOW
from exportable import make_images

from keras_aib.export import ExportError
from keras_aib.export import export
from keras_aib.export.conversion import FORMATS
from keras_aib.export.single_precision import in_single_precision

SHAPE = (16, 16, 3)
IMAGES = make_images(8)


@keras.saving.register_keras_serializable(package="test_export_state")
class Remembering(keras.layers.Layer):
    """Keeps the mean of the pixels as it likes, in no weight."""

    mean = 0.0

    def call(self, inputs):
        return (inputs - self.mean) / 64.0

    def save_own_variables(self, store):
        store["mean"] = np.array(self.mean)

    def load_own_variables(self, store):
        self.mean = float(np.array(store["mean"]))


def normalization():
    layer = keras.layers.Normalization()
    layer.adapt(IMAGES)
    return layer


def remembering():
    layer = Remembering()
    layer.mean = 120.0
    return layer


def discretization():
    layer = keras.layers.Discretization(num_bins=4)
    layer.adapt(IMAGES)
    return layer


def nested():
    inputs = keras.Input(SHAPE)
    layer = keras.Model(inputs, normalization()(inputs), name="inner")
    return keras.Sequential([keras.Input(SHAPE), layer], name="outer")


def classifier(first):
    inputs = keras.Input(SHAPE)
    x = keras.ops.cast(first()(inputs), "float32")
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(5, dtype="float32")(x)
    return keras.Model(inputs, keras.layers.Softmax(dtype="float32")(4 * x))


@keras.saving.register_keras_serializable(package="test_export_state")
class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.layer = keras.layers.Normalization()
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.dense = keras.layers.Dense(5)

    def call(self, inputs):
        return self.dense(self.pool(self.layer(inputs)))


def assert_file_is_what_predict_gives(model, path, tolerance, **options):
    result = export(
        model, path, outputs=["probabilities"], images=IMAGES, **options
    )
    predicted = np.asarray(
        keras.ops.convert_to_numpy(model.predict(IMAGES, verbose=0)), "float32"
    )
    if options:
        predicted = keras.ops.convert_to_numpy(keras.ops.softmax(predicted))
    if result.format in ("onnx", "openvino", "litert"):
        outputs = FORMATS[result.format].load(path).run(IMAGES)
        difference = np.abs(outputs["probabilities"] - predicted).max()
        assert difference < tolerance
        # And that is what the report says.
        said = result.max_difference["probabilities"]
        assert said == pytest.approx(difference, abs=1e-4)
    assert result.max_difference["probabilities"] < tolerance
    return result


@pytest.mark.parametrize(
    "first, policy, tolerance",
    [
        (normalization, "float32", 1e-4),
        (normalization, "mixed_bfloat16", 0.05),
        (normalization, "mixed_float16", 0.01),
        (nested, "mixed_bfloat16", 0.05),
        (remembering, "mixed_bfloat16", 0.05),
        pytest.param(
            *(discretization, "mixed_bfloat16", 0.05), marks=pytest.mark.slow
        ),
    ],
)
def test_state_that_is_no_weight(first, policy, tolerance, tmp_path):
    if first is discretization and not HAS_TENSORFLOW:
        pytest.skip("Keras's own layer needs TensorFlow")
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = classifier(first)
        name = "model.onnx"
        if first is discretization and keras.config.backend() == "tensorflow":
            # Its operator is one that ONNX does not have.
            name = "model"
        # Whatever the policy is by then.
        result = assert_file_is_what_predict_gives(
            model, tmp_path / name, tolerance
        )
        assert keras.config.dtype_policy().name == policy
    finally:
        keras.config.set_dtype_policy("float32")
    half = policy.removeprefix("mixed_")
    assert result.compute_dtype == half
    assert (f"the model computes in {half}" in str(result)) == (
        half != "float32"
    )


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TENSORFLOW, reason="TensorFlow writes them")
@pytest.mark.parametrize("name", ["model", "model.tflite"])
def test_state_in_the_files_of_tensorflow(name, tmp_path):
    model = classifier(normalization)
    assert_file_is_what_predict_gives(model, tmp_path / name, 1e-4)


def test_a_copy_that_is_not_the_model_is_no_file(tmp_path, monkeypatch):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = classifier(remembering)
    finally:
        keras.config.set_dtype_policy("float32")
    monkeypatch.setattr(Remembering, "load_own_variables", lambda *args: None)
    with pytest.raises(ExportError, match="the file and the model differ"):
        export(
            model,
            tmp_path / "model.onnx",
            outputs=["probabilities"],
            images=IMAGES,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_trained_subclass_is_wrapped(tmp_path):
    keras.utils.set_random_seed(0)
    model = Subclassed()
    model.layer.adapt(IMAGES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    model.fit(IMAGES, np.arange(8) % 5, verbose=0)
    assert_file_is_what_predict_gives(
        model, tmp_path / "model.onnx", 1e-4, batch_size=8
    )


def test_layers_that_only_this_program_knows_are_copied():
    class Unknown(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    inputs = keras.Input(SHAPE, dtype="float32")
    doubled = Unknown(dtype="mixed_bfloat16")(inputs)
    copy = in_single_precision(keras.Model(inputs, doubled))
    assert copy.layers[-1].compute_dtype == "float32"
    np.testing.assert_array_equal(copy.predict(IMAGES, verbose=0), 2 * IMAGES)
