"""Correlation that is defined for what does not vary."""

import numpy as np

# Float32 outputs of one model differ by rounding between batches; less than
# this share of their size is no variation.
ROUNDING = 1e-6


def correlate_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation along the last axis.

    Args:
        first: Any shape.
        second: The same shape.

    Returns:
        One axis less, -1 to 1; 0 where either does not vary.
    """
    return np.mean(_standardize(first) * _standardize(second), axis=-1)


def _standardize(values: np.ndarray) -> np.ndarray:
    deviations = values - values.mean(axis=-1, keepdims=True)
    spread = values.std(axis=-1, keepdims=True)
    size = np.abs(values).max(axis=-1, keepdims=True)
    zeros = np.zeros_like(deviations)
    varies = spread > ROUNDING * size
    return np.divide(deviations, spread, out=zeros, where=varies)
