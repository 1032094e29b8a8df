"""The order in which a metric changes an image."""

import numpy as np


def pixel_ranks(maps: np.ndarray, highest_first: bool = True) -> np.ndarray:
    """Place of every pixel in the order of its map, from 0.

    Equal pixels keep the order they are read in, row by row, in either
    direction: a flat map gives the same order both ways.

    Args:
        maps: `[images, height, width]`.
        highest_first: Whether the highest pixel comes first, or the lowest.
    """
    flat = maps.reshape(len(maps), -1)
    order = np.argsort(-flat if highest_first else flat, 1, kind="stable")
    ranks = np.empty(flat.shape, "int32")
    np.put_along_axis(ranks, order, np.arange(flat.shape[1])[None], 1)
    return ranks.reshape(maps.shape)


def tile_ranks(
    maps: np.ndarray, tile_size: int, highest_first: bool = True
) -> np.ndarray:
    """The rank of the tile a pixel lies in, by the mean of its map.

    Tiles at the right and lower border are smaller where `tile_size` does not
    divide the image; the mean lets them compete.
    """
    height, width = maps.shape[1:]
    rows, columns = (np.arange(0, n, tile_size) for n in (height, width))
    sums = np.add.reduceat(np.add.reduceat(maps, rows, 1), columns, 2)
    areas = np.outer(
        np.diff(rows, append=height), np.diff(columns, append=width)
    )
    ranks = pixel_ranks(sums / areas, highest_first)
    pixel_rows = np.arange(height) // tile_size
    pixel_columns = np.arange(width) // tile_size
    return ranks[:, pixel_rows[:, None], pixel_columns]


def step_counts(total: int, steps: int) -> np.ndarray:
    """How many of `total` are changed after 0, 1, .. `steps` equal steps.

    Raises:
        ValueError: If there are more steps than things to change.
    """
    if steps > total:
        raise ValueError(
            f"An image has only {total} places to change, one a step. "
            f"Received: {steps} steps. Take fewer steps."
        )
    return np.rint(np.linspace(0, total, steps + 1)).astype(int)
