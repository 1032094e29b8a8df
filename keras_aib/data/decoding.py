"""Image files and arrays to RGB pixels of one size, with Pillow."""

import math
import os
from collections.abc import Sequence
from typing import IO

import numpy as np

from keras_aib.requirements import require


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
    """Raise an `ImportError` that says what to install without Pillow."""
    require("PIL", "Decoding and resizing images")


def read_image(
    file: str | os.PathLike | IO[bytes],
    image_size: tuple[int, int],
    box: Sequence[float] | np.ndarray | None = None,
    relative_box: bool = False,
) -> np.ndarray:
    """Decode one image to RGB, upright, resized to `image_size`.

    Grey, palette, CMYK and 16-bit images become 8-bit RGB, transparency is
    dropped, of an animation the first frame is taken, and the EXIF orientation
    is applied. The whole image, or the box, is resized (bilinear,
    antialiased); its aspect ratio is not kept.

    Args:
        file: Path or binary file.
        image_size: (height, width) in pixels.
        box: (left, top, right, bottom) in pixels of the stored image, before
            its EXIF orientation is applied, to crop it to. What hangs over
            the edge of the image is cut off.
        relative_box: Whether `box` is in shares of width and height instead.

    Returns:
        uint8 pixels [height, width, 3].

    Raises:
        ValueError: If most of `box` lies outside of the image.
        Exception: Whatever Pillow raises for a damaged file.
    """
    from PIL import Image
    from PIL import ImageOps

    height, width = image_size
    with Image.open(file) as image:
        shares = _shares(image.size, box, relative_box)
        # A JPEG decodes several times faster at a fraction of its size. Twice
        # the target leaves the bilinear filter enough pixels, and a square
        # serves both orientations.
        least = 2 * max(image_size) / (shares[2:] - shares[:2])
        image.draft(None, (math.ceil(least[0]), math.ceil(least[1])))
        cropped = image if box is None else _crop(image, shares)
        upright = _to_rgb(ImageOps.exif_transpose(cropped))
        resized = upright.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _shares(
    size: tuple[int, int],
    box: Sequence[float] | np.ndarray | None,
    relative_box: bool,
) -> np.ndarray:
    """Return the part of `box` inside the image in shares of its `size`."""
    if box is None:
        return np.array([0.0, 0.0, 1.0, 1.0])
    shares = np.asarray(box, "float64")
    if not relative_box:
        shares = shares / (*size, *size)
    inside = shares.clip(0, 1)
    sides = (shares[2:] - shares[:2]).clip(0)
    if not np.prod(inside[2:] - inside[:2]) > np.prod(sides) / 2:
        received = np.round(shares * (*size, *size), 1).tolist()
        raise ValueError(
            "its box (left, top, right, bottom) in pixels, "
            f"{received}, lies mostly outside of its {size[0]}x{size[1]} "
            "pixels, or is empty"
        )
    return inside


def _crop(image, shares: np.ndarray):
    left, top, right, bottom = np.rint(shares * (*image.size, *image.size))
    # A box thinner than half a pixel still takes one.
    left, top = min(left, image.width - 1), min(top, image.height - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    return image.crop((int(left), int(top), int(right), int(bottom)))


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
