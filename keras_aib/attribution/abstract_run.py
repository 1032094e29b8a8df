"""Run a function on shapes alone, on any backend."""

from collections.abc import Callable
from typing import Any

import keras


class AbstractRun(keras.layers.Layer):
    """Traces a function of one tensor without computing anything.

    Args:
        function: What to trace.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        # A tuple hides it from Keras, which would track a model.
        self._functions = (function,)

    def call(self, inputs: Any) -> Any:
        return self._functions[0](inputs)


def run_on_shapes(
    function: Callable[[Any], Any], shape: tuple[int, ...], dtype: str
) -> Any:
    """What `function` returns for a tensor of that shape, as Keras tensors."""
    return AbstractRun(function)(keras.Input(batch_shape=shape, dtype=dtype))
