"""Pictures of which the place that matters is known."""

from dataclasses import dataclass

import keras
import numpy as np

PATCH = 16


@dataclass(frozen=True)
class ClutteredImages:
    """Small pictures, each on a larger canvas of clutter.

    Attributes:
        images: uint8 `[N, canvas, canvas, 3]`.
        labels: Classes of the pasted pictures.
        masks: True where the picture is, `[N, canvas, canvas]`.
    """

    images: np.ndarray
    labels: np.ndarray
    masks: np.ndarray


def paste_on_clutter(
    pictures: np.ndarray,
    labels: np.ndarray,
    canvas: int = 128,
    size: int = 48,
    seed: int = 0,
) -> ClutteredImages:
    """Paste every picture at a random place on a canvas of clutter.

    The clutter consists of patches of other pictures, each from another one
    and at another place, so it has their colours and edges and none of their
    objects.

    Args:
        pictures: uint8 `[N, H, W, 3]`.
        labels: Classes `[N]`.
        canvas: Height and width of the result in pixels, a multiple of 16.
        size: Height and width of a pasted picture, a multiple of 16.
        seed: Of the places and the clutter.
    """
    random = np.random.default_rng(seed)
    resized = keras.ops.image.resize(
        pictures.astype("float32"), (size, size), interpolation="bicubic"
    )
    resized = keras.ops.convert_to_numpy(resized).clip(0, 255).round()
    resized = resized.astype("uint8")
    patches = _patches(resized)
    count, side = len(pictures), canvas // PATCH
    images = np.empty((count, canvas, canvas, 3), "uint8")
    masks = np.zeros((count, canvas, canvas), bool)
    for index in range(count):
        chosen = random.integers(len(patches), size=side * side)
        rows = patches[chosen].reshape(side, side, PATCH, PATCH, 3)
        images[index] = rows.swapaxes(1, 2).reshape(canvas, canvas, 3)
        top, left = random.integers(canvas - size + 1, size=2)
        place = (index, slice(top, top + size), slice(left, left + size))
        images[place] = resized[index]
        masks[place] = True
    return ClutteredImages(images, labels, masks)


def _patches(pictures: np.ndarray) -> np.ndarray:
    count, size = pictures.shape[:2]
    side = size // PATCH
    rows = pictures.reshape(count, side, PATCH, side, PATCH, 3)
    return rows.swapaxes(2, 3).reshape(-1, PATCH, PATCH, 3)
