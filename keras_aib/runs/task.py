"""What is minimized for images that have one class each."""

from typing import Any

import keras
import numpy as np

from keras_aib.models.output_head import PROBABILITIES
from keras_aib.models.output_head import find_output_head


class Task:
    """Loss and accuracy of a classifier, and the targets that they take.

    Classes of which one is right cost the cross-entropy of the right one.
    Labels of which each is right or not cost the binary cross-entropy of each,
    as does a single output, which tells class 1 from class 0.

    Args:
        model: The classifier.
        output_kind: What it gives, where it does not tell itself: one of
            `keras_aib.models.output_head.OUTPUT_KINDS`.

    Raises:
        ValueError: If nothing tells what the model gives.

    Example:

    ```python
    import keras
    from keras_aib.runs.task import Task

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    task = Task(model)
    model.compile("adam", task.loss(), metrics=[task.accuracy()])
    ```
    """

    def __init__(
        self, model: keras.Model, output_kind: str | None = None
    ) -> None:
        self.head = find_output_head(model, output_kind)
        self._from_logits = self.head.kind not in PROBABILITIES

    def loss(self) -> keras.losses.Loss:
        """A new loss."""
        if self.head.is_multi_label:
            return keras.losses.BinaryCrossentropy(self._from_logits)
        return keras.losses.SparseCategoricalCrossentropy(self._from_logits)

    def accuracy(self) -> Any:
        """A new metric, called `accuracy`: the share of right classes."""
        if self.head.is_binary:
            threshold = 0.0 if self._from_logits else 0.5
            return keras.metrics.BinaryAccuracy("accuracy", None, threshold)
        if self.head.is_multi_label:
            return keras.metrics.CategoricalAccuracy("accuracy")
        return "accuracy"

    def targets(self, data: keras.utils.PyDataset) -> keras.utils.PyDataset:
        """Batches of images and classes, with what the loss takes of them."""
        if not self.head.is_multi_label:
            return data
        return _LabelTargets(data, self.head.num_outputs)


class _LabelTargets(keras.utils.PyDataset):
    def __init__(self, data: keras.utils.PyDataset, num_outputs: int) -> None:
        super().__init__(workers=1)
        self._data = data
        self._num_outputs = num_outputs

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        images, classes = self._data[index]
        if self._num_outputs == 1:
            return images, classes[:, None].astype("float32")
        return images, np.eye(self._num_outputs, dtype="float32")[classes]

    def on_epoch_begin(self) -> None:
        self._data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._data.on_epoch_end()
