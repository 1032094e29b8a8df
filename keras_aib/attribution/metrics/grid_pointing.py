"""Does a map point at the right one of many images in a grid?"""

from typing import Any

import keras
import numpy as np

from keras_aib.attribution.metrics.localisation import mass_inside
from keras_aib.attribution.metrics.metric_result import MetricResult
from keras_aib.utils.checks import check_positive_integer


def make_grid(images: Any, rows: int, columns: int) -> np.ndarray:
    """Lay images of different classes beside and below each other.

    Args:
        images: `[images, height, width, channels]`, `rows * columns` for each
            grid, in the order they are read.
        rows: Images below each other.
        columns: Images beside each other.

    Returns:
        `[grids, rows * height, columns * width, channels]`, dtype of `images`.

    Raises:
        ValueError: If the images do not fill whole grids.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution import metrics

    images = np.zeros((8, 16, 16, 3), "uint8")
    metrics.make_grid(images, rows=2, columns=2).shape  # (2, 32, 32, 3)
    ```
    """
    check_positive_integer("rows", rows)
    check_positive_integer("columns", columns)
    images = keras.ops.convert_to_numpy(images)
    if images.ndim != 4 or len(images) == 0 or len(images) % (rows * columns):
        raise ValueError(
            "Expected images [images, height, width, channels], "
            f"{rows * columns} for every grid of {rows} x {columns}. Received: "
            f"shape {images.shape}."
        )
    _, height, width, channels = images.shape
    tiles = images.reshape(-1, rows, columns, height, width, channels)
    return tiles.transpose(0, 1, 3, 2, 4, 5).reshape(
        -1, rows * height, columns * width, channels
    )


def grid_pointing_game(
    maps: Any, tiles: Any, rows: int, columns: int
) -> MetricResult:
    """Share of a map's positive sum that lies in the tile of the target.

    Where other data needs boxes drawn by hand, a grid knows where its classes
    are. A map that does not depend on the target scores `1 / (rows * columns)`
    on average.

    Paper: Böhle et al., "Convolutional Dynamic Alignment Networks for
    Interpretable Classifications", CVPR 2021.

    Args:
        maps: Maps of grids, `[grids, height, width]`. Negative values count
            as none.
        tiles: The tile of each map's target, `[grids]` integers, counted in
            the order they are read.
        rows: Images below each other.
        columns: Images beside each other.

    Returns:
        `MetricResult`, 0 to 1; 0 for a map without positive values.

    Raises:
        ValueError: If the maps are no multiple of the grid, not finite, or a
            tile is not in the grid.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution import metrics

    maps = np.ones((1, 32, 32))
    metrics.grid_pointing_game(maps, tiles=[3], rows=2, columns=2).mean  # 0.25
    ```
    """
    check_positive_integer("rows", rows)
    check_positive_integer("columns", columns)
    maps, tiles = np.asarray(maps, "float64"), np.asarray(tiles)
    if maps.ndim != 3 or maps.shape[1] % rows or maps.shape[2] % columns:
        raise ValueError(
            "`maps` must be [grids, height, width] with tiles of whole pixels "
            f"in {rows} x {columns}. Received: shape {maps.shape}."
        )
    if (
        tiles.shape != maps.shape[:1]
        or tiles.dtype.kind not in "iu"
        or not np.all((tiles >= 0) & (tiles < rows * columns))
    ):
        raise ValueError(
            f"`tiles` must be {len(maps)} integers in 0..{rows * columns - 1}, "
            f"one a grid. Received: dtype {tiles.dtype}, {tiles}."
        )
    numbers = np.arange(rows * columns).reshape(rows, columns)
    cell = maps.shape[1] // rows, maps.shape[2] // columns
    masks = np.kron(numbers, np.ones(cell, int)) == tiles[:, None, None]
    return MetricResult(
        "grid_pointing_game",
        mass_inside(np.maximum(maps, 0), masks).values,
        {"rows": rows, "columns": columns},
    )
