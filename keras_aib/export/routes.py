"""Who can write a format: the running backend, or TensorFlow next door."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras_aib.export.conversion import FORMATS
from keras_aib.export.conversion import Conversion
from keras_aib.export.conversion import convert
from keras_aib.export.export_format import ExportFormat
from keras_aib.export.tensorflow_process import convert_with_tensorflow
from keras_aib.export.tensorflow_process import has_tensorflow
from keras_aib.utils.requirements import install_command

LONGEST = 1000


@dataclass(frozen=True)
class Route:
    """A way to write a file.

    Attributes:
        name: What to call it before a user.
        convert: Takes model, deployed model, its options and the conversion,
            and writes the file.
    """

    name: str
    convert: Callable[..., None]


def find_routes(
    form: ExportFormat, quantization: str | None = None
) -> list[Route]:
    """Ways to write a format, the one to try first in front.

    Raises:
        ImportError: If packages are missing; names the extra.
    """
    backend = keras.config.backend()
    routes = []
    if form.can_write(backend, quantization):
        routes.append(Route(backend, _convert_here))
    if backend != "tensorflow" and has_tensorflow():
        routes.append(
            Route("TensorFlow in a process of its own", _convert_elsewhere)
        )
    if not routes:
        kind = f"{quantization} {form.name}" if quantization else form.name
        raise ImportError(
            f"The {backend} backend cannot write {kind}, so TensorFlow "
            "does it in a process of its own, but it is not installed. "
            f"Install it with `{install_command('tensorflow', 'export')}`. "
            f"This backend writes by itself: {_written_by(backend)}."
        )
    form.check_packages()
    return routes


def told(error: Exception) -> str:
    """What an error says, with its kind, and not at every length."""
    text = str(error).strip()
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} ..."
    return f"{type(error).__name__}: {text}"


def _written_by(backend: str) -> list[str]:
    return [form.name for form in FORMATS.values() if backend in form.backends]


def _convert_here(
    model: keras.Model,
    deployed: keras.Model,
    options: dict[str, Any],
    conversion: Conversion,
) -> None:
    convert(deployed, conversion)


def _convert_elsewhere(
    model: keras.Model,
    deployed: keras.Model,
    options: dict[str, Any],
    conversion: Conversion,
) -> None:
    convert_with_tensorflow(model, options, conversion)
