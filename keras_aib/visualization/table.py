"""The figure behind `visualization.plot_explanations`."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from keras_aib.visualization import grid
from keras_aib.visualization.grid import CELL
from keras_aib.visualization.grid import GAP
from keras_aib.visualization.grid import LINE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches: a colour bar, with its numbers and its unit below it.
BAR_HEIGHT, BELOW = 0.1, 0.42
LETTERS = 26

# Above it lie few pixels, which would turn all others dark.
SHOWN_SHARE = 0.998


@dataclass(frozen=True)
class Column:
    """One kind of map.

    Attributes:
        name: Stands above the column.
        maps: `[images, rows, columns]`.
        overlays: Pictures `[images, height, width, 3]`.
        value_range: The values that the first and last colour stand for.
        units: Of the values.
    """

    name: str
    maps: np.ndarray
    overlays: np.ndarray
    value_range: tuple[float, float]
    units: str


def range_of(maps: np.ndarray) -> tuple[float, float]:
    """From 0, or the lowest value below, to where nearly all values end."""
    lowest = min(0.0, float(maps.min()))
    # Not between two values: of a coarse map each cell counts.
    highest = float(np.quantile(maps, SHOWN_SHARE, method="higher"))
    if highest <= lowest:
        highest = float(maps.max())
    return lowest, highest if highest > lowest else lowest + 1.0


def draw_table(
    photos: np.ndarray,
    columns: list[Column],
    captions: list[tuple[str, str]],
    colormap: str,
    title: str | None,
) -> Figure:
    """A row per photo, a column per kind of map, colour bars below."""
    from matplotlib.ticker import MaxNLocator

    names = [textwrap.wrap(column.name, LETTERS) for column in columns]
    cell = CELL * photos.shape[1] / photos.shape[2]
    above = grid.height_above(captions)
    # The names stand beside the first caption, and may be the higher.
    header = 1.4 * LINE * max(len(lines) for lines in names) + GAP / 2 - above
    header = max(0.0, header)
    row_height = above + cell + GAP
    width = GAP + (1 + len(columns)) * (CELL + GAP)
    figure, top = grid.new_figure(
        width,
        header + len(photos) * row_height + BAR_HEIGHT + BELOW,
        title,
    )
    height = figure.get_figheight()
    bottoms = [
        height - top - header - (row + 1) * row_height + GAP
        for row in range(len(photos))
    ]
    for photo, bottom, caption in zip(photos, bottoms, captions, strict=True):
        grid.place_picture(figure, photo, GAP, bottom, caption)
    for index, (column, lines) in enumerate(zip(columns, names, strict=True)):
        left = GAP + (1 + index) * (CELL + GAP)
        figure.text(
            left / width,
            (bottoms[0] + cell + GAP / 4) / height,
            "\n".join(lines),
            size=9,
            weight="bold",
            va="bottom",
            parse_math=False,
        )
        for overlay, bottom in zip(column.overlays, bottoms, strict=True):
            grid.place_picture(figure, overlay, left, bottom)
        place = left / width, BELOW / height, CELL / width, BAR_HEIGHT / height
        bar = grid.make_color_bar(
            figure,
            place,
            column.maps,
            column.value_range,
            colormap,
            orientation="horizontal",
        )
        # Small numbers are long, and would run into each other.
        bar.set_ticks(MaxNLocator(3))
        bar.set_label(column.units, size=8)
    return figure
