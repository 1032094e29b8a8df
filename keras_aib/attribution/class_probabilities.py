"""What a classifier says, whether it gives logits or probabilities."""

from typing import Any

import numpy as np

TOLERANCE = 1e-3


def are_probabilities(outputs: Any) -> bool:
    """Whether all rows of `outputs` are distributions over the classes.

    A Keras model does not tell whether it ends in a softmax; its outputs do.

    Args:
        outputs: `[images, classes]`.
    """
    outputs = np.asarray(outputs, "float64")
    return bool(
        outputs.min() >= 0
        and np.allclose(outputs.sum(axis=-1), 1.0, atol=TOLERANCE)
    )


def class_probabilities(outputs: Any) -> np.ndarray:
    """Outputs of a classifier, logits or probabilities, as probabilities.

    Args:
        outputs: `[images, classes]`, two classes or more.

    Returns:
        float64 `[images, classes]`.

    Raises:
        ValueError: If there are fewer than two classes, or the shape differs.
    """
    outputs = np.asarray(outputs, "float64")
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise ValueError(
            "Expected a classifier's outputs [images, classes], two classes "
            f"or more. Received: shape {outputs.shape}."
        )
    if are_probabilities(outputs):
        return outputs
    return softmax(outputs)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits `[images, classes]`, of any size."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
