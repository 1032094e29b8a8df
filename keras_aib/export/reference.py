"""What the model itself makes of the images that a file is tried on."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_aib.export.deployed_model import deployed_model
from keras_aib.export.parity import Outputs
from keras_aib.export.parity import Parity
from keras_aib.export.parity import compare
from keras_aib.models import AIBClassifier

LARGEST_BATCH = 32


class Reference:
    """Batches of images, and the model's outputs for them.

    Args:
        model: The model.
        options: Arguments of `deployed_model`.
        images: Pixels 0..255 to compare on.

    Attributes:
        batches: The images, as a file is to be tried on them.
        anchors: The values that the attention can take, or `None` for any.
    """

    def __init__(
        self, model: keras.Model, options: dict[str, Any], images: np.ndarray
    ) -> None:
        self.batches = _batches(images, options["batch_size"])
        self.anchors = _anchors(model, options["outputs"])
        names = list(options["outputs"])
        self._names = tuple(names)
        if self.anchors is not None and "attention_mean" not in names:
            names.append("attention_mean")
        deployed = deployed_model(model, **{**options, "outputs": names})
        self._outputs = _joined(
            [deployed.predict_on_batch(batch) for batch in self.batches]
        )

    def compare(self, received: Sequence[Outputs]) -> Parity:
        """Compare with what a file gave for the batches."""
        return compare(
            {name: self._outputs[name] for name in self._names},
            _joined(received),
            self.anchors,
            self._outputs.get("attention_mean"),
        )


def _batches(
    images: np.ndarray, batch_size: int | None
) -> tuple[np.ndarray, ...]:
    """Where any number of images goes, one is tried as well as several."""
    if batch_size is not None:
        whole = -(-len(images) // batch_size) * batch_size
        indices = np.arange(whole) % len(images)
        return tuple(images[indices].reshape(-1, batch_size, *images.shape[1:]))
    if len(images) == 1:
        return (images, np.repeat(images, 2, axis=0))
    starts = range(1, len(images), LARGEST_BATCH)
    return (
        images[:1],
        *(images[start : start + LARGEST_BATCH] for start in starts),
    )


def _anchors(model: keras.Model, outputs: Sequence[str]) -> np.ndarray | None:
    if "attention" not in outputs or not isinstance(model, AIBClassifier):
        return None
    quantizer = model.attention_block.quantizer
    if quantizer is None:
        return None
    return keras.ops.convert_to_numpy(quantizer.anchors)


def _joined(outputs: Sequence[Outputs]) -> Outputs:
    return {
        name: np.concatenate([np.asarray(one[name]) for one in outputs])
        for name in outputs[0]
    }
