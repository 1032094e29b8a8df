"""Maps to judge, with the model, images and classes they belong to."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_aib.models.output_head import find_output_head
from keras_aib.utils.checks import check_finite
from keras_aib.utils.checks import check_images
from keras_aib.utils.checks import check_positive_integer
from keras_aib.utils.image_batches import fill_up

DATA_FORMATS = ("channels_last", "channels_first")


class JudgedMaps:
    """Checks that all belongs together, and asks the model in small batches.

    Inside a metric images are channels-last, whatever the model takes.

    Args:
        model: Classifier from pixels to logits or probabilities.
        images: Images as the model takes them.
        maps: `[images, height, width]`.
        targets: One class or label an image; of a model with one output 0 or
            1.
        batch_size: Images the model sees at once; its own number for a model
            of fixed batches.
        data_format: Of the images; Keras's own by default.
        output_kind: One of `OUTPUT_KINDS`, where the model does not tell.

    Raises:
        TypeError: If `model` is no Keras model, or images are no numbers.
        ValueError: For shapes that do not belong together, values that are
            not finite, or targets that are no classes.
    """

    def __init__(
        self,
        model: keras.Model,
        images: Any,
        maps: Any,
        targets: Any,
        batch_size: int,
        data_format: str | None,
        output_kind: str | None = None,
    ) -> None:
        if not isinstance(model, keras.Model):
            raise TypeError(
                "`model` must be a keras.Model, from pixels to logits or "
                f"probabilities. Received: {type(model).__name__}."
            )
        check_positive_integer("batch_size", batch_size)
        data_format = data_format or keras.config.image_data_format()
        if data_format not in DATA_FORMATS:
            raise ValueError(
                f"`data_format` must be one of {DATA_FORMATS}. Received: "
                f"{data_format!r}."
            )
        images = keras.ops.convert_to_numpy(images)
        # Sizes are left to the model, which knows what it takes.
        check_images(images, (None, None, None, *images.shape[-1:]), -1)
        self.head = find_output_head(model, output_kind)
        self.options = {
            "batch_size": batch_size,
            "data_format": data_format,
            "output_kind": self.head.kind,
        }
        self._model = model
        self._fixed_batch = model.inputs[0].shape[0]
        self._batch_size = self._fixed_batch or batch_size
        self._channels_first = data_format == "channels_first"
        self.images = self.to_channels_last(images)
        self.maps = self._checked_maps(maps)
        self.targets = self._checked_targets(targets)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_pixels(self) -> int:
        """Pixels of an image."""
        return self.images.shape[1] * self.images.shape[2]

    def batches(
        self, num_variants: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices of the images and of their variants, a batch at a time.

        The variants of one image follow each other.
        """
        total = len(self) * num_variants
        for start in range(0, total, self._batch_size):
            stop = min(start + self._batch_size, total)
            yield np.divmod(np.arange(start, stop), num_variants)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """What the model says of a batch of changed images, float64.

        Args:
            images: Channels-last, `batch_size` of them at most.

        Raises:
            ValueError: If it is not finite.
        """
        count = len(images)
        images = np.asarray(self.from_channels_last(images), "float32")
        if self._fixed_batch:
            images = fill_up(images, self._fixed_batch)
        # `predict` would set up a pipeline every time: 60 ms on TensorFlow.
        outputs = keras.ops.convert_to_numpy(
            self._model.predict_on_batch(images)
        )
        outputs = outputs[:count].astype("float64")
        check_finite(outputs, "outputs of the model")
        return outputs

    def target_probabilities(
        self, images: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Probability of the targets.

        Args:
            images: Changed images.
            rows: Which of the images they come from.
        """
        return self._of_targets(self._probabilities(images), rows)

    def says_targets(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Whether the model says the targets: the class, or the label."""
        probabilities = self._probabilities(images)
        if self.head.is_multi_label:
            return self._of_targets(probabilities, rows) > 0.5
        return probabilities.argmax(axis=-1) == self.targets[rows]

    def target_outputs(
        self, images: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Outputs of the targets, logits or probabilities as the model has
        them.
        """
        outputs = self.outputs(images)
        if not self.head.is_binary:
            return self._of_targets(outputs, rows)
        # One output speaks for class 1; what it takes away it gives class 0.
        return np.where(self.targets[rows] == 1, 1.0, -1.0) * outputs[:, 0]

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        return self.head.class_probabilities(self.outputs(images))

    def _of_targets(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return values[np.arange(len(rows)), self.targets[rows]]

    def to_channels_last(self, images: np.ndarray) -> np.ndarray:
        """Images as the user has them, with the channels moved to the end."""
        return np.moveaxis(images, -3, -1) if self._channels_first else images

    def from_channels_last(self, images: np.ndarray) -> np.ndarray:
        """Images as the user has them."""
        if not self._channels_first:
            return images
        return np.ascontiguousarray(np.moveaxis(images, -1, -3))

    def _checked_maps(self, maps: Any) -> np.ndarray:
        maps = keras.ops.convert_to_numpy(maps).astype("float64")
        if maps.shape != self.images.shape[:3]:
            raise ValueError(
                "`maps` must be [images, height, width] of the images, "
                f"{self.images.shape[:3]}. Received: shape {maps.shape}. "
                "Resize the maps, or set `data_format`."
            )
        if not len(maps):
            raise ValueError("At least one image is needed. Received: none.")
        check_finite(maps, "maps")
        return maps

    def _checked_targets(self, targets: Any) -> np.ndarray:
        targets = keras.ops.convert_to_numpy(targets)
        if (
            targets.shape != (len(self),)
            or targets.dtype.kind not in "iu"
            or targets.min() < 0
        ):
            raise ValueError(
                "`targets` must be one class an image: "
                f"{len(self)} integers of 0 or more. Received: dtype "
                f"{targets.dtype}, shape {targets.shape}. For the predicted "
                "classes pass `model.predict(images).argmax(-1)`."
            )
        if targets.max() >= self.head.num_classes:
            raise ValueError(
                f"`targets` must lie in 0..{self.head.num_classes - 1}, the "
                f"classes of the model. Received: {targets.max()}."
            )
        return targets
