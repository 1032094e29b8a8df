"""What `export` refuses, and that nothing half written remains."""

import dataclasses
import errno
import shutil
import sys

import keras
import numpy as np
import pytest
from exportable import make_images
from exportable import make_model

from keras_aib.export import ExportError
from keras_aib.export import export
from keras_aib.export import routes
from keras_aib.export.file_process import run_file
from keras_aib.export.litert import LiteRT
from keras_aib.export.onnx import Onnx


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def alone(monkeypatch):
    """Without TensorFlow to go to when the backend's own way fails."""
    monkeypatch.setattr(routes, "has_tensorflow", lambda: False)


@pytest.mark.once
@pytest.mark.parametrize(
    "options, message",
    [
        ({"format": "tflite"}, r"'litert'.* Received: format='tflite'"),
        ({"path": "model.pb"}, r"tells no format.* \.tflite \(litert\)"),
        ({"format": "litert"}, r"must end in \.tflite"),
        ({"format": "tf_saved_model"}, "it is a folder"),
        ({"quantization": "int4"}, "onnx must be None or 'int8'"),
        ({"quantization": "float16"}, "Formats that can be quantized"),
        ({"quantization": "int8"}, "needs `representative_data`"),
        ({"outputs": "probabilities"}, "a list of different names"),
        ({"outputs": ["heat"]}, "a list of different names"),
        ({"outputs": ["logits", "logits"]}, "a list of different names"),
        ({"batch_size": 0}, "must be a positive integer"),
        ({"class_names": ["one"]}, "the 3 classes.*Received: 1 names"),
        ({"image_size": (8, 8)}, r"images of \(16, 16\) pixels"),
        ({"images": np.zeros((0, 16, 16, 3))}, "gave no images"),
        ({"images": np.zeros((2, 8, 8, 3))}, "The backbone was built for"),
        ({"images": np.full((1, 16, 16, 3), 0.5)}, r"pixels 0\.\.255"),
        ({"images": np.full((1, 16, 16, 3), -1.0)}, r"pixels 0\.\.255"),
        ({"images": np.full((1, 16, 16, 3), np.nan)}, "NaN"),
    ],
)
def test_bad_options(model, tmp_path, options, message):
    options = {"path": "model.onnx", **options}
    path = tmp_path / options.pop("path")
    with pytest.raises(ValueError, match=message):
        export(model, path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
def test_images_that_are_none(model, tmp_path):
    with pytest.raises(TypeError, match="must be an array of images"):
        export(model, tmp_path / "model.onnx", images="photos/")


@pytest.mark.once
def test_no_keras_model(tmp_path):
    with pytest.raises(TypeError, match="must be a Keras model"):
        export(lambda images: images, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "layers, message",
    [
        ([keras.layers.Dense(3)], "was never built"),
        ([keras.Input((4,)), keras.layers.Dense(3)], "one input, images"),
        ([keras.Input((4, 4, 3)), keras.layers.Dense(3)], "one output"),
    ],
)
def test_no_classifier(tmp_path, layers, message):
    with pytest.raises(ValueError, match=message):
        export(keras.Sequential(layers), tmp_path / "model.onnx")


def test_attention_of_a_plain_classifier(tmp_path):
    plain = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    with pytest.raises(ValueError, match=r"outputs=\('probabilities',\)"):
        export(plain, tmp_path / "model.onnx")


@pytest.mark.once
def test_a_path_that_is_taken(model, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export(model, path)
    assert path.read_text() == "precious"
    export(model, path, overwrite=True)
    assert Onnx().load(path).operators
    assert {file.name for file in tmp_path.iterdir()} == {
        "model.onnx",
        "model.onnx.json",
    }


@pytest.mark.once
def test_a_folder_of_something_else_is_never_replaced(model, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"precious")
    if routes.has_tensorflow():
        with pytest.raises(FileExistsError, match="no export has made"):
            export(model, folder, format="tf_saved_model", overwrite=True)
    assert (folder / "cat.jpg").read_bytes() == b"precious"


@pytest.mark.once
def test_a_path_below_a_file(model, tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OSError, match="file"):
        export(model, tmp_path / "file" / "model.onnx")
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.once
def test_a_disk_without_room(model, tmp_path, monkeypatch):
    nothing_free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: nothing_free)
    with pytest.raises(OSError, match="Make room, or choose another disk"):
        export(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
def test_a_disk_that_fills_up(model, tmp_path, monkeypatch):
    def fill(self, deployed, path, quantization, representative_batches):
        path.write_bytes(b"the first half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    path = tmp_path / "model.onnx"
    path.write_text("before")
    monkeypatch.setattr(Onnx, "write", fill)
    with pytest.raises(OSError, match="No space left") as caught:
        export(model, path, overwrite=True)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def lie(monkeypatch, change):
    """A file that gives something else than what was written."""
    # The package has a function of the module's name.
    module = sys.modules["keras_aib.export.export"]

    def run(*arguments):
        truth = run_file(*arguments)
        changed = [change(batch) for batch in truth.batches]
        return dataclasses.replace(
            truth, batches=changed, names=tuple(changed[0])
        )

    monkeypatch.setattr(module, "run_file", run)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda outputs: outputs | {"attention": outputs["attention"] + 0.1},
            r"the file and the model differ .* 'attention': largest .* 0\.1",
        ),
        (
            lambda outputs: {"attention": outputs["attention"]},
            "'probabilities' of the file has shape None, expected",
        ),
        (
            lambda outputs: {x: y[:1] for x, y in outputs.items()},
            r"has shape \(4, 3\)|has shape \(2, 3\), expected \(4, 3\)",
        ),
        (
            lambda outputs: {x: y * np.nan for x, y in outputs.items()},
            "is not finite",
        ),
    ],
)
def test_a_file_that_is_not_the_model(
    model, tmp_path, monkeypatch, alone, change, message
):
    lie(monkeypatch, change)
    path = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match=message) as caught:
        export(model, path)
    assert "nothing was written" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_tolerance(model, tmp_path, monkeypatch, alone):
    def shift(outputs):
        return {name: array + 0.01 for name, array in outputs.items()}

    lie(monkeypatch, shift)
    result = export(model, tmp_path / "model.onnx", tolerance=0.02)
    assert result.max_difference["probabilities"] == pytest.approx(
        0.01, abs=1e-5
    )


