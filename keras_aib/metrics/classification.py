"""How right, and how rightly sure, a classifier is."""

from typing import Any

import keras
import numpy as np

from keras_aib.models.output_head import find_output_head

SMALLEST_PROBABILITY = 1e-12


def class_probabilities(
    model: keras.Model, outputs: Any, output_kind: str | None = None
) -> np.ndarray:
    """What `model.predict` gave, as probabilities.

    Args:
        model: The classifier.
        outputs: `[images, outputs]`.
        output_kind: What they are, where the model does not tell itself: one
            of `keras_aib.models.output_head.OUTPUT_KINDS`.

    Returns:
        float64 `[images, classes]`; of a model with one output two columns.
    """
    return find_output_head(model, output_kind).class_probabilities(outputs)


def accuracy(probabilities: Any, labels: Any) -> float:
    """Share of images whose most probable class is the right one.

    Args:
        probabilities: `[images, classes]`.
        labels: True classes, integers `[images]`.

    Example:

    ```python
    from keras_aib.metrics import accuracy

    accuracy([[0.9, 0.1], [0.8, 0.2]], [0, 1])  # 0.5
    ```
    """
    probabilities, labels = _checked(probabilities, labels)
    return float(np.mean(probabilities.argmax(axis=-1) == labels))


def negative_log_likelihood(probabilities: Any, labels: Any) -> float:
    """Mean surprise at the true class, in nats: the cross-entropy.

    Args:
        probabilities: `[images, classes]`. Below 1e-12 they count as that, so
            that one hopeless image does not hide all others.
        labels: True classes, integers `[images]`.

    Example:

    ```python
    from keras_aib.metrics import negative_log_likelihood

    negative_log_likelihood([[0.5, 0.5]], [1])  # 0.693
    ```
    """
    probabilities, labels = _checked(probabilities, labels)
    of_truth = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)).mean())


def expected_calibration_error(
    probabilities: Any, labels: Any, num_bins: int = 15
) -> float:
    """How far confidence and accuracy lie apart, on average.

    Images are sorted into bins of equal width by the probability of their most
    probable class; each bin counts by its share of the images. A classifier
    that says 80% and is right in 80% of such cases has an error of 0. From
    [Guo et al., 2017](https://arxiv.org/abs/1706.04599).

    Args:
        probabilities: `[images, classes]`.
        labels: True classes, integers `[images]`.
        num_bins: Number of bins. A bin holds its upper bound.

    Returns:
        The error, 0 to 1.

    Raises:
        ValueError: If shapes, labels or `num_bins` are wrong.

    Example:

    ```python
    from keras_aib.metrics import expected_calibration_error

    expected_calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1])  # 0.4
    ```
    """
    if num_bins < 1:
        raise ValueError(
            f"`num_bins` must be 1 or more. Received: num_bins={num_bins}"
        )
    probabilities, labels = _checked(probabilities, labels)
    confidence = probabilities.max(axis=-1)
    correct = probabilities.argmax(axis=-1) == labels
    bins = np.clip(np.ceil(confidence * num_bins) - 1, 0, num_bins - 1)
    # A bin's share times its gap is the bin's sum of differences over N.
    differences = np.bincount(
        bins.astype(int), correct - confidence, minlength=num_bins
    )
    return float(np.abs(differences).sum() / len(labels))


def _checked(probabilities: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    probabilities = np.asarray(probabilities, "float64")
    labels = np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            "Expected probabilities [images, classes] and one label per "
            f"image. Received: shapes {probabilities.shape} and {labels.shape}"
        )
    num_images, num_classes = probabilities.shape
    if num_images == 0:
        raise ValueError("Expected at least one image. Received: none")
    if labels.dtype.kind not in "ui" or not (
        labels.min() >= 0 and labels.max() < num_classes
    ):
        raise ValueError(
            f"`labels` must be integers from 0 to {num_classes - 1}. "
            f"Received: dtype {labels.dtype}, {labels.min()} to {labels.max()}"
        )
    # Rounding of half precision is no reason to refuse.
    if not (probabilities.min() >= 0 and probabilities.max() <= 1 + 1e-3):
        raise ValueError(
            "`probabilities` must lie in 0..1; apply a softmax to logits. "
            f"Received: {probabilities.min():.4g} to {probabilities.max():.4g}"
        )
    return probabilities, labels
