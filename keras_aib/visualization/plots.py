"""Attention maps drawn over the photos they explain."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_aib.visualization import grid
from keras_aib.visualization import overlay
from keras_aib.visualization import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    photos, maps = overlay.photos_and_maps(images, maps, data_format)
    normalized = overlay.normalize(maps, scale, value_range)
    overlays = overlay.blend(photos, normalized, interpolation, colormap, alpha)
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
        probabilities: class probabilities, `[B, N]`. Of a model of several
            labels, whose rows do not add up to 1, all labels above one half
            are named, each with its own; a single column is that of class 1.
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
        grid.file_type_of(path)
    if columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: {columns}")
    photos, maps = overlay.photos_and_maps(images, maps, data_format)
    captions = grid.make_captions(
        len(photos), labels, predictions, probabilities, class_names
    )
    normalized = overlay.normalize(maps, scale, value_range)
    gray = overlay.gray(photos)
    overlays = overlay.blend(gray, normalized, interpolation, colormap, alpha)
    notes = grid.make_notes(maps, scale)
    figure = grid.draw_grid(photos, overlays, captions, notes, columns, title)
    grid.draw_color_bar(figure, maps, scale, value_range, colormap, units)
    if path is not None:
        grid.save(figure, path)
    return figure


def plot_explanations(
    images: Any,
    explanations: Mapping[str, Any],
    path: str | os.PathLike[str] | None = None,
    units: str | Mapping[str, str] = "bits per pixel",
    labels: Any = None,
    predictions: Any = None,
    probabilities: Any = None,
    class_names: Sequence[str] | None = None,
    interpolation: str = "bilinear",
    colormap: str = "inferno",
    alpha: float = 0.6,
    title: str | None = None,
    data_format: str | None = None,
) -> Figure:
    """Draw several explanations of the same photos side by side.

    Each photo has a row: the photo, then one overlay for each kind of map.
    Methods differ in what they measure, so each column has a scale of its own,
    which its colour bar tells: from 0 (or the lowest value, if that is
    negative) to the value that 99.8 % of the pixels stay below. The figure is
    made without pyplot, as that of `plot_attention`.

    Args:
        images: as in `overlay_attention`.
        explanations: name of each method to its maps, `[B, h, w]` of any
            resolution; they become columns in this order.
        path: as in `plot_attention`.
        units: what the maps measure; one for all, or by name.
        labels: as in `plot_attention`.
        predictions: as in `plot_attention`.
        probabilities: as in `plot_attention`.
        class_names: as in `plot_attention`.
        interpolation: as in `overlay_attention`.
        colormap: as in `overlay_attention`.
        alpha: as in `overlay_attention`.
        title: a line above the figure.
        data_format: as in `overlay_attention`.

    Returns:
        The `matplotlib.figure.Figure`; `figure.savefig` writes more copies.

    Raises:
        ValueError: as for `plot_attention`; also if there are no explanations,
            or `units` names others.
        ImportError: where matplotlib or pillow is missing.

    Example:

    ```python
    import numpy as np
    from keras_aib.visualization import plot_explanations

    images = np.random.randint(0, 256, (2, 96, 96, 3), dtype="uint8")
    attention = np.random.uniform(size=(2, 6, 6))
    bits = np.random.exponential(size=(2, 96, 96))
    plot_explanations(
        images,
        {"attention": attention, "IBA": bits},
        path="explanations.png",
        units={"attention": "score", "IBA": "bits per pixel"},
    )
    ```
    """
    if path is not None:
        grid.file_type_of(path)
    if not explanations:
        raise ValueError(
            "`explanations` is empty. Expected the name of each method and "
            'its maps, such as {"IBA": result.bits}.'
        )
    if isinstance(units, str):
        units = dict.fromkeys(explanations, units)
    if set(units) != set(explanations):
        raise ValueError(
            "`units` must be one string, or name the same methods as "
            f"`explanations`, {list(explanations)}. Received: {list(units)}"
        )
    columns = []
    for name, values in explanations.items():
        photos, maps = overlay.photos_and_maps(images, values, data_format)
        value_range = table.range_of(maps)
        overlays = overlay.blend(
            overlay.gray(photos),
            overlay.normalize(maps, "fixed", value_range),
            interpolation,
            colormap,
            alpha,
        )
        columns.append(
            table.Column(name, maps, overlays, value_range, units[name])
        )
    captions = grid.make_captions(
        len(photos), labels, predictions, probabilities, class_names
    )
    figure = table.draw_table(photos, columns, captions, colormap, title)
    if path is not None:
        grid.save(figure, path)
    return figure
