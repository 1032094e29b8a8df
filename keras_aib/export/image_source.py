"""Images out of whatever a user has: an array, or a dataset of batches."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_aib.checks import check_images

MOST_IMAGES = 500


def first_images(name: str, source: Any, shape: tuple[Any, ...]) -> np.ndarray:
    """The first images of `source`, at most 500.

    Args:
        name: What to call it in errors.
        source: Array of pixels 0..255 `[images, height, width, channels]`, or
            anything that gives batches of them, alone or with labels: what
            `keras_aib.data` makes, a `tf.data.Dataset`, a list of batches.
        shape: `(height, width, channels)` that the exported file takes.

    Returns:
        float32 pixels.

    Raises:
        TypeError: If it gives no images.
        ValueError: If there are none, or they have another shape.
    """
    images = source
    if not hasattr(source, "dtype"):
        images = _gathered(name, source)
    images = np.asarray(images)[:MOST_IMAGES]
    check_images(images, (None, *shape), -1)
    if not len(images):
        raise ValueError(f"`{name}` holds no images.")
    images = images.astype("float32")
    least, most = float(images.min()), float(images.max())
    if least < 0 or most > 255 or 0 < most <= 1:
        raise ValueError(
            f"`{name}` must hold pixels 0..255, before any preprocessing. "
            f"Received: values from {least:.3g} to {most:.3g}."
        )
    return images


def _gathered(name: str, source: Any) -> np.ndarray:
    is_data = isinstance(source, Iterable) or hasattr(source, "__getitem__")
    if isinstance(source, str | bytes | dict) or not is_data:
        raise TypeError(
            f"`{name}` must be an array of images, or a dataset that gives "
            f"batches of them. Received: {source!r} of type "
            f"{type(source).__name__}."
        )
    batches: list[np.ndarray] = []
    count = 0
    for batch in _batches(source):
        images = batch[0] if isinstance(batch, tuple | list) else batch
        images = np.asarray(images)
        batches.append(images[: MOST_IMAGES - count])
        count += len(images)
        if count >= MOST_IMAGES:
            break
    return np.concatenate(batches) if batches else np.zeros((0, 1, 1, 3))


def _batches(source: Any) -> Iterable[Any]:
    if hasattr(source, "__len__"):
        # A `keras.utils.PyDataset` iterates without end.
        return (source[index] for index in range(len(source)))
    return source