def test_a_file_that_does_not_load(model, tmp_path, monkeypatch, alone):
    def scribble(self, deployed, path, quantization, representative_batches):
        path.write_bytes(b"no model at all")

    monkeypatch.setattr(Onnx, "write", scribble)
    path = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match="not exported to onnx") as caught:
        export(model, path)
    # The path that the user knows, not where it was tried.
    assert str(path) in str(caught.value)
    assert "-export" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Noisy(keras.layers.Layer):
    """Draws anew at every call, training or not."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, inputs):
        return inputs + keras.random.normal((1, 12), seed=self.seeds)


def test_a_model_that_samples_at_inference(tmp_path, alone):
    inputs = keras.Input((2, 2, 3))
    noisy = Noisy()(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(noisy))
    with pytest.raises(ExportError, match="not exported to onnx"):
        export(model, tmp_path / "model.onnx", outputs=["logits"])
    assert list(tmp_path.iterdir()) == []


class InverseErrorFunction(keras.layers.Layer):
    """An operator that TensorFlow has and LiteRT has not."""

    def call(self, inputs):
        return keras.ops.erfinv(inputs / 512)


def test_operators_that_only_tensorflow_has(tmp_path, alone):
    if keras.config.backend() != "tensorflow":
        assert "tensorflow" in LiteRT.backends
        return
    inputs = keras.Input((2, 2, 3))
    x = keras.layers.Flatten()(InverseErrorFunction()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(
        ExportError, match=r"(?s)not exported to litert.*Erfinv"
    ):
        export(model, tmp_path / "model.tflite", outputs=["logits"])
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_missing(model, tmp_path, monkeypatch):
    monkeypatch.setattr(Onnx, "packages", ("onnx", "no_such_package"))
    with pytest.raises(ImportError, match="pip install no-such-package"):
        export(model, tmp_path / "model.onnx")


def test_where_tensorflow_is_missing(model, tmp_path, alone):
    if keras.config.backend() == "tensorflow":
        names = [route.name for route in routes.find_routes(Onnx())]
        assert names == ["tensorflow"]
        return
    with pytest.raises(
        ImportError, match=r"pip install tensorflow.*'onnx', 'openvino'"
    ):
        export(model, tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


def test_overwrite_is_refused_before_anything_is_done(model, tmp_path):
    (tmp_path / "model.onnx.json").write_text("precious")
    with pytest.raises(FileExistsError, match=r"model\.onnx\.json"):
        export(model, tmp_path / "model.onnx", images=make_images())
