"""Checks of what a user passes, before a compiled graph fails on it."""

import os
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import numpy as np

from keras_aib.utils.files import remote_scheme

ImageSize: TypeAlias = int | Sequence[int]


def check_integer(name: str, value: Any, least: int) -> int:
    """Return `value` as an `int`, or refuse it.

    Args:
        name: What the user calls it.
        value: A Python or NumPy integer. Booleans are none.
        least: Smallest that is allowed.

    Raises:
        ValueError: If it is no integer of at least `least`.
    """
    if not is_integer(value) or value < least:
        raise ValueError(
            f"`{name}` must be an integer of at least {least}. Received: "
            f"{name}={value!r}"
        )
    return int(value)


def check_positive_integer(name: str, value: Any) -> None:
    """Refuse a `value` that is no integer of 1 or more, NumPy's included."""
    if not is_integer(value) or value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}."
        )


def is_integer(value: Any) -> bool:
    """Whether `value` is an integer of Python or NumPy, and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """A NumPy number as Python's, also within a tuple or list.

    Configurations become JSON, which knows no NumPy.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return type(value)(map(plain, value))
    return value


def check_image_size(image_size: ImageSize) -> tuple[int, int]:
    """Return `image_size` as (height, width) in pixels, or refuse it.

    Args:
        image_size: One positive integer for a square, or two.

    Raises:
        ValueError: If it is neither.
    """
    sides: Any = (image_size,) * 2 if is_integer(image_size) else image_size
    if (
        not isinstance(sides, (Sequence, np.ndarray))
        or len(sides) != 2
        or not all(is_integer(side) and side > 0 for side in sides)
    ):
        raise ValueError(
            "`image_size` must be a positive integer or two, (height, width) "
            "in pixels, such as 224 or (224, 224). Received: "
            f"image_size={image_size!r}"
        )
    return int(sides[0]), int(sides[1])


def check_is_local(directory: str | os.PathLike) -> None:
    """Refuse a folder that only a network reaches.

    Raises:
        ValueError: If it is an address such as `gs://bucket/photos`.
    """
    place = os.fsdecode(directory)
    if remote_scheme(place) and not os.path.exists(place):
        raise ValueError(
            f"Images are read from folders of this machine. Received: {place}, "
            "which is elsewhere. Copy it here first, or mount it and pass the "
            "folder where it is mounted."
        )


def check_images(
    images: Any, input_shape: tuple[int | None, ...], channel_axis: int
) -> None:
    """Refuse arrays that are no batch of images a model can take.

    Args:
        images: What the user passed. Anything but a NumPy array is left to
            Keras.
        input_shape: Input shape of the model, `None` where free.
        channel_axis: Axis of the channels.

    Raises:
        TypeError: If the dtype is not integer or floating.
        ValueError: For a wrong rank, channel count or size, or for NaN or
            infinity; names the images.
    """
    if not isinstance(images, np.ndarray):
        return
    if images.dtype.kind not in "uif":
        raise TypeError(
            "Images must be integers or floats, pixels 0..255. Received: an "
            f"array of dtype {images.dtype}. Convert it with "
            "`images.astype('float32')`."
        )
    if images.ndim != len(input_shape):
        hint = " Add the batch axis: `images[None]`." * (images.ndim == 3)
        raise ValueError(
            f"Images must have shape {input_shape}. Received: shape "
            f"{images.shape}.{hint}"
        )
    channels = input_shape[channel_axis]
    if images.shape[channel_axis] != channels:
        raise ValueError(
            f"Images must have {channels} channels on axis {channel_axis}. "
            f"Received: {images.shape[channel_axis]} channels in shape "
            f"{images.shape}. Repeat grey images to three channels with "
            "`np.repeat(images, 3, axis=-1)`."
        )
    if any(
        expected not in (None, received)
        for expected, received in zip(input_shape, images.shape, strict=True)
    ):
        raise ValueError(
            f"The backbone was built for images of shape {input_shape[1:]}. "
            f"Received: shape {images.shape[1:]}. Resize them, or build the "
            "backbone for this size."
        )
    check_finite(images)


def check_finite(arrays: np.ndarray, name: str = "images") -> None:
    """Refuse NaN and infinity, naming the entries of the first axis.

    Args:
        arrays: Array with one entry per image. Only floats are looked at.
        name: What to call them.

    Raises:
        ValueError: If any value is not finite.
    """
    if arrays.dtype.kind in "biu":
        return
    # One entry at a time: a mask of them all may not fit in memory.
    bad = [
        index
        for index, entry in enumerate(arrays)
        if not np.isfinite(entry.astype("float32", copy=False)).all()
    ]
    if bad:
        shown = ", ".join(map(str, bad[:10])) + ", ..." * (len(bad) > 10)
        raise ValueError(
            f"{len(bad)} of {len(arrays)} {name} hold NaN or infinity: index "
            f"{shown}. Remove them, or repair them with `np.nan_to_num`."
        )
