"""Find where a layer's positions are by changing the image in bands."""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from keras_aib.graph.placement import Placement
from keras_aib.utils.image_batches import fill_up

BANDS = 16
# Of the largest change: less is rounding.
SMALLEST_CHANGE = 1e-6
SMALLEST_PEAK = 1e-4
# Of a cell: a part of the image that a stride leaves over.
LARGEST_MARGIN = 0.25
LARGEST_MISFIT = 1.5

Run = Callable[[np.ndarray], Sequence[np.ndarray]]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Response:
    """How one layer's output follows changes of rows and of columns.

    Attributes:
        rows: For each axis of the output, how much each of its positions
            changes with each band of rows, `[bands, positions]`.
        columns: The same for bands of columns.
        row_edges: Pixels at which bands of rows begin and end.
        column_edges: The same for columns.
    """

    rows: list[np.ndarray]
    columns: list[np.ndarray]
    row_edges: np.ndarray
    column_edges: np.ndarray

    def row_centres(self, axis: int) -> np.ndarray:
        """Pixel row that each position of an axis sees, NaN for none."""
        return centres_of(self.rows[axis], self.row_edges)

    def column_centres(self, axis: int) -> np.ndarray:
        """Pixel column that each position of an axis sees."""
        return centres_of(self.columns[axis], self.column_edges)


class Probe:
    """Changes boxes of an image and looks at what changes in the features.

    Args:
        run: From a batch of images to the features of each layer.
        images: A few images `[N, ...]`, on the scale that the model takes.
        channels_first: Of the images.
        batch_size: Images that `run` takes at once.
    """

    def __init__(
        self,
        run: Run,
        images: np.ndarray,
        channels_first: bool,
        batch_size: int,
    ) -> None:
        self._run, self._batch_size = run, batch_size
        self._images, self._channels_first = images, channels_first
        low, high = float(images.min()), float(images.max())
        random = np.random.default_rng(0)
        other = random.uniform(
            low, high if high > low else low + 1, images.shape
        )
        self._other = other.astype(images.dtype)
        self._size = images.shape[2:] if channels_first else images.shape[1:3]
        self._plain = self._features(images)

    def responses(self) -> list[Response]:
        """Of each layer."""
        height, width = self._size
        rows, columns = _edges(height), _edges(width)
        boxes = [(a, b, 0, width) for a, b in pairwise(rows)]
        boxes += [(0, height, a, b) for a, b in pairwise(columns)]
        count = len(rows) - 1
        changes = self.changes(boxes)
        return [
            Response(
                [x[:count] for x in axes],
                [x[count:] for x in axes],
                rows,
                columns,
            )
            for axes in changes
        ]

    def changes(self, boxes: Sequence[Box]) -> list[list[np.ndarray]]:
        """Of each layer and axis, the changes `[boxes, positions]`."""
        found: list[list[list[np.ndarray]]] = [
            [[] for _ in values.shape[1:]] for values in self._plain
        ]
        for box in boxes:
            for axes, plain, changed in zip(
                found,
                self._plain,
                self._features(self._changed(box)),
                strict=True,
            ):
                change = np.abs(changed - plain).sum(axis=0)
                for axis, values in enumerate(axes):
                    others = [x for x in range(change.ndim) if x != axis]
                    values.append(change.sum(axis=tuple(others)))
        return [[np.array(x) for x in axes] for axes in found]

    def seen(self, response: Response, layer: int) -> Placement:
        """The part of the image that changes anything, to the pixel."""
        height, width = self._size

        def strip(rows: bool, low: int, high: int) -> Box:
            return (low, high, 0, width) if rows else (0, height, low, high)

        spans = []
        for rows, changes, edges in (
            (True, response.rows[0], response.row_edges),
            (False, response.columns[0], response.column_edges),
        ):
            total = changes.sum(axis=1)
            least = SMALLEST_CHANGE * total.max()
            alive = np.flatnonzero(total > least)

            def moves(
                low: int,
                high: int,
                rows: bool = rows,
                least: float = least,
            ) -> bool:
                box = strip(rows, low, high)
                return self.changes([box])[layer][0].sum() > least

            low, high = edges[alive[0]], edges[alive[0] + 1]
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (low, middle) if moves(0, middle) else (middle, high)
                )
            start = low
            low, high = edges[alive[-1]], edges[alive[-1] + 1]
            while high - low > 1:
                middle = (low + high) // 2
                if moves(middle, edges[-1]):
                    low = middle
                else:
                    high = middle
            spans.append((float(start), float(high)))
        return Placement(*spans)

    def _changed(self, box: Box) -> np.ndarray:
        top, bottom, left, right = box
        rows, columns = slice(top, bottom), slice(left, right)
        where = (
            (..., rows, columns)
            if self._channels_first
            else (slice(None), rows, columns)
        )
        images = self._images.copy()
        images[where] = self._other[where]
        return images

    def _features(self, images: np.ndarray) -> list[np.ndarray]:
        parts: list[Any] = []
        for start in range(0, len(images), self._batch_size):
            batch = images[start : start + self._batch_size]
            found = self._run(fill_up(batch, self._batch_size))
            parts.append(
                [np.asarray(x, "float32")[: len(batch)] for x in found]
            )
        return [np.concatenate(x) for x in zip(*parts, strict=True)]


