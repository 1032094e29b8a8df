"""The only file that touches what Keras keeps to itself.

Keras has no public name for the layers inside a layer, for what an operation
was called with, or for the index of a weight in an optimizer; re-tracing,
prices in nested layers and parameter groups need them. Seen working on Keras
3.15; `tests/test_keras_internals.py` says so if a later one changes them.
"""

from dataclasses import dataclass
from typing import Any

import keras

# Where an operation keeps its own calls.
CALLS = ("_inbound_nodes", "_outbound_nodes")
# Where Keras and KerasHub define their own models.
MODEL_MODULES = ("keras.src.applications.", "keras_hub.src.models.")


@dataclass(frozen=True)
class TensorSource:
    """What a tensor was made by.

    Attributes:
        operation: Layer, model or operation.
        output_index: Position of the tensor among its outputs.
        inputs: Keras tensors that it was made of.
    """

    operation: Any
    output_index: int
    inputs: list[Any]


def flat_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer and all layers inside it, at any depth."""
    return list(layer._flatten_layers())


def inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that a layer holds itself."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def find_source(tensor: Any) -> TensorSource:
    """The operation behind a Keras tensor, and what went into it."""
    operation, node_index, output_index = tensor._keras_history
    node = operation._inbound_nodes[node_index]
    return TensorSource(operation, output_index, list(node.input_tensors))


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Position of a variable among those that an optimizer trains.

    TensorFlow passes its own variable to `update_step`, not Keras's.
    """
    return optimizer._get_variable_index(variable)
