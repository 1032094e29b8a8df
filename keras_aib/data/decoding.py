"""Image files and arrays to RGB pixels of one size, with Pillow."""

import math
import os
import warnings
from collections.abc import Sequence
from typing import IO
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_aib.data.pixel_depth import UnsuitablePixelsError
from keras_aib.data.pixel_depth import find_storage
from keras_aib.data.pixel_depth import to_rgb
from keras_aib.utils.requirements import require


class Failure(NamedTuple):
    """Why an image cannot be read, and what to do about it."""

    reason: str
    remedy: str = "Repair or remove what is damaged."


class UnreadableImageError(ValueError):
    """An image that is missing, damaged, or of a kind that is not read.

    Args:
        name: What to call the image, say its path.
        failure: Why it cannot be read.
    """

    def __init__(self, name: str, failure: Failure):
        super().__init__(
            f"Image {printable(name)} cannot be read: {failure.reason}. "
            f"{failure.remedy} `strict=False` leaves such images out."
        )
        self.name = name
        self.failure = failure

    def __reduce__(self) -> tuple[type, tuple[str, Failure]]:
        # Worker processes hand their errors on.
        return type(self), (self.name, self.failure)


def find_failure(error: Exception) -> Failure:
    """Say in words what Pillow, or the disk, raised for an image."""
    from PIL import Image
    from PIL import UnidentifiedImageError

    if isinstance(error, UnsuitablePixelsError):
        return Failure(str(error), "Convert such images to 8 bits.")
    if isinstance(error, Image.DecompressionBombError):
        return Failure(
            "it has more pixels than twice PIL.Image.MAX_IMAGE_PIXELS = "
            f"{Image.MAX_IMAGE_PIXELS}",
            "If you trust the large ones, set `PIL.Image.MAX_IMAGE_PIXELS = "
            "None` before they are read.",
        )
    if isinstance(error, UnidentifiedImageError):
        # Its own words show the Python object that was read.
        return Failure("Pillow cannot identify its format")
    if isinstance(error, PermissionError):
        return Failure(str(error), "Make the files readable for this user.")
    return Failure(str(error).rstrip("."))


def printable(text: str) -> str:
    """Return a name that every file can hold, with escapes for odd bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def require_pillow() -> None:
    """Raise an `ImportError` that says what to install without Pillow."""
    require("PIL", "Decoding and resizing images")


class Decoded(NamedTuple):
    """Pixels uint8 [height, width, 3], and what to know about them.

    `notes` has a sentence for what was guessed or left out, by its kind.
    """

    pixels: np.ndarray
    notes: dict[str, str]


def read_image(
    file: str | os.PathLike | IO[bytes],
    image_size: tuple[int, int],
    box: Sequence[float] | np.ndarray | None = None,
    relative_box: bool = False,
) -> np.ndarray:
    """Decode one image as `decode_image` does, and warn of its notes.

    Returns:
        uint8 pixels [height, width, 3].
    """
    pixels, notes = decode_image(file, image_size, box, relative_box)
    for note in notes.values():
        warnings.warn(f"{file} {note}", stacklevel=2)
    return pixels


def decode_image(
    file: str | os.PathLike | IO[bytes],
    image_size: tuple[int, int],
    box: Sequence[float] | np.ndarray | None = None,
    relative_box: bool = False,
) -> Decoded:
    """Decode one image to RGB, upright, resized to `image_size`.

    Grey, palette, CMYK and 16-bit images become 8-bit RGB, transparency is
    dropped, of an animation or of several pages the first is taken, and the
    EXIF orientation is applied. The whole image, or the box, is resized
    (bilinear, antialiased); its aspect ratio is not kept.

    Args:
        file: Path or binary file.
        image_size: (height, width) in pixels.
        box: (left, top, right, bottom) in pixels of the stored image, before
            its EXIF orientation is applied, to crop it to. What hangs over
            the edge of the image is cut off.
        relative_box: Whether `box` is in shares of width and height instead.

    Returns:
        The pixels and notes.

    Raises:
        UnsuitablePixelsError: If nothing tells what is black and what white.
        ValueError: If most of `box` lies outside of the image.
        Exception: Whatever Pillow raises for a damaged file.
    """
    from PIL import Image
    from PIL import ImageOps

    height, width = image_size
    with open_image(file) as image:
        notes = _note_pages(image)
        storage = find_storage(image)
        shares = _shares(image.size, box, relative_box)
        # A JPEG decodes several times faster at a fraction of its size. Twice
        # the target leaves the bilinear filter enough pixels, and a square
        # serves both orientations.
        least = 2 * max(image_size) / (shares[2:] - shares[:2])
        image.draft(None, (math.ceil(least[0]), math.ceil(least[1])))
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and math.prod(image.size) > 2 * limit:
            raise Image.DecompressionBombError(f"{image.size} pixels")
        cropped = image if box is None else _crop(image, shares)
        upright, more = to_rgb(ImageOps.exif_transpose(cropped), storage)
        resized = upright.resize((width, height), Image.Resampling.BILINEAR)
    return Decoded(np.asarray(resized), notes | more)


def open_image(file: str | os.PathLike | IO[bytes]) -> Any:
    """A Pillow image, whose pixels are not read yet."""
    from PIL import Image
    from PIL import JpegImagePlugin

    # Pillow limits the size of what it opens. It need not for a JPEG, which is
    # decoded at a fraction of its size: photos of 200 megapixels are common.
    try:
        return JpegImagePlugin.JpegImageFile(file)
    except SyntaxError:
        if isinstance(file, (str, os.PathLike)):
            return Image.open(file)
        file.seek(0)
        return Image.open(file)


def _note_pages(image: Any) -> dict[str, str]:
    pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    if pages == 1:
        return {}
    return {"pages": f"has {pages} pages, of which the first is read."}


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


def _crop(image: Any, shares: np.ndarray) -> Any:
    left, top, right, bottom = np.rint(shares * (*image.size, *image.size))
    # A box thinner than half a pixel still takes one.
    left, top = min(left, image.width - 1), min(top, image.height - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    return image.crop((int(left), int(top), int(right), int(bottom)))


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
