"""Images that a file is calibrated or tried on, out of what a user has."""

from typing import Any

import numpy as np

from keras_aib.utils.checks import check_images
from keras_aib.utils.image_batches import ImageBatches

MOST_IMAGES = 500


def first_images(name: str, source: Any, shape: tuple[Any, ...]) -> np.ndarray:
    """The first images of `source`, at most 500.

    Args:
        name: What to call it in errors.
        source: Pixels 0..255: an array `[images, height, width, channels]`,
            or anything else that `keras_aib.utils.image_batches` reads.
        shape: `(height, width, channels)` that the exported file takes.

    Returns:
        float32 pixels.

    Raises:
        TypeError: If it gives no images.
        ValueError: If there are none, or they have another shape.
    """
    reader = ImageBatches(source, MOST_IMAGES, 1 + len(shape), name)
    (images,) = reader.first(MOST_IMAGES)
    check_images(images, (None, *shape), -1)
    images = images.astype("float32")
    least, most = float(images.min()), float(images.max())
    if least < 0 or most > 255 or 0 < most <= 1:
        raise ValueError(
            f"`{name}` must hold pixels 0..255, before any preprocessing. "
            f"Received: values from {least:.3g} to {most:.3g}."
        )
    return images
