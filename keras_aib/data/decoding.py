"""Image files and arrays to RGB pixels of one size, with Pillow."""

import importlib.util
import os
from collections.abc import Sequence
from typing import IO

import numpy as np


class UnreadableImageError(ValueError):
    """An image that is missing, damaged, truncated or no image at all."""

    def __init__(self, name: str, reason: object):
        super().__init__(
            f"Image {name} cannot be read: {reason}. Repair or remove it, or "
            "pass `strict=False` to leave such images out."
        )
        self.name = name
        self.reason = str(reason)


def require_pillow() -> None:
    """Raise an `ImportError` that names the extra if Pillow is missing."""
    if importlib.util.find_spec("PIL") is None:
        raise ImportError(
            "Decoding and resizing images needs Pillow. Install it with "
            "`pip install keras-aib[data]`."
        )


def check_image_size(image_size: Sequence[int]) -> tuple[int, int]:
    """Return `image_size` as (height, width), or say what is wrong with it."""
    sizes = tuple(image_size) if isinstance(image_size, Sequence) else ()
    if len(sizes) != 2 or any(
        isinstance(size, bool)
        or not isinstance(size, (int, np.integer))
        or size < 1
        for size in sizes
    ):
        raise ValueError(
            "`image_size` must be two positive integers, (height, width) in "
            f"pixels, such as (224, 224). Received: image_size={image_size!r}"
        )
    return int(sizes[0]), int(sizes[1])


def read_image(
    file: str | os.PathLike | IO[bytes], image_size: tuple[int, int]
) -> np.ndarray:
    """Decode one image to RGB, upright, resized to `image_size`.

    Grey, palette, CMYK and 16-bit images become 8-bit RGB, transparency is
    dropped, of an animation the first frame is taken, and the EXIF orientation
    is applied. The whole image is resized (bilinear, antialiased); its aspect
    ratio is not kept.

    Args:
        file: Path or binary file.
        image_size: (height, width) in pixels.

    Returns:
        uint8 pixels [height, width, 3].

    Raises:
        Exception: Whatever Pillow raises for a damaged file.
    """
    from PIL import Image
    from PIL import ImageOps

    height, width = image_size
    with Image.open(file) as image:
        # A JPEG decodes several times faster at a fraction of its size. Twice
        # the target leaves the bilinear filter enough pixels, and a square
        # serves both orientations.
        image.draft(None, (2 * max(image_size), 2 * max(image_size)))
        upright = _to_rgb(ImageOps.exif_transpose(image))
        resized = upright.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _to_rgb(image):
    from PIL import Image

    if image.mode.startswith("I"):
        # `convert` would clip 16-bit grey at 255 instead of scaling it.
        grey = np.clip(np.asarray(image, "int64") // 256, 0, 255)
        image = Image.fromarray(grey.astype("uint8"))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def resize_array(image: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Resize pixels [H, W, 3] as `read_image` does; dtype uint8 or float."""
    from PIL import Image

    height, width = image_size
    if image.shape[:2] == (height, width):
        return image
    if image.dtype == np.uint8:
        return np.asarray(
            Image.fromarray(image).resize(
                (width, height), Image.Resampling.BILINEAR
            )
        )
    channels = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(channel, "float32")).resize(
                (width, height), Image.Resampling.BILINEAR
            )
        )
        for channel in np.moveaxis(image, -1, 0)
    ]
    return np.stack(channels, axis=-1)
