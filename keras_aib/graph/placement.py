"""Which pixels the rows and columns of a feature map lie over."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Placement:
    """Where a feature map lies on the image.

    A crop inside the model leaves the map over a part of the image, padding
    makes it reach beyond, a flip turns it round.

    Attributes:
        rows: Pixel, counted from the upper edge, at which the first row
            begins, and at which the last one ends; the second is smaller
            where the map is upside down.
        columns: The same from the left.
    """

    rows: tuple[float, float]
    columns: tuple[float, float]

    def draw(self, maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Maps `[B, rows, columns]` on images of `size`, bilinear.

        What lies beyond the image is left out; pixels that the map does not
        reach are 0. Sums are kept.
        """
        down = _weights(self.rows, maps.shape[1], size[0])
        across = _weights(self.columns, maps.shape[2], size[1])
        drawn = np.einsum("hr,brc,wc->bhw", down, maps, across)
        return drawn.astype("float32")


def _weights(span: tuple[float, float], cells: int, pixels: int) -> np.ndarray:
    """How much of each cell goes to each pixel, `[pixels, cells]`."""
    start, stop = span
    centres = np.arange(pixels) + 0.5
    reached = (centres > min(span)) & (centres < max(span))
    position = (centres - start) / (stop - start) * cells - 0.5
    position = position.clip(0, cells - 1)
    weights = 1 - np.abs(position[:, None] - np.arange(cells))
    weights = np.maximum(weights, 0) * reached[:, None]
    # A cell that is on the image gives all that it has.
    edges = start + (stop - start) * np.arange(cells + 1) / cells
    inside = (np.minimum(edges[1:], edges[:-1]) >= -1e-6) & (
        np.maximum(edges[1:], edges[:-1]) <= pixels + 1e-6
    )
    total = weights.sum(axis=0)
    share = np.where(inside & (total > 0), 1 / np.maximum(total, 1e-12), 0.0)
    partly = ~inside & (total > 0)
    share[partly] = cells / abs(stop - start)
    return weights * share