def centres_of(changes: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Where each position looks: the middle of what changes it most.

    What changes every position a little, such as attention or a norm over the
    whole map, is left out.

    Args:
        changes: `[bands, positions]`.
        edges: Pixels at which bands begin and end.
    """
    middles = (edges[:-1] + edges[1:]) / 2
    least, most = np.median(changes, axis=0), changes.max(axis=0)
    least = np.where(least < most, least, changes.min(axis=0))
    weights = np.maximum(changes - (least + most) / 2, 0)
    total = weights.sum(axis=0)
    alive = (most - least > SMALLEST_PEAK * changes.max()) & (total > 0)
    centres = (middles @ weights) / np.where(alive, total, 1)
    return np.where(alive, centres, np.nan)


def span_of(
    centres: np.ndarray, seen: tuple[float, float], edges: np.ndarray
) -> tuple[float, float] | None:
    """Pixels at which a map's first cell begins and its last one ends.

    Args:
        centres: Pixel that each cell sees.
        seen: First and last pixel that change anything.
        edges: Of the bands with which that was found.

    Returns:
        The whole image or the part that is seen, where that is what the cells
        look at; else what fits them best; `None` if no even spacing does.
    """
    length, cells = float(edges[-1]), len(centres)
    start, stop = seen
    cell = (stop - start) / cells
    if start + length - stop <= LARGEST_MARGIN * cell:
        start, stop, cell = 0.0, length, length / cells
    index = np.flatnonzero(~np.isnan(centres))
    if cells == 1 or len(index) < 2:
        return start, stop
    values = centres[index]
    pairs = np.triu_indices(len(index), 1)
    slopes = (values[None] - values[:, None])[pairs] / (
        (index[None] - index[:, None])[pairs]
    )
    slope = float(np.median(slopes))
    offset = float(np.median(values - slope * index))
    band = length / (len(edges) - 1)
    if slope < 0:
        start, stop = stop, start
    even = start + (index + 0.5) * (stop - start) / cells
    # Cells at the end that see no pixel lie beyond the image.
    beyond = np.isnan(centres[[0, -1]]).any()
    tolerance = LARGEST_MISFIT * max(cell, band / 2)
    if not beyond and np.abs(values - even).mean() <= tolerance:
        return start, stop
    misfit = np.abs(values - (offset + slope * index)).mean()
    if not slope or misfit > max(cell, band):
        return None
    return offset - slope / 2, offset + slope * (cells - 0.5)


def _edges(length: int) -> np.ndarray:
    count = min(length, BANDS)
    return np.linspace(0, length, count + 1).round().astype("int64")
