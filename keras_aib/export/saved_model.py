"""TensorFlow's SavedModel: for TF Serving, and what LiteRT is made from."""

import functools
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_aib.export.export_format import ExportFormat
from keras_aib.export.runtimes import SIGNATURE


class SavedModel(ExportFormat):
    """A folder with the graph and its variables."""

    name = "tf_saved_model"
    suffix = ""

    def write(
        self,
        deployed: keras.Model,
        path: Path,
        quantization: str | None,
        representative_batches: Sequence[np.ndarray] | None,
    ) -> None:
        import tensorflow as tf

        # Keras's own export stores every variable twice, and the state of the
        # random generators with them, which inference has no use for.
        shape, dtype = deployed.input_shape, deployed.inputs[0].dtype
        serve = tf.function(
            functools.partial(deployed, training=False),
            input_signature=[tf.TensorSpec(shape, dtype, name="images")],
        ).get_concrete_function()
        module = tf.Module()
        module.used_variables = list(serve.graph.variables)
        tf.saved_model.save(module, str(path), signatures={SIGNATURE: serve})

    def files(self, path: Path) -> tuple[Path, ...]:
        # By name: beside them stand labels, assets and other versions.
        return (
            self.metadata_path(path),
            path / "fingerprint.pb",
            *sorted((path / "variables").glob("variables.*")),
            path / "saved_model.pb",
        )

    def metadata_path(self, path: Path) -> Path:
        return path / "keras_aib.json"
