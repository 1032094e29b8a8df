"""One conversion: which format writes what, and where."""

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
    """What to write.

    Attributes:
        format: A key of `FORMATS`.
        quantization: One of the format's, or `None`.
        path: The file or folder to write.
        calibration: Pixels to calibrate int8 with.
    """

    format: str
    quantization: str | None
    path: Path
    calibration: np.ndarray | None = None


def convert(deployed: keras.Model, conversion: Conversion) -> None:
    """Write a file in this process.

    Args:
        deployed: What `deployed_model` made.
        conversion: What to write.
    """
    representative_batches = None
    if conversion.calibration is not None:
        # Images one by one, where the model is not made for more at once.
        size = deployed.input_shape[0] or 1
        representative_batches = in_batches(conversion.calibration, size)
    with quiet():
        FORMATS[conversion.format].write(
            deployed,
            conversion.path,
            conversion.quantization,
            representative_batches,
        )


def in_batches(array: np.ndarray, size: int) -> list[np.ndarray]:
    """Batches of one size; the last is filled up with the first entries."""
    whole = -(-len(array) // size) * size
    filled = array[np.arange(whole) % len(array)]
    return [filled[start : start + size] for start in range(0, whole, size)]


def check_operators(operators: dict[str, int]) -> None:
    """Refuse a file that gives something else at every call.

    Raises:
        ExportError: If an operator draws random numbers.
    """
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
