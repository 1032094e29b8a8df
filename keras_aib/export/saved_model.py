"""TensorFlow's SavedModel: for TF Serving, and what LiteRT is made from."""

import functools
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.export.export_format import ExportFormat
from keras_aib.export.export_format import Runtime

SIGNATURE = "serving_default"


class SavedModel(ExportFormat):
    """A folder with the graph and its variables."""

    name = "tf_saved_model"
    suffix = ""

    def write(
        self,
        deployed: keras.Model,
        path: Path,
        quantization: str | None,
        representative_images: np.ndarray | None,
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

    def load(self, path: Path, num_threads: int = 1) -> Runtime:
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures[SIGNATURE]

        # The signature does not keep the model alive that owns its variables.
        def run(images: np.ndarray, owner: Any = loaded) -> dict[str, Any]:
            outputs = signature(images=tf.constant(images))
            return {name: value.numpy() for name, value in outputs.items()}

        graph = signature.graph.as_graph_def()
        nodes = [*graph.node]
        for function in graph.library.function:
            nodes += function.node_def
        return Runtime(run, dict(Counter(node.op for node in nodes)))

    def files(self, path: Path) -> tuple[Path, ...]:
        return (path,)

    def metadata_path(self, path: Path) -> Path:
        return path / "keras_aib.json"
