"""Tell whether features come from the same weights as before."""

import keras
import numpy as np
from keras import ops

from keras_aib.graph.layer_tree import LayerPlace
from keras_aib.graph.traced_layers import TracedLayer

VALUES_PER_WEIGHT = 32
# bfloat16 rounds by up to 0.004 of a value; a training that moved weights by
# less left the features as they were.
LARGEST_DIFFERENCE = 0.01
SMALLEST_VALUE = 1e-5


def fingerprint_of(place: LayerPlace, traced: list[TracedLayer]) -> np.ndarray:
    """Some values of every weight that a layer's output depends on.

    Values, not a hash: weights stored as float16 or bfloat16 are the same but
    for rounding, and so is the fingerprint. Layers after the explained one
    may be trained, and statistics stay good.

    Args:
        place: The layer.
        traced: The layers of the model in the order in which they run.

    Returns:
        float32 `[weights, 32]`.
    """
    paths = [x.place.path for x in traced]
    ended = traced[: paths.index(place.path) + 1]
    layers = [x.place.layer for x in ended]
    inside = {id(w) for x in traced for w in x.place.layer.weights}
    weights = [w for layer in layers for w in layer.weights]
    for outer in place.ancestors:
        weights += [w for w in outer.weights if id(w) not in inside]
    different = {id(weight): weight for weight in weights}
    rows = [_values_of(weight) for weight in different.values()]
    return np.array(rows, "float32").reshape(-1, VALUES_PER_WEIGHT)


def are_equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two fingerprints are of the same weights, but for rounding."""
    if one.shape != other.shape:
        return False
    size = np.linalg.norm(one, axis=1)
    difference = np.linalg.norm(one - other, axis=1)
    return bool(
        np.all(difference <= LARGEST_DIFFERENCE * size + SMALLEST_VALUE)
    )


def _values_of(weight: keras.Variable) -> np.ndarray:
    values = ops.convert_to_numpy(weight.value).reshape(-1)
    if not len(values):
        return np.zeros(VALUES_PER_WEIGHT)
    chosen = np.linspace(0, len(values) - 1, VALUES_PER_WEIGHT).round()
    return values[chosen.astype("int64")].astype("float32")
