"""Checks of what a user passes, before a compiled graph fails on it."""

from typing import Any

import numpy as np


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
