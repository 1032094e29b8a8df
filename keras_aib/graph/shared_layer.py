"""One layer in two graphs, each of which finds its own tensors in it."""

import functools
from typing import Any

import keras

from keras_aib.utils.keras_internals import CALLS


def share_layer(
    layer: keras.layers.Layer, name: str | None = None
) -> keras.layers.Layer:
    """The same layer for another graph: all its state, none of its calls.

    Keras's `layer.output` is the tensor of the first call, so a layer that is
    called in a second graph does not lead to it, and
    `keras.Model(model.inputs, model.get_layer(name).output)` fails. What this
    returns has every attribute in common with `layer`, now and later: weights,
    `trainable`, a quantization. Only the record of where it was called, from
    which `input` and `output` come, is its own.

    Args:
        layer: Any layer or model.

    Returns:
        An instance of the class of `layer`.
    """
    shared: Any = object.__new__(_shared_class(layer.__class__))
    object.__setattr__(shared, "__dict__", vars(layer))
    object.__setattr__(shared, "name", layer.name if name is None else name)
    for calls in CALLS:
        object.__setattr__(shared, calls, [])
    return shared


def is_same_layer(layer: Any, other: Any) -> bool:
    """Whether two are one layer, perhaps in two graphs."""
    return vars(layer) is vars(other)


@functools.cache
def _shared_class(layer_class: type) -> type:
    # Slots lie outside the attributes that instances have in common.
    return type(
        layer_class.__name__,
        (layer_class,),
        {
            "__slots__": (*CALLS, "name"),
            "__module__": layer_class.__module__,
            "__qualname__": layer_class.__qualname__,
            "__doc__": layer_class.__doc__,
            # Keras looks up how to save a layer by its class.
            "__class__": property(lambda self: layer_class),
        },
    )
