"""LiteRT, the former TensorFlow Lite: for phones and small devices."""

import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.export.export_error import ExportError
from keras_aib.export.export_format import ExportFormat
from keras_aib.export.export_format import Runtime
from keras_aib.export.saved_model import SIGNATURE


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
        representative_images: np.ndarray | None,
    ) -> None:
        import tensorflow as tf

        operators = tf.lite.OpsSet.TFLITE_BUILTINS
        target: dict[str, Any] = {}
        options: dict[str, Any] = {}
        if quantization is not None:
            options["optimizations"] = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            target["supported_types"] = [tf.float16]
        if representative_images is not None:
            operators = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            options["representative_dataset"] = functools.partial(
                _one_by_one, representative_images
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

    def load(self, path: Path, num_threads: int = 1) -> Runtime:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path), num_threads=num_threads)
        # The only list of a file's operators that the runtime offers.
        operators = Counter(
            details["op_name"] for details in interpreter._get_ops_details()
        )
        foreign = sorted(name for name in operators if name.startswith("Flex"))
        if foreign:
            raise ExportError(
                f"the file needs TensorFlow's own operators {foreign}, which "
                "LiteRT does not have"
            )
        runner = interpreter.get_signature_runner(SIGNATURE)
        dtype = runner.get_input_details()["images"]["dtype"]

        def run(images: np.ndarray) -> dict[str, np.ndarray]:
            if dtype == np.uint8:
                images = np.rint(images)
            return runner(images=images.astype(dtype))

        return Runtime(run, dict(operators))


def _one_by_one(images: np.ndarray) -> Iterator[list[np.ndarray]]:
    for index, image in enumerate(images):
        if index == 0:
            # The range that is seen here becomes that of uint8. With a black
            # and a white value in it, uint8 pixels mean what they say.
            image = image.copy()
            image.flat[:2] = 0.0, 255.0
        yield [image[None]]
