"""Maps over photos: what is checked, how values become colours."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from keras_aib.utils.checks import check_finite
from keras_aib.utils.requirements import require
from keras_aib.visualization import grid

INTERPOLATIONS = ("bilinear", "nearest")
SCALES = ("fixed", "image")
LUMINANCE = np.array([[0.299], [0.587], [0.114]])


def photos_and_maps(
    images: Any, maps: Any, data_format: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Check both, and return `uint8` photos and float maps, each in a batch."""
    images = np.asarray(keras.ops.convert_to_numpy(images))
    maps = np.asarray(keras.ops.convert_to_numpy(maps)).astype("float64")
    if (images.ndim, maps.ndim) not in ((4, 3), (3, 2)):
        raise ValueError(
            "Expected images [B, H, W, 3] with maps [B, h, w], or one image "
            f"[H, W, 3] with one map [h, w]. Received: images {images.shape}, "
            f"maps {maps.shape}"
        )
    if images.ndim == 3:
        images, maps = images[None], maps[None]
    data_format = data_format or keras.config.image_data_format()
    if data_format == "channels_first":
        images = np.moveaxis(images, 1, -1)
    elif data_format != "channels_last":
        raise ValueError(
            "`data_format` must be 'channels_last' or 'channels_first'. "
            f"Received: {data_format!r}"
        )
    if images.shape[-1] != 3:
        raise ValueError(
            f"Expected images with 3 channels in {data_format} order. "
            f"Received {images.shape[-1]} channels; pass `data_format` if the "
            "order is the other one."
        )
    if len(images) != len(maps):
        raise ValueError(
            "Expected one map per image. Received: "
            f"{len(images)} images, {len(maps)} maps"
        )
    if not images.size or not maps.size:
        raise ValueError(
            "Expected at least one image and one map, none of them empty. "
            f"Received: images {images.shape}, maps {maps.shape}"
        )
    check_finite(images, "images")
    check_finite(maps, "maps")
    return _to_uint8(images), maps


def _to_uint8(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    images = images.astype("float64")
    lowest, highest = images.min(), images.max()
    # No photo is that dark, but an image of zeros is a fair test.
    if lowest >= -1 and highest <= 1 and images.any():
        warnings.warn(
            f"The images' values lie in {lowest:.3g}..{highest:.3g} and will "
            "look black: pixel values 0..255 are expected. If they were "
            "scaled to 0..1, pass `255 * images`.",
            stacklevel=4,
        )
    elif lowest < -1 or highest > 256:
        warnings.warn(
            f"The images' values lie in {lowest:.4g}..{highest:.4g} and are "
            "cut off at 0..255: pass the pixels from before preprocessing.",
            stacklevel=4,
        )
    return np.clip(np.rint(images), 0, 255).astype("uint8")


def normalize(
    maps: np.ndarray, scale: str, value_range: tuple[float, float]
) -> np.ndarray:
    if scale not in SCALES:
        raise ValueError(
            f"`scale` must be one of {SCALES}. Received: {scale!r}"
        )
    if scale == "image":
        lowest = maps.min(axis=(1, 2), keepdims=True)
        span = maps.max(axis=(1, 2), keepdims=True) - lowest
        flat = grid.is_flat(maps)[:, None, None]
        return np.where(flat, 0.0, (maps - lowest) / np.where(flat, 1.0, span))
    lowest, highest = value_range
    if not lowest < highest:
        raise ValueError(
            "`value_range` must be two numbers, the lower one first. "
            f"Received: {value_range}"
        )
    return np.clip((maps - lowest) / (highest - lowest), 0.0, 1.0)


def blend(
    photos: np.ndarray,
    maps: np.ndarray,
    interpolation: str,
    colormap: str,
    alpha: float,
) -> np.ndarray:
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"`interpolation` must be one of {INTERPOLATIONS}. "
            f"Received: {interpolation!r}"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must lie in 0..1. Received: {alpha}")
    matplotlib = require("matplotlib", "Drawing a map", "plot")
    Image = require("PIL.Image", "Drawing a map", "plot")  # noqa: N806
    if colormap not in matplotlib.colormaps:
        raise ValueError(
            f"`colormap` must be the name of a matplotlib colour map, such as "
            f"'inferno' or 'viridis'. Received: {colormap!r}"
        )
    height, width = photos.shape[1:3]
    method = getattr(Image.Resampling, interpolation.upper())
    overlays = []
    for photo, values in zip(photos, maps, strict=True):
        cells = Image.fromarray(values.astype("float32"))
        upsampled = np.asarray(cells.resize((width, height), method))
        colors = 255 * matplotlib.colormaps[colormap](upsampled)[..., :3]
        overlays.append((1 - alpha) * photo + alpha * colors)
    return np.rint(overlays).astype("uint8")


def gray(photos: np.ndarray) -> np.ndarray:
    """Photos without colour, so that an overlay's colours are its map's."""
    return photos @ LUMINANCE
