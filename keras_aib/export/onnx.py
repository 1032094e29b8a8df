"""ONNX: for onnxruntime on servers, and in the browser."""

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.export.export_format import ExportFormat

OPSET = 18


class Onnx(ExportFormat):
    """One `.onnx` file of standard operators."""

    name = "onnx"
    suffix = ".onnx"
    quantizations = ("int8",)
    packages = ("onnx", "onnxruntime")
    backends = ("tensorflow", "jax", "torch")

    def can_write(self, backend: str, quantization: str | None) -> bool:
        # In the graphs of the others BatchNormalization is not part of the
        # convolutions: rounded to int8 between them, it costs ten points of
        # accuracy and more.
        return backend == "tensorflow" or (
            quantization is None and super().can_write(backend, quantization)
        )

    def write(
        self,
        deployed: keras.Model,
        path: Path,
        quantization: str | None,
        representative_batches: Sequence[np.ndarray] | None,
    ) -> None:
        if representative_batches is None:
            _convert(deployed, path)
            return
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            full = Path(folder, "full.onnx")
            _convert(deployed, full)
            _quantize(full, path, representative_batches)


def _convert(deployed: keras.Model, path: Path) -> None:
    import onnx

    names = list(deployed.output)
    # A list has an order on every backend; a dictionary's may be sorted.
    listed = keras.Model(
        deployed.input, [deployed.output[name] for name in names]
    )
    if keras.config.backend() == "tensorflow":
        _convert_tensorflow(listed, path)
    else:
        with _without_gradients(listed):
            listed.export(
                path,
                format="onnx",
                verbose=False,
                input_signature=[listed.inputs[0]],
                opset_version=OPSET,
            )
    model = onnx.load(str(path))
    _rename(model.graph, ["images"], names)
    for value in (*model.graph.input, *model.graph.output):
        if deployed.input_shape[0] is None:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


@contextlib.contextmanager
def _without_gradients(model: keras.Model) -> Iterator[None]:
    """Torch's tracer takes variables of nested layers only without gradient."""
    held = [
        variable.value
        for variable in model.variables
        if getattr(variable.value, "requires_grad", False)
    ]
    for tensor in held:
        tensor.requires_grad_(False)
    try:
        yield
    finally:
        for tensor in held:
            tensor.requires_grad_(True)


def _convert_tensorflow(listed: keras.Model, path: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    # Keras's own export cannot be given the operator that GELU needs.
    signature = [tf.TensorSpec(listed.input_shape, tf.float32, name="images")]
    function = tf.function(
        functools.partial(listed, training=False), input_signature=signature
    )
    model, _ = tf2onnx.convert.from_function(
        function,
        signature,
        opset=OPSET,
        custom_op_handlers={"Erfc": (_write_erfc, [])},
    )
    _fix_constants(model.graph, function.get_concrete_function())
    path.write_bytes(model.SerializeToString())


def _fix_constants(graph: Any, concrete_function: Any) -> None:
    """Put in the tensors that a layer holds without a variable.

    The converter makes further inputs of them, as of the mean and variance of
    `keras.layers.Normalization`.
    """
    from onnx import numpy_helper

    held = {
        inner.name: outer for outer, inner in concrete_function.graph.captures
    }
    for value in list(graph.input):
        if value.name in held:
            array = held[value.name].numpy()
            graph.initializer.append(numpy_helper.from_array(array, value.name))
            graph.input.remove(value)


def _write_erfc(context: Any, node: Any, name: str, arguments: Any) -> None:
    """`Erfc`, which ONNX does not have, as `1 - Erf`."""
    inputs, outputs = list(node.input), list(node.output)
    shapes = [context.get_shape(output) for output in outputs]
    dtypes = [context.get_dtype(output) for output in outputs]
    context.remove_node(node.name)
    erf = context.make_node("Erf", inputs, shapes=shapes, dtypes=dtypes)
    one = context.make_const(f"{name}_one", np.array(1, "float32"))
    context.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=outputs,
        name=name,
        shapes=shapes,
        dtypes=dtypes,
    )


def _rename(graph: Any, inputs: list[str], outputs: list[str]) -> None:
    """Give inputs and outputs the names that the user knows."""
    received = [value.name for value in (*graph.input, *graph.output)]
    renamed = dict(zip(received, [*inputs, *outputs], strict=True))
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = renamed[value.name]


def _quantize(
    full: Path, path: Path, representative_batches: Sequence[np.ndarray]
) -> None:
    from onnxruntime import quantization

    prepared = full.with_name("prepared.onnx")
    quantization.quant_pre_process(
        str(full), str(prepared), skip_symbolic_shape=True
    )

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter(representative_batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    quantization.quantize_static(
        str(prepared),
        str(path),
        Reader(),
        per_channel=True,
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
