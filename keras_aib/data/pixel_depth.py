"""Pixels of more than eight bits, or none, to 8-bit RGB."""

from typing import Any
from typing import NamedTuple

import numpy as np

_WHITE_IS_ZERO = 0
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262


class UnsuitablePixelsError(ValueError):
    """Pixels of which nothing tells what is black and what is white."""


class Storage(NamedTuple):
    """How a file stores its pixels, which Pillow forgets on the way.

    Args:
        bits: Bits a value, 8 to 16.
        is_inverted: Whether 0 is white, and Pillow leaves it so.
    """

    bits: int
    is_inverted: bool


def find_storage(image: Any) -> Storage:
    """Ask an image that is opened and not yet loaded."""
    is_deep = image.mode[0] in "IF" or any(
        ";16" in str(tile[3]) for tile in image.tile
    )
    if image.format != "TIFF" or not is_deep:
        return Storage(16 if is_deep else 8, False)
    stored = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))[0]
    is_inverted = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return Storage(stored if 8 < stored < 16 else 16, is_inverted)


def to_rgb(image: Any, storage: Storage) -> tuple[Any, dict[str, str]]:
    """Return an 8-bit RGB image, and notes as those of `Decoded`.

    Args:
        image: An image of Pillow, of any mode.
        storage: As `find_storage` tells it.

    Raises:
        UnsuitablePixelsError: For numbers that are no usual range of pixels.
    """
    from PIL import Image

    notes: dict[str, str] = {}
    if image.mode == "F":
        values, notes = _scale_floats(np.asarray(image))
        image = Image.fromarray(values)
    elif image.mode[0] == "I":
        values = _scale_integers(np.asarray(image, "int64"), storage)
        image = Image.fromarray(values)
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    rgb = image.convert("RGB")
    if storage.bits > 8 and not notes:
        notes = _note_darkness(rgb)
    return rgb, notes


def _scale_integers(values: np.ndarray, storage: Storage) -> np.ndarray:
    white = 2**storage.bits - 1
    _check_range(values, white)
    if storage.is_inverted:
        values = white - values
    # `convert` of Pillow would clip at 255 instead of scaling.
    return (values >> (storage.bits - 8)).astype("uint8")


def _scale_floats(values: np.ndarray) -> tuple[np.ndarray, dict[str, str]]:
    _check_range(values, 255)
    white = 1 if values.max() <= 1 else 255
    note = (
        f"holds floats without a range of their own, from {values.min():.4g} "
        f"to {values.max():.4g}, and is read as 0 (black) to {white} (white). "
        "Store 8-bit images to be sure."
    )
    pixels = np.rint(values * (255 / white)).astype("uint8")
    return pixels, {"floats": note}


def _check_range(values: np.ndarray, white: int) -> None:
    least, most = values.min(), values.max()
    # NaN fails both comparisons.
    if not (least >= 0 and most <= white):
        raise UnsuitablePixelsError(
            f"its values go from {least:.6g} to {most:.6g}, and nothing tells "
            "which is black and which is white"
        )


def _note_darkness(rgb: Any) -> dict[str, str]:
    most = max(high for _, high in rgb.getextrema())
    if most >= 128:
        return {}
    return {
        "dark": "is stored in 16 bits and uses the lower ones only: its "
        f"brightest pixel is read as {most} of 255, nearly black. If it came "
        "from 12 bits, say, scale such images to 8 bits first."
    }
