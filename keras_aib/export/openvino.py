"""OpenVINO: for Intel's processors."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_aib.export.export_format import ExportFormat
from keras_aib.export.onnx import Onnx


class OpenVino(ExportFormat):
    """An `.xml` file with the graph, and its weights in `.bin` beside it."""

    name = "openvino"
    suffix = ".xml"
    quantizations = ("float16",)
    packages = ("openvino", *Onnx.packages)
    backends = Onnx.backends

    def write(
        self,
        deployed: keras.Model,
        path: Path,
        quantization: str | None,
        representative_batches: Sequence[np.ndarray] | None,
    ) -> None:
        import openvino

        # By way of ONNX: one path for all backends, and none of OpenVINO's
        # own readers of them, which each name things in their own way.
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            onnx_path = Path(folder, "model.onnx")
            Onnx().write(deployed, onnx_path, None, None)
            openvino.save_model(
                # Not `convert_model`, which reports its use over the network.
                openvino.Core().read_model(onnx_path),
                path,
                compress_to_fp16=quantization == "float16",
            )

    def files(self, path: Path) -> tuple[Path, ...]:
        weights = path.with_suffix(".bin")
        return (self.metadata_path(path), weights, path)
