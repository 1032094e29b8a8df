"""Options that several commands have."""

import os
import sys
from typing import Any

import click

from keras_aib.utils.requirements import is_installed
from keras_aib.utils.requirements import missing_package

BACKENDS = ("tensorflow", "jax", "torch")


class ImageSize(click.ParamType):
    """`224`, or `224x320` for height and width."""

    name = "PIXELS"

    def convert(self, value: Any, param: Any, context: Any) -> tuple[int, int]:
        sides = str(value).lower().split("x")
        if not all(side.isdecimal() and int(side) for side in sides) or (
            len(sides) > 2
        ):
            self.fail(
                f"{value!r} is no image size. Expected a number of pixels, "
                "such as 224, or height x width, such as 224x320.",
                param,
                context,
            )
        return int(sides[0]), int(sides[-1])


def use_backend(backend: str | None) -> None:
    """Go on with another Keras backend, in a new process if need be.

    Keras fixes its backend when it is imported, which is before any option is
    read.

    Args:
        backend: Name of the backend; `None` for the running one.

    Raises:
        ImportError: If it is not installed.
    """
    import keras

    if backend in (None, keras.config.backend()):
        return
    if not is_installed(str(backend)):
        raise missing_package(str(backend), f"The backend {backend!r}")
    arguments = click.get_current_context().find_root().obj
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(
        sys.executable,
        [sys.executable, "-m", "keras_aib.cli", *arguments],
        {**os.environ, "KERAS_BACKEND": str(backend)},
    )


def _use_backend(context: Any, param: Any, backend: str | None) -> str | None:
    use_backend(backend)
    return backend


backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    is_eager=True,
    callback=_use_backend,
    help="Keras backend. [default: KERAS_BACKEND, else ~/.keras/keras.json]",
)
batch_size_option = click.option(
    "--batch-size", type=click.IntRange(1), default=32, help="Images at once."
)
image_size_option = click.option(
    "--image-size",
    type=ImageSize(),
    help="Height and width: 224, or 224x320. [default: the model's]",
)
output_kind_option = click.option(
    "--output-kind",
    type=click.Choice(
        ("logits", "probabilities", "label_logits", "label_probabilities")
    ),
    help="What the model gives, of classes of which one is right or of labels "
    "of which each is right or not. [default: what its last layers tell]",
)
