"""Run a function on shapes alone, on any backend."""

from collections.abc import Callable
from typing import Any

import keras


class AbstractRun(keras.layers.Layer):
    """Traces a function of one tensor without computing anything.

    Args:
        function: What to trace; not a Keras layer or model itself.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        # A model as an attribute would become a part of this layer, so what
        # is passed is a plain object or a function that holds the model.
        self._function = function

    def call(self, inputs: Any) -> Any:
        return self._function(inputs)


def run_on_shapes(
    function: Callable[[Any], Any], shape: tuple[int, ...], dtype: str
) -> Any:
    """What `function` returns for a tensor of that shape, as Keras tensors."""
    return AbstractRun(function)(keras.Input(batch_shape=shape, dtype=dtype))
