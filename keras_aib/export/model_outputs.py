"""What the model itself, as the user has it, makes of images."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_aib.export.conversion import in_batches
from keras_aib.export.deployed_model import ATTENTION_OUTPUTS
from keras_aib.export.deployed_model import fixed_batch
from keras_aib.export.deployed_model import is_channels_first
from keras_aib.models import AIBClassifier
from keras_aib.models.output_head import PROBABILITIES
from keras_aib.models.output_head import OutputHead

LARGEST_BATCH = 32


def model_outputs(
    model: keras.Model,
    traced: keras.Model,
    outputs: Sequence[str],
    head: OutputHead | None,
    images: np.ndarray,
) -> dict[str, np.ndarray]:
    """Outputs as `predict` and `attention` of a model give them.

    Args:
        model: The model that the user passed.
        traced: The same with known inputs, from `check_model`.
        outputs: Names of outputs, as for `export`.
        head: What the model ends in.
        images: Pixels 0..255 `[images, height, width, channels]`.

    Returns:
        float32 arrays by name. With `"attention"` of an `AIBClassifier` comes
        `"attention_mean"`.
    """
    count, size = len(images), fixed_batch(traced)
    size = size or min(LARGEST_BATCH, count)
    # Whole batches: each other size would be compiled anew.
    images = np.concatenate(in_batches(images, size))
    if is_channels_first(traced):
        images = images.transpose(0, 3, 1, 2)
    found: dict[str, np.ndarray] = {}
    if head is not None:
        predicted = _as_float32(
            model.predict(images, batch_size=size, verbose=0)
        )[:count]
        found["logits"] = predicted
        found["probabilities"] = probabilities(head, predicted)
    maps: dict[str, Any] = {}
    if isinstance(model, AIBClassifier) and {*ATTENTION_OUTPUTS} & {*outputs}:
        maps = model.attention(images, batch_size=size)
        maps["scores"] = maps.get("quantized", maps["mean"])
    for name, key in ATTENTION_OUTPUTS.items():
        if key in maps:
            found[name] = _as_float32(maps[key])[:count]
    wanted = set(outputs)
    if "attention" in wanted:
        wanted.add("attention_mean")
    return {name: array for name, array in found.items() if name in wanted}


def probabilities(head: OutputHead, outputs: np.ndarray) -> np.ndarray:
    """Probabilities of each output, from what a model gives."""
    if head.kind in PROBABILITIES:
        return outputs
    classes = head.class_probabilities(outputs)
    # Of a single output the second column is the output itself.
    return classes[:, -head.num_outputs :].astype("float32")


def anchors_of(model: keras.Model, outputs: Sequence[str]) -> Any:
    """Values that `"attention"` can take, or `None` for any."""
    if "attention" not in outputs or not isinstance(model, AIBClassifier):
        return None
    quantizer = model.attention_block.quantizer
    if quantizer is None:
        return None
    return keras.ops.convert_to_numpy(quantizer.anchors)


def batch_indices(count: int, batch_size: int | None) -> list[np.ndarray]:
    """Which images to try a file on together.

    Where any number of images goes, one is tried as well as several.

    Args:
        count: Number of images.
        batch_size: Number that the file takes, or `None` for any.
    """
    indices = np.arange(count)
    if batch_size is not None:
        return in_batches(indices, batch_size)
    if count == 1:
        return [indices, np.repeat(indices, 2)]
    starts = range(1, count, LARGEST_BATCH)
    return [
        indices[:1],
        *(indices[start : start + LARGEST_BATCH] for start in starts),
    ]


def _as_float32(array: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(array)).astype("float32")
