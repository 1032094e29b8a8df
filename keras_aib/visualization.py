"""Attention maps drawn over the photos they explain."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from keras_aib import _attention_grid
from keras_aib.checks import check_finite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INTERPOLATIONS = ("bilinear", "nearest")
SCALES = ("fixed", "image")
LUMINANCE = np.array([[0.299], [0.587], [0.114]])


def overlay_attention(
    images: Any,
    maps: Any,
    interpolation: str = "bilinear",
    scale: str = "fixed",
    value_range: tuple[float, float] = (0.0, 1.0),
    colormap: str = "inferno",
    alpha: float = 0.5,
    data_format: str | None = None,
) -> np.ndarray:
    """Blend attention maps, upsampled to the size of the photos, over them.

    A map is a few cells wide, a photo hundreds of pixels: laid over each other
    they say which part of the photo a score belongs to.

    Args:
        images: photos with pixel values 0..255, integer or float,
            `[B, H, W, 3]`, or one photo `[H, W, 3]` (`[B, 3, H, W]` or
            `[3, H, W]` with `data_format="channels_first"`). NumPy or a tensor
            of the backend.
        maps: attention maps `[B, h, w]` of any resolution, or one `[h, w]`.
        interpolation: `"bilinear"`, or `"nearest"` to see the map's own cells.
        scale: `"fixed"` colours every map by `value_range`, so that maps can be
            compared; values beyond it take the colour of its end. `"image"`
            stretches each map to its own minimum and maximum, which shows the
            structure of a faint map, and of noise just the same. A flat map
            takes the lowest colour all over.
        value_range: the lowest and highest value of the fixed scale.
        colormap: name of a matplotlib colour map.
        alpha: opacity of the colours over the photo, 0 to 1.
        data_format: of `images`; `keras.config.image_data_format()` by default.

    Returns:
        A `uint8` array `[B, H, W, 3]` (`[H, W, 3]` for one photo), channels
        last, ready for any image library.

    Raises:
        ValueError: for shapes that do not belong together, values that are not
            finite, or an unknown option.
        ImportError: where matplotlib or pillow is missing.

    Example:

    ```python
    import numpy as np
    from keras_aib.visualization import overlay_attention

    images = np.random.randint(0, 256, (2, 96, 96, 3), dtype="uint8")
    maps = np.random.uniform(size=(2, 6, 6))
    overlays = overlay_attention(images, maps, interpolation="nearest")
    ```
    """
    single = np.ndim(maps) == 2
    photos, maps = _photos_and_maps(images, maps, data_format)
    normalized = _normalize(maps, scale, value_range)
    overlays = _blend(photos, normalized, interpolation, colormap, alpha)
    return overlays[0] if single else overlays


def plot_attention(
    images: Any,
    maps: Any,
    path: str | os.PathLike[str] | None = None,
    labels: Any = None,
    predictions: Any = None,
    probabilities: Any = None,
    class_names: Sequence[str] | None = None,
    interpolation: str = "bilinear",
    scale: str = "fixed",
    value_range: tuple[float, float] = (0.0, 1.0),
    colormap: str = "inferno",
    alpha: float = 0.5,
    columns: int = 6,
    title: str | None = None,
    units: str = "score",
    data_format: str | None = None,
) -> Figure:
    """Draw a grid of photos, each above its attention overlay.

    Every photo is captioned with what is known of it: the true label, the
    prediction, whether that is right, and its probability. The overlays are
    drawn on a gray copy, so that their colours are the map's alone, and the
    colour bar says in which scale. The figure is made without pyplot: a
    program's own plots and its matplotlib backend are left alone.

    Args:
        images: as in `overlay_attention`.
        maps: as in `overlay_attention`.
        path: file to write, its type by its extension: `.png`, `.jpg`, `.pdf`
            or `.svg`. Folders are made as needed. `None` writes nothing.
        labels: true classes, `[B]` integers.
        predictions: predicted classes, `[B]` integers; by default the most
            probable class of `probabilities`.
        probabilities: class probabilities, `[B, N]`.
        class_names: names of the classes by index; by default their numbers.
        interpolation: as in `overlay_attention`.
        scale: as in `overlay_attention`; with `"image"` the range of each map
            is written below it.
        value_range: as in `overlay_attention`.
        colormap: as in `overlay_attention`.
        alpha: as in `overlay_attention`.
        columns: photos in a row.
        title: a line above the grid.
        units: what the maps measure, for the colour bar: `"score"`, `"bits per
            pixel"`.
        data_format: of `images`; `keras.config.image_data_format()` by default.

    Returns:
        The `matplotlib.figure.Figure`; `figure.savefig` writes more copies.

    Raises:
        ValueError: for shapes that do not belong together, values that are not
            finite, an unknown option or file type.
        ImportError: where matplotlib or pillow is missing.

    Example:

    ```python
    import numpy as np
    from keras_aib.visualization import plot_attention

    images = np.random.randint(0, 256, (2, 96, 96, 3), dtype="uint8")
    maps = np.random.uniform(size=(2, 6, 6))
    plot_attention(
        images,
        maps,
        path="attention.png",
        labels=[0, 1],
        probabilities=[[0.9, 0.1], [0.7, 0.3]],
        class_names=["cat", "dog"],
    )
    ```
    """
    if path is not None:
        _attention_grid.file_type_of(path)
    if columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: {columns}")
    photos, maps = _photos_and_maps(images, maps, data_format)
    captions = _attention_grid.make_captions(
        len(photos), labels, predictions, probabilities, class_names
    )
    normalized = _normalize(maps, scale, value_range)
    gray = photos @ LUMINANCE
    overlays = _blend(gray, normalized, interpolation, colormap, alpha)
    notes = _attention_grid.make_notes(maps, scale)
    figure = _attention_grid.draw_grid(
        photos, overlays, captions, notes, columns, title
    )
    _attention_grid.draw_color_bar(
        figure, maps, scale, value_range, colormap, units
    )
    if path is not None:
        _attention_grid.save(figure, path)
    return figure


def _plot_extra(name: str) -> ImportError:
    return ImportError(
        f"Pictures need {name}. Install it with `pip install keras-aib[plot]`."
    )


def _photos_and_maps(
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


def _normalize(
    maps: np.ndarray, scale: str, value_range: tuple[float, float]
) -> np.ndarray:
    if scale not in SCALES:
        raise ValueError(
            f"`scale` must be one of {SCALES}. Received: {scale!r}"
        )
    if scale == "image":
        lowest = maps.min(axis=(1, 2), keepdims=True)
        span = maps.max(axis=(1, 2), keepdims=True) - lowest
        flat = _attention_grid.is_flat(maps)[:, None, None]
        return np.where(flat, 0.0, (maps - lowest) / np.where(flat, 1.0, span))
    lowest, highest = value_range
    if not lowest < highest:
        raise ValueError(
            "`value_range` must be two numbers, the lower one first. "
            f"Received: {value_range}"
        )
    return np.clip((maps - lowest) / (highest - lowest), 0.0, 1.0)


def _blend(
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
    try:
        import matplotlib
    except ImportError as error:
        raise _plot_extra("matplotlib") from error
    try:
        from PIL import Image
    except ImportError as error:
        raise _plot_extra("pillow") from error
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
