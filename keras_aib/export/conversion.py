"""One conversion, as it is asked for and as it came out."""

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_aib.export.export_error import ExportError
from keras_aib.export.export_format import ExportFormat
from keras_aib.export.litert import LiteRT
from keras_aib.export.onnx import Onnx
from keras_aib.export.openvino import OpenVino
from keras_aib.export.saved_model import SavedModel

RANDOM = re.compile("random|multinomial|bernoulli", re.IGNORECASE)
FORMATS: dict[str, ExportFormat] = {
    file_format.name: file_format
    for file_format in (SavedModel(), LiteRT(), Onnx(), OpenVino())
}


@dataclass(frozen=True)
class Conversion:
    """What to write, and what to try it on.

    Attributes:
        format: A key of `FORMATS`.
        quantization: One of the format's, or `None`.
        path: The file or folder to write.
        batches: Pixels to run the file on when it is written.
        representative_images: Pixels to calibrate int8 with.
    """

    format: str
    quantization: str | None
    path: Path
    batches: tuple[np.ndarray, ...]
    representative_images: np.ndarray | None = None


@dataclass(frozen=True)
class Converted:
    """What the file, loaded by its runtime, made of the batches.

    Attributes:
        outputs: The outputs by name, for each batch.
        operators: How often each operator occurs in the file.
    """

    outputs: list[dict[str, np.ndarray]]
    operators: dict[str, int]


def convert(deployed: keras.Model, conversion: Conversion) -> Converted:
    """Write a file in this process, load it, and run it on the batches.

    Args:
        deployed: What `deployed_model` made.
        conversion: What to write.
    """
    file_format = FORMATS[conversion.format]
    with quiet():
        file_format.write(
            deployed,
            conversion.path,
            conversion.quantization,
            conversion.representative_images,
        )
        runtime = file_format.load(conversion.path)
        _check_operators(runtime.operators)
        outputs = [runtime.run(batch) for batch in conversion.batches]
    return Converted(outputs, runtime.operators)


def _check_operators(operators: dict[str, int]) -> None:
    drawing = [name for name in operators if RANDOM.search(name)]
    if drawing:
        raise ExportError(
            f"the file draws random numbers: it holds the operators {drawing}. "
            "A layer of the model samples at inference; `seed_generator`s are "
            "for training only"
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence converters, which warn and print about their own insides."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
