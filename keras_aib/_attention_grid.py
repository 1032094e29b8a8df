"""The figure behind `visualization.plot_attention`: grid, captions, file."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from keras_aib.files import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE_TYPES = (".png", ".jpg", ".jpeg", ".pdf", ".svg")

# Dark enough to read on white; the words beside them carry the same message.
RIGHT_COLOR = "#1a6b2f"
WRONG_COLOR = "#b3261e"

# Inches: a picture's width, a line of text, the space between, the colour bar.
CELL, LINE, GAP, BAR = 2.0, 0.14, 0.16, 0.95


def is_flat(maps: np.ndarray) -> np.ndarray:
    """Whether each map is constant, up to float32's rounding."""
    lowest, highest = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    size = np.maximum(np.abs(lowest), np.abs(highest))
    return highest - lowest <= 1e-6 * size


def _class_indices(values: Any, name: str, count: int) -> np.ndarray | None:
    if values is None:
        return None
    values = np.asarray(keras.ops.convert_to_numpy(values))
    if values.shape != (count,) or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be one integer per image, [{count}]. "
            f"Received: {values.dtype} {list(values.shape)}"
        )
    return values


def make_captions(
    count: int,
    labels: Any,
    predictions: Any,
    probabilities: Any,
    class_names: Sequence[str] | None,
) -> list[tuple[str, str]]:
    """Text above each photo, and its color."""
    if probabilities is not None:
        probabilities = np.asarray(keras.ops.convert_to_numpy(probabilities))
        if probabilities.ndim != 2 or len(probabilities) != count:
            raise ValueError(
                f"`probabilities` must have the shape [{count}, classes]. "
                f"Received: {list(probabilities.shape)}"
            )
        if predictions is None:
            predictions = probabilities.argmax(axis=-1)
    truth = _class_indices(labels, "labels", count)
    said = _class_indices(predictions, "predictions", count)

    def pick(values: Sequence[Any], index: int, name: str) -> Any:
        if not 0 <= index < len(values):
            raise ValueError(
                f"Received class index {index}, but `{name}` has "
                f"{len(values)} classes"
            )
        return values[index]

    def named(index: int) -> str:
        if class_names is None:
            return f"class {index}"
        name = str(pick(class_names, index, "class_names"))
        return name if len(name) <= 20 else name[:19] + "…"

    captions = []
    for i in range(count):
        lines, verdict, color = [], [], "black"
        if truth is not None:
            lines.append(f"true: {named(truth[i])}")
        if said is not None:
            lines.append(f"predicted: {named(said[i])}")
            if probabilities is not None:
                probability = pick(probabilities[i], said[i], "probabilities")
                verdict.append(f"{probability:.0%}")
            if truth is not None:
                right = truth[i] == said[i]
                verdict.append("right" if right else "WRONG")
                color = RIGHT_COLOR if right else WRONG_COLOR
        if verdict:
            lines.append(", ".join(verdict))
        captions.append(("\n".join(lines), color))
    return captions


def make_notes(maps: np.ndarray, scale: str) -> list[str]:
    """Text below each overlay: what its colors alone would not tell."""
    ranges = "" if scale == "fixed" else "{:.3g} to {:.3g}"
    return [
        f"(flat map: {values.mean():.3g})"
        if flat
        else ranges.format(values.min(), values.max())
        for values, flat in zip(maps, is_flat(maps), strict=True)
    ]


def draw_grid(
    photos: np.ndarray,
    overlays: np.ndarray,
    captions: list[tuple[str, str]],
    notes: list[str],
    columns: int,
    title: str | None,
) -> Figure:
    """Place the pictures, in inches, right of them room for a colour bar."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(columns, len(photos))
    rows = math.ceil(len(photos) / columns)
    cell = CELL * photos.shape[1] / photos.shape[2]
    above = LINE * max(len(text.splitlines()) for text, _ in captions)
    row_height = above + 2 * cell + GAP / 2 + LINE * any(notes) + GAP
    width = GAP + columns * (CELL + GAP) + BAR
    title_lines = textwrap.wrap(title or "", int(9 * width))
    top = GAP + LINE * (1.4 * len(title_lines) + bool(title_lines))
    height = top + rows * row_height
    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    figure.text(
        GAP / width,
        1 - GAP / height,
        "\n".join(title_lines),
        va="top",
        size=12,
        weight="bold",
        parse_math=False,
    )
    for index, (caption, color) in enumerate(captions):
        row, column = divmod(index, columns)
        left = (GAP + column * (CELL + GAP)) / width
        bottom = height - top - row * row_height - above - cell
        size = CELL / width, cell / height
        photo_axes = figure.add_axes((left, bottom / height, *size))
        photo_axes.imshow(photos[index], aspect="auto")
        photo_axes.set_title(
            caption,
            loc="left",
            size=8,
            color=color,
            pad=3,
            linespacing=1.15,
            parse_math=False,
        )
        bottom -= cell + GAP / 2
        overlay_axes = figure.add_axes((left, bottom / height, *size))
        overlay_axes.imshow(overlays[index], aspect="auto")
        figure.text(
            left, (bottom - 0.03) / height, notes[index], size=7, va="top"
        )
        for axes in (photo_axes, overlay_axes):
            axes.set_axis_off()
    return figure


def draw_color_bar(
    figure: Figure,
    maps: np.ndarray,
    scale: str,
    value_range: tuple[float, float],
    colormap: str,
    units: str,
) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    width = figure.get_figwidth()
    photo, overlay = (axes.get_position() for axes in figure.axes[:2])
    left, bottom = 1 - (BAR - GAP) / width, overlay.y0
    axes = figure.add_axes((left, bottom, 0.14 / width, photo.y1 - bottom))
    lowest, highest = value_range if scale == "fixed" else (0.0, 1.0)
    ends = {(1, 0): "min", (0, 1): "max", (1, 1): "both"}
    cut_off = bool(maps.min() < lowest), bool(maps.max() > highest)
    bar = figure.colorbar(
        ScalarMappable(Normalize(lowest, highest), colormap),
        cax=axes,
        extend=ends.get(cut_off, "neither") if scale == "fixed" else "neither",
    )
    if scale == "fixed":
        said = f"fixed {lowest:g}..{highest:g}"
    else:
        said = "per image min..max"
        bar.set_ticks([0, 1], labels=["min", "max"])
    bar.ax.tick_params(labelsize=8)
    bar.set_label(f"attention {units}, {said}", size=9)


def file_type_of(path: str | os.PathLike[str]) -> str:
    file_type = os.path.splitext(path)[1].lower()
    if file_type not in FILE_TYPES:
        raise ValueError(
            f"`path` must end in one of {FILE_TYPES}. Received: {path}"
        )
    return file_type


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    file_type = file_type_of(path)
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, format=file_type[1:])
