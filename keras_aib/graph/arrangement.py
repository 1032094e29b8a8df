"""Read off how a layer's output lies over the image."""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from keras_aib.graph.feature_layout import FeatureLayout
from keras_aib.graph.probing import Response
from keras_aib.graph.probing import centres_of
from keras_aib.graph.token_grid import MAX_PREFIX_TOKENS

# Of 2: places follow both the rows and the columns of the image.
LEAST_FOLLOWING = 0.3
LEAST_ORDER = 0.85
# What is usual is taken where it fits nearly as well as what fits best.
USUAL_SHARE = 0.8
LEAST_FIT = 0.8
USUAL_FIT = 0.05
# With more tokens, others are looked for at the ends and the middle only.
MOST_TOKENS = 400


@dataclass(frozen=True)
class ScatteredGrid:
    """Tokens of which those with a place are not simply the last ones.

    Attributes:
        places: Index of the token of each place, row by row.
        height: Rows of places.
        width: Columns of places.
        num_tokens: Length of the sequence.
    """

    places: tuple[int, ...]
    height: int
    width: int
    num_tokens: int

    @property
    def others(self) -> list[int]:
        """Indices of the tokens without a place."""
        return sorted(set(range(self.num_tokens)) - set(self.places))

    def fold(self, tokens: Any) -> Any:
        """`[B, tokens, C]` to `[B, height, width, C]`."""
        places = ops.take(tokens, np.array(self.places), axis=1)
        shape = (-1, self.height, self.width, tokens.shape[-1])
        return ops.reshape(places, shape)

    def unfold(self, features: Any, tokens: Any) -> Any:
        """`features` as tokens again; those without a place as they are."""
        shape = (-1, self.height * self.width, features.shape[-1])
        values = ops.reshape(features, shape)
        if self.others:
            others = ops.take(tokens, np.array(self.others), axis=1)
            values = ops.concatenate(
                [values, ops.cast(others, values.dtype)], axis=1
            )
        order = np.argsort([*self.places, *self.others])
        return ops.take(values, order, axis=1)


def arranged_map(layout: FeatureLayout, response: Response) -> FeatureLayout:
    """Layout of a feature map of which any axis may hold the channels.

    Args:
        layout: The usual one.
        response: How the output follows the image.

    Raises:
        ValueError: If no two axes follow the image.
    """
    height, width = response.row_edges[-1], response.column_edges[-1]
    down = [_follows(response.row_centres(k), height) for k in range(3)]
    across = [_follows(response.column_centres(k), width) for k in range(3)]
    scores = {
        (r, c): down[r] + across[c]
        for r in range(3)
        for c in range(3)
        if r != c
    }
    usual = (1, 2) if layout.channel_axis == 1 else (0, 1)
    best = max(scores, key=lambda axes: scores[axes])
    if scores[usual] >= USUAL_SHARE * scores[best]:
        best = usual
    orders = (
        _order(response.row_centres(best[0])),
        _order(response.column_centres(best[1])),
    )
    if scores[best] < LEAST_FOLLOWING or min(orders) < LEAST_ORDER:
        raise ValueError("its axes do not follow the image's rows and columns")
    if best == usual:
        return layout
    (channels,) = {0, 1, 2} - set(best)
    axis = {0: 1, 1: 2, 2: -1}[channels]
    return replace(layout, channel_axis=axis, transposed=best[0] > best[1])


def arranged_tokens(layout: FeatureLayout, response: Response) -> FeatureLayout:
    """Layout of tokens, wherever those stand that have no place.

    Args:
        layout: With the usual grid, or none where the model tells none.
        response: How the output follows the image.

    Raises:
        ValueError: If no grid fits.
    """
    count = layout.shape[0]
    rows, columns = response.row_centres(0), response.column_centres(0)
    best, score = None, 0.0
    for grid in _grids(count):
        fit = _fit(grid, rows, columns)
        if fit > score:
            best, score = grid, fit
    usual = layout.grid
    if usual is not None:
        first = usual.num_prefix_tokens
        places = tuple(range(first, count))
        same = ScatteredGrid(places, usual.height, usual.width, count)
        if _fit(same, rows, columns) >= max(score, LEAST_FIT) - USUAL_FIT:
            return layout
    if best is None or score < LEAST_FIT:
        raise ValueError(f"its {count} positions form no grid over the image")
    return replace(layout, grid=best)


def profile(
    layout: FeatureLayout, response: Response
) -> tuple[np.ndarray, np.ndarray]:
    """Pixel that each row, and that each column, of the map sees."""
    if layout.grid is None:
        down, across = layout.place_axes
        return response.row_centres(down), response.column_centres(across)
    folded = []
    for changes in (response.rows[0], response.columns[0]):
        values = layout.fold(ops.convert_to_tensor(changes[..., None]))
        folded.append(ops.convert_to_numpy(values)[..., 0])
    return (
        centres_of(folded[0].sum(axis=2), response.row_edges),
        centres_of(folded[1].sum(axis=1), response.column_edges),
    )


def _follows(centres: np.ndarray, length: float) -> float:
    """0 to 1: how far positions go through the image in their order."""
    if np.isnan(centres).all() or len(centres) == 1:
        return 0.0
    spread = np.nanmax(centres) - np.nanmin(centres)
    return _order(centres) * float(min(spread / length, 1))


def _order(centres: np.ndarray) -> float:
    """0 to 1: how evenly positions go up, or down; 1 for a single one."""
    index = np.flatnonzero(~np.isnan(centres))
    if len(centres) == 1:
        return 1.0
    if len(index) < 2 or not np.ptp(centres[index]):
        return 0.0
    return float(abs(np.corrcoef(index, centres[index])[0, 1]))


def _grids(count: int) -> Iterator[ScatteredGrid]:
    for others in range(min(MAX_PREFIX_TOKENS, count - 4) + 1):
        size = count - others
        starts = {0, size, size // 2}
        if count <= MOST_TOKENS and others:
            starts = set(range(size + 1))
        for height in range(2, size // 2 + 1):
            if size % height:
                continue
            width = size // height
            for start in sorted(starts if others else {0}):
                left = [*range(start), *range(start + others, count)]
                index = np.array(left)
                across = index.reshape(width, height).T.reshape(-1)
                yield ScatteredGrid(tuple(left), height, width, count)
                yield ScatteredGrid(
                    tuple(across.tolist()), height, width, count
                )


def _fit(grid: ScatteredGrid, rows: np.ndarray, columns: np.ndarray) -> float:
    """0 to 1: how much of where tokens look a grid explains."""
    places = np.array(grid.places)
    number = np.arange(len(places))
    total = 0.0
    for centres, index in (
        (rows[places], number // grid.width),
        (columns[places], number % grid.width),
    ):
        alive = ~np.isnan(centres)
        if alive.sum() < 3 or not np.ptp(centres[alive]):
            return 0.0
        if not np.ptp(index[alive]):
            return 0.0
        correlation = np.corrcoef(centres[alive], index[alive])[0, 1]
        total += correlation**2 * alive.mean() / 2
    # Every further token without a place is one more guess.
    return float(total) - 1e-4 * (grid.num_tokens - len(places))
