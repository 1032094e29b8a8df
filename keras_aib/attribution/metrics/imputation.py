"""Pixels that were taken out, filled in from those that stayed."""

import numpy as np

from keras_aib.utils.requirements import require

# Steps to a neighbour, and its weight in the mean that a pixel becomes.
NEIGHBOURS = (
    (-1, -1, 1 / 12),
    (-1, 0, 1 / 6),
    (-1, 1, 1 / 12),
    (0, -1, 1 / 6),
    (0, 1, 1 / 6),
    (1, -1, 1 / 12),
    (1, 0, 1 / 6),
    (1, 1, 1 / 12),
)


def impute(
    image: np.ndarray,
    removed: np.ndarray,
    noise_stddev: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Make every removed pixel the weighted mean of its eight neighbours.

    The neighbours may be removed themselves: all means are solved at once. At
    the border the neighbours that exist share the whole weight.

    Args:
        image: `[height, width, channels]`.
        removed: `[height, width]`, true where a pixel was taken out; one at
            least must stay.
        noise_stddev: Standard deviation of the noise on the filled pixels, in
            the units of the image. Without noise a model could read the shape
            of the removed area off its smoothness.
        generator: Draws the noise.

    Returns:
        float64, like `image`.

    Raises:
        ImportError: If SciPy is missing.
    """
    sparse = require("scipy.sparse", "ROAD", "attribution")
    linalg = require("scipy.sparse.linalg", "ROAD", "attribution")
    filled = np.array(image, "float64").reshape(removed.size, -1)
    places = np.flatnonzero(removed)
    if len(places) == 0:
        return filled.reshape(image.shape)
    values, indices, known = _equations(filled, removed, places)
    # Symmetric and positive definite: it needs no pivots, and the ordering
    # for symmetric matrices fills in least.
    factors = linalg.splu(
        sparse.coo_array((values, indices)).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    noise = noise_stddev * generator.standard_normal(known.shape)
    filled[places] = factors.solve(known) + noise
    return filled.reshape(image.shape)


def _equations(
    pixels: np.ndarray, removed: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Entries of the matrix, where they stand, and the right-hand sides."""
    height, width = removed.shape
    rows, columns = np.divmod(places, width)
    unknowns = np.arange(len(places))
    number = np.full(removed.size, -1)
    number[places] = unknowns
    diagonal = np.zeros(len(places))
    known = np.zeros((len(places), pixels.shape[1]))
    values, equations, numbers = [diagonal], [unknowns], [unknowns]
    for down, right, weight in NEIGHBOURS:
        row, column = rows + down, columns + right
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        diagonal += weight * inside
        equation = unknowns[inside]
        neighbour = row[inside] * width + column[inside]
        stays = number[neighbour] < 0
        known[equation[stays]] += weight * pixels[neighbour[stays]]
        equations.append(equation[~stays])
        numbers.append(number[neighbour[~stays]])
        values.append(np.full(len(numbers[-1]), -weight))
    indices = np.concatenate(equations), np.concatenate(numbers)
    return np.concatenate(values), indices, known
