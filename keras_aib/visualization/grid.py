"""Figures behind `visualization`: pictures, captions, colour bars, file."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from keras_aib.data.decoding import printable
from keras_aib.utils.files import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE_TYPES = (".png", ".jpg", ".jpeg", ".pdf", ".svg")

# Dark enough to read on white; the words beside them carry the same message.
RIGHT_COLOR = "#1a6b2f"
WRONG_COLOR = "#b3261e"

TOLERANCE = 1e-3
# Of the sum of a row of classes, in half precision too.
SUM_TOLERANCE = 1e-2

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


def _check_probabilities(probabilities: np.ndarray) -> None:
    lowest, highest = probabilities.min(), probabilities.max()
    if not (lowest >= -TOLERANCE and highest <= 1 + TOLERANCE):
        raise ValueError(
            "`probabilities` must lie in 0..1. Received values in "
            f"{lowest:.3g}..{highest:.3g}. Are they logits? Pass "
            "`keras.ops.softmax(logits)`, or `keras.ops.sigmoid(logits)` "
            "where a model gives several labels."
        )


def _further_labels(probabilities: np.ndarray, said: int) -> list[int]:
    """Labels above one half, where the row is no distribution of classes."""
    if abs(probabilities.sum() - 1) < SUM_TOLERANCE:
        return []
    order = np.argsort(-probabilities, kind="stable")
    return [int(i) for i in order if i != said and probabilities[i] > 0.5]


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
        _check_probabilities(probabilities)
        if probabilities.shape[1] == 1:
            # One output tells class 1 from class 0.
            probabilities = np.concatenate(
                [1 - probabilities, probabilities], axis=1
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
        name = printable(str(pick(class_names, index, "class_names")))
        return name if len(name) <= 20 else name[:19] + "…"

    captions = []
    for i in range(count):
        lines, verdict, further, color = [], [], [], "black"
        if truth is not None:
            lines.append(f"true: {named(truth[i])}")
        if said is not None:
            lines.append(f"predicted: {named(said[i])}")
            right = truth is not None and truth[i] == said[i]
            if probabilities is not None:
                probability = pick(probabilities[i], said[i], "probabilities")
                verdict.append(f"{probability:.0%}")
                for index in _further_labels(probabilities[i], said[i]):
                    share = f"{probabilities[i][index]:.0%}"
                    further.append(f"and: {named(index)}, {share}")
                    right |= truth is not None and truth[i] == index
            if truth is not None:
                verdict.append("right" if right else "WRONG")
                color = RIGHT_COLOR if right else WRONG_COLOR
        if verdict:
            lines.append(", ".join(verdict))
        lines += further
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
    columns = min(columns, len(photos))
    rows = math.ceil(len(photos) / columns)
    cell = CELL * photos.shape[1] / photos.shape[2]
    above = height_above(captions)
    row_height = above + 2 * cell + GAP / 2 + LINE * any(notes) + GAP
    width = GAP + columns * (CELL + GAP) + BAR
    figure, top = new_figure(width, rows * row_height, title)
    height = figure.get_figheight()
    for index, caption in enumerate(captions):
        row, column = divmod(index, columns)
        left = GAP + column * (CELL + GAP)
        bottom = height - top - row * row_height - above - cell
        place_picture(figure, photos[index], left, bottom, caption)
        bottom -= cell + GAP / 2
        place_picture(figure, overlays[index], left, bottom)
        figure.text(
            left / width,
            (bottom - 0.03) / height,
            notes[index],
            size=7,
            va="top",
        )
    return figure


def height_above(captions: list[tuple[str, str]]) -> float:
    """Inches that the longest caption takes."""
    return LINE * max(len(text.splitlines()) for text, _ in captions)


def new_figure(
    width: float, body_height: float, title: str | None
) -> tuple[Figure, float]:
    """A figure with its title, and the inches that the title takes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    title_lines = textwrap.wrap(printable(title or ""), int(9 * width))
    top = GAP + LINE * (1.4 * len(title_lines) + bool(title_lines))
    height = top + body_height
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
    return figure, top


def place_picture(
    figure: Figure,
    pixels: np.ndarray,
    left: float,
    bottom: float,
    caption: tuple[str, str] = ("", "black"),
) -> None:
    """Draw a picture at inches from the corner, its caption above it."""
    width, height = figure.get_size_inches()
    cell = CELL * pixels.shape[0] / pixels.shape[1]
    axes = figure.add_axes(
        (left / width, bottom / height, CELL / width, cell / height)
    )
    axes.imshow(pixels, aspect="auto")
    text, color = caption
    axes.set_title(
        text,
        loc="left",
        size=8,
        color=color,
        pad=3,
        linespacing=1.15,
        parse_math=False,
    )
    axes.set_axis_off()


def draw_color_bar(
    figure: Figure,
    maps: np.ndarray,
    scale: str,
    value_range: tuple[float, float],
    colormap: str,
    units: str,
) -> None:
    width = figure.get_figwidth()
    photo, overlay = (axes.get_position() for axes in figure.axes[:2])
    left, bottom = 1 - (BAR - GAP) / width, overlay.y0
    place = (left, bottom, 0.14 / width, photo.y1 - bottom)
    if scale == "fixed":
        bar = make_color_bar(figure, place, maps, value_range, colormap)
        said = "fixed {:g}..{:g}".format(*value_range)
    else:
        bar = make_color_bar(figure, place, None, (0.0, 1.0), colormap)
        bar.set_ticks([0, 1], labels=["min", "max"])
        said = "per image min..max"
    bar.set_label(f"attention {units}, {said}", size=9)


def make_color_bar(
    figure: Figure,
    place: tuple[float, float, float, float],
    maps: np.ndarray | None,
    value_range: tuple[float, float],
    colormap: str,
    orientation: str = "vertical",
) -> Any:
    """A colour bar, with arrows where the range cuts values of `maps`."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    ends = {(True, False): "min", (False, True): "max", (True, True): "both"}
    lowest, highest = value_range
    cut_off = (False, False)
    if maps is not None:
        cut_off = bool(maps.min() < lowest), bool(maps.max() > highest)
    bar = figure.colorbar(
        ScalarMappable(Normalize(lowest, highest), colormap),
        cax=figure.add_axes(place),
        extend=ends.get(cut_off, "neither"),
        orientation=orientation,
    )
    bar.ax.tick_params(labelsize=8)
    return bar


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
