"""Curves of a probability while an image turns into its substrate."""

from typing import Any

import numpy as np

from keras_aib.attribution.metrics.judged_maps import JudgedMaps
from keras_aib.attribution.metrics.substrates import make_substrate


def replacement_curves(
    judged: JudgedMaps,
    ranks: np.ndarray,
    counts: np.ndarray,
    substrate: Any,
    insert: bool = False,
) -> np.ndarray:
    """Probability of the target with ever more pixels replaced.

    Args:
        judged: Model, images and targets.
        ranks: Order of the pixels, `[images, height, width]`.
        counts: How many ranks are replaced at each point.
        substrate: What replaces them.
        insert: Start from the substrate and put the image back instead.

    Returns:
        `[images, points]`.
    """
    substrate_of = make_substrate(substrate, judged)
    curves = np.empty((len(judged), len(counts)))
    for rows, points in judged.batches(len(counts)):
        replaced = ranks[rows] < counts[points][:, None, None]
        changed = np.where(
            replaced[..., None] == insert,
            judged.images[rows],
            substrate_of(rows),
        )
        curves[rows, points] = judged.target_probabilities(changed, rows)
    return curves


def area_under(curves: np.ndarray) -> np.ndarray:
    """Trapezoid over the points, divided by the steps between them."""
    return np.trapezoid(curves, axis=1) / (curves.shape[1] - 1)
