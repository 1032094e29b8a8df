"""What a bottleneck has to keep: the loss of an image's outputs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aib.models.output_head import OutputHead
from keras_aib.models.output_head import find_output_head
from keras_aib.utils.image_batches import fill_up

Targets = Any | Callable[[Any], Any] | None


class Objective:
    """Turns outputs into one loss a row, in nats.

    Args:
        targets: Class or label of each image; `None` for the most probable
            one; or a function of the outputs `[rows, ...]` that returns a
            loss a row.
        num_images: Count of images.
        model: The classifier, which tells what its outputs are; needed for
            classes only.
        output_kind: What the model does not tell.

    Raises:
        ValueError: If classes are not one integer per image.
    """

    def __init__(
        self,
        targets: Targets,
        num_images: int,
        model: keras.Model | None = None,
        output_kind: str | None = None,
    ) -> None:
        self.function = targets if callable(targets) else None
        self.labels: np.ndarray | None = None
        self._model, self._output_kind = model, output_kind
        self._head: OutputHead | None = None
        if targets is None or self.function is not None:
            return
        labels = np.asarray(ops.convert_to_numpy(targets))
        if labels.shape != (num_images,) or labels.dtype.kind not in "ui":
            raise ValueError(
                "`targets` must be one integer class per image "
                f"[{num_images}], None for the predicted class, or a function "
                f"of the outputs. Received: {labels.dtype} {labels.shape}. "
                "One-hot targets: `targets.argmax(-1)`. Of several labels, "
                "one is explained at a time."
            )
        self.labels = labels

    def labels_of(
        self, outputs: Any, start: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Classes of a batch and their probabilities.

        Args:
            outputs: Outputs for the images as they are; the last batch is
                filled up with more of them.
            start: Index of the first image.

        Returns:
            Classes, int32, zeros where a function is the loss; and what the
            model says of them, NaN there.

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
            size = outputs.shape[0]
            return np.zeros(size, "int32"), np.full(size, np.nan)
        if len(outputs.shape) != 2:
            raise ValueError(
                "Expected a classifier's outputs [images, classes]. Received: "
                f"shape {tuple(outputs.shape)}. Pass a function of the "
                "outputs as `targets`, which returns a loss per row."
            )
        probabilities = self.head.class_probabilities(outputs)
        if self.labels is None:
            labels = probabilities.argmax(axis=-1)
        else:
            labels = self.labels[start : start + len(probabilities)]
            labels = fill_up(labels, len(probabilities))
        count = self.head.num_classes
        if labels.min() < 0 or labels.max() >= count:
            raise ValueError(
                f"`targets` must lie in 0..{count - 1}, the model's classes. "
                f"Received: {labels.min()} to {labels.max()}."
            )
        chosen = probabilities[np.arange(len(labels)), labels]
        return labels.astype("int32"), chosen

    @property
    def head(self) -> OutputHead:
        """What the model's outputs are.

        Raises:
            ValueError: If nothing tells.
        """
        if self._head is None:
            if self._model is None:
                raise ValueError("Classes need the model that gives them.")
            self._head = find_output_head(self._model, self._output_kind)
        return self._head

    @property
    def chance(self) -> float:
        """Probability of a class of which nothing is known."""
        return 0.5 if self.head.is_multi_label else 1 / self.head.num_classes

    @property
    def key(self) -> Any:
        """What a compiled function of `losses` depends on."""
        return self.function or self.head

    def prepared_outputs(self) -> AbstractContextManager[None]:
        """Let the model give what `losses` takes.

        For classes that is what goes into a last softmax or sigmoid: where a
        probability is rounded to 0 or 1, no gradient is left.
        """
        if self.function is not None:
            return nullcontext()
        return self.head.logits_where_possible()

    def losses(self, outputs: Any, labels: Any) -> Any:
        """Cross-entropy of each row in nats, or what the function says.

        Of several labels it is the chosen label's own: of its being there, or
        for class 0 of a single output, of its not being there.

        Args:
            outputs: What the model gives within `prepared_outputs`.
            labels: Class of each row.
        """
        outputs = ops.cast(outputs, "float32")
        if self.function is not None:
            losses = self.function(outputs)
            if tuple(losses.shape) != (outputs.shape[0],):
                raise ValueError(
                    "A function as `targets` must return one loss per row "
                    f"[{outputs.shape[0]}]. Received: shape {losses.shape}."
                )
            return losses
        logs = self.head.log_probabilities(outputs)
        wanted = ops.one_hot(labels, logs.shape[-1], dtype=logs.dtype)
        return -ops.sum(wanted * logs, axis=-1)
