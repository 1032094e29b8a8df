"""LiteRT, the former TensorFlow Lite: for phones and small devices."""

import functools
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.export.export_format import ExportFormat


class LiteRT(ExportFormat):
    """One `.tflite` file of builtin operators."""

    name = "litert"
    suffix = ".tflite"
    quantizations = ("float16", "dynamic_range", "int8")
    packages = ("ai_edge_litert",)

    def write(
        self,
        deployed: keras.Model,
        path: Path,
        quantization: str | None,
        representative_batches: Sequence[np.ndarray] | None,
    ) -> None:
        import tensorflow as tf

        operators = tf.lite.OpsSet.TFLITE_BUILTINS
        target: dict[str, Any] = {}
        options: dict[str, Any] = {}
        if quantization is not None:
            options["optimizations"] = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            target["supported_types"] = [tf.float16]
        if representative_batches is not None:
            operators = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            options["representative_dataset"] = functools.partial(
                _as_arguments, representative_batches
            )
            options["inference_input_type"] = tf.uint8
        # Without TensorFlow's own operators, which a phone does not have.
        target["supported_ops"] = [operators]
        deployed.export(
            path,
            format="litert",
            verbose=False,
            target_spec=target,
            **options,
        )
        _order_outputs(path, list(deployed.output))


def _as_arguments(batches: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    for index, batch in enumerate(batches):
        if index == 0:
            # The range that is seen here becomes that of uint8. With a black
            # and a white value in it, uint8 pixels mean what they say.
            batch = batch.copy()
            batch.flat[:2] = 0.0, 255.0
        yield [batch]


def _order_outputs(path: Path, names: Sequence[str]) -> None:
    """Bring the outputs, which TensorFlow sorts by name, into an order.

    Many programs take the first output for the classes. The signature finds
    its tensors by their index, so that only one list of the file changes.
    """
    from ai_edge_litert.schema_py_generated import Model

    content = bytearray(path.read_bytes())
    model = Model.GetRootAs(content)
    signature = model.SignatureDefs(0)
    tensors = {
        output.Name().decode(): output.TensorIndex()
        for output in map(signature.Outputs, range(signature.OutputsLength()))
    }
    ordered = [tensors[name] for name in names]
    # A view of the file's bytes.
    outputs = model.Subgraphs(signature.SubgraphIndex()).OutputsAsNumpy()
    if sorted(outputs) == sorted(ordered):
        outputs[:] = ordered
        path.write_bytes(content)
