"""What stands where pixels were taken out of an image."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_aib.attribution.metrics.judged_maps import JudgedMaps

BLUR_KERNEL = 51
BLUR_SIGMA = 50.0


def make_substrate(
    substrate: Any, judged: JudgedMaps
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives the substrates of images by their rising indices.

    Nothing is kept, so that memory does not grow with the images.

    Args:
        substrate: `"zeros"`, `"blur"`, an array or a callable.
        judged: The images.

    Raises:
        ValueError: If the name is not known, or a shape does not fit.
    """
    if callable(substrate):
        make = _user_function(substrate, judged)
    elif isinstance(substrate, str):
        if substrate not in NAMED:
            raise ValueError(
                f"`substrate` must be one of {tuple(NAMED)}, an array or a "
                f"callable. Received: {substrate!r}."
            )
        make = NAMED[substrate]
    else:
        values = _fitting(np.asarray(substrate, "float32"), judged)
        return lambda rows: values[rows]

    def of_rows(rows: np.ndarray) -> np.ndarray:
        met = judged.images[rows[0] : rows[-1] + 1]
        return make(met)[rows - rows[0]]

    return of_rows


def blur(images: np.ndarray) -> np.ndarray:
    """Gaussian blur of 51 x 51 pixels, sigma 50, borders mirrored.

    Args:
        images: Channels-last.

    Returns:
        float32, as large as `images`.
    """
    rows, columns = (_blur_matrix(n) for n in images.shape[1:3])
    blurred = np.einsum("hi,biwc->bhwc", rows, images, optimize=True)
    return np.einsum("wj,bhjc->bhwc", columns, blurred, optimize=True)


def _blur_matrix(size: int) -> np.ndarray:
    radius = BLUR_KERNEL // 2
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / BLUR_SIGMA) ** 2)
    kernel /= kernel.sum()
    mirrored = np.pad(np.arange(size), radius, mode="reflect")
    positions = np.arange(size)
    matrix = np.zeros((size, size))
    for start, weight in enumerate(kernel):
        matrix[positions, mirrored[start : start + size]] += weight
    return matrix.astype("float32")


def _user_function(
    function: Callable[[np.ndarray], Any], judged: JudgedMaps
) -> Callable[[np.ndarray], np.ndarray]:
    def make(images: np.ndarray) -> np.ndarray:
        images = judged.from_channels_last(images)
        values = np.asarray(function(images), "float32")
        if values.shape != images.shape:
            raise ValueError(
                "A callable `substrate` must return images of the shape it "
                f"gets, {images.shape}. Received: shape {values.shape}."
            )
        return judged.to_channels_last(values)

    return make


def _fitting(values: np.ndarray, judged: JudgedMaps) -> np.ndarray:
    if values.ndim >= 3:
        values = judged.to_channels_last(values)
    try:
        return np.broadcast_to(values, judged.images.shape)
    except ValueError as error:
        raise ValueError(
            "An array as `substrate` must be one value, one value a channel, "
            "one image, or one image each, to fit images of shape "
            f"{judged.images.shape}, channels last. Received: shape "
            f"{values.shape}, channels last."
        ) from error


NAMED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "zeros": np.zeros_like,
    "blur": blur,
}
