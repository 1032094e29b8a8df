"""What a bottleneck has to keep: the loss of an image's outputs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_aib.attribution.class_probabilities import are_probabilities
from keras_aib.fill_up import fill_up

SMALLEST_PROBABILITY = 1e-7

Targets = Any | Callable[[Any], Any] | None


class Objective:
    """Turns outputs into one loss a row, in nats.

    Args:
        targets: Class of each image; `None` for the predicted one; or a
            function of the outputs `[rows, ...]` that returns a loss a row.
        num_images: Count of images.

    Raises:
        ValueError: If classes are not one integer per image.
    """

    def __init__(self, targets: Targets, num_images: int) -> None:
        self.function = targets if callable(targets) else None
        self.labels: np.ndarray | None = None
        self._gives_probabilities: bool | None = None
        if targets is None or self.function is not None:
            return
        labels = np.asarray(ops.convert_to_numpy(targets))
        if labels.shape != (num_images,) or labels.dtype.kind not in "ui":
            raise ValueError(
                "`targets` must be one integer class per image "
                f"[{num_images}], None for the predicted class, or a function "
                f"of the outputs. Received: {labels.dtype} {labels.shape}. "
                "One-hot targets: `targets.argmax(-1)`."
            )
        self.labels = labels

    def labels_of(self, outputs: Any, start: int) -> np.ndarray:
        """Classes of a batch, int32; zeros where a function is the loss.

        Args:
            outputs: Outputs for the images as they are; the last batch is
                filled up with more of them.
            start: Index of the first image.

        Raises:
            ValueError: If the outputs are no classes, or a label is not
                among them.
        """
        if not hasattr(outputs, "shape"):
            raise ValueError(
                "`model` must give one tensor, logits or probabilities. "
                f"Received outputs of type {type(outputs).__name__}. Choose "
                "one: `keras.Model(model.inputs, model.outputs[0])`."
            )
        if self.function is not None:
            return np.zeros(outputs.shape[0], "int32")
        outputs = ops.convert_to_numpy(outputs)
        if outputs.ndim != 2 or outputs.shape[1] < 2:
            raise ValueError(
                "Expected a classifier's outputs [images, classes], two "
                f"classes or more. Received: shape {outputs.shape}. Pass a "
                "function of the outputs as `targets`, which returns a loss "
                "per row."
            )
        if self._gives_probabilities is None:
            self._gives_probabilities = are_probabilities(outputs)
        if self.labels is None:
            return outputs.argmax(axis=-1).astype("int32")
        labels = self.labels[start : start + len(outputs)]
        if labels.min() < 0 or labels.max() >= outputs.shape[1]:
            raise ValueError(
                f"`targets` must lie in 0..{outputs.shape[1] - 1}, the "
                f"model's classes. Received: {labels.min()} to "
                f"{labels.max()}."
            )
        return fill_up(labels, len(outputs)).astype("int32")

    @property
    def key(self) -> Any:
        """What a compiled function of `losses` depends on."""
        return self.function or self._gives_probabilities

    def losses(self, outputs: Any, labels: Any) -> Any:
        """Cross-entropy of each row in nats, or what the function says."""
        outputs = ops.cast(outputs, "float32")
        if self.function is not None:
            losses = self.function(outputs)
            if tuple(losses.shape) != (outputs.shape[0],):
                raise ValueError(
                    "A function as `targets` must return one loss per row "
                    f"[{outputs.shape[0]}]. Received: shape {losses.shape}."
                )
            return losses
        if self._gives_probabilities:
            logs = ops.log(ops.maximum(outputs, SMALLEST_PROBABILITY))
        else:
            logs = ops.log_softmax(outputs)
        wanted = ops.one_hot(labels, outputs.shape[-1], dtype=logs.dtype)
        return -ops.sum(wanted * logs, axis=-1)
