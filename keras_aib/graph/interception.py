"""Look at, or change, what goes into and comes out of a layer."""

import contextlib
import functools
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import keras
from keras import tree

from keras_aib.graph.layer_tree import LayerPlace
from keras_aib.graph.retrace import replaced_attribute

Change = Callable[[Any], Any]


@contextlib.contextmanager
def intercept(
    layer: keras.layers.Layer,
    change_input: Change | None = None,
    change_output: Change | None = None,
) -> Iterator[None]:
    """Let functions change a layer's first argument and its first output.

    It reaches layers that Keras's graph does not show, such as the blocks
    inside a transformer's encoder, wherever the model is called or traced
    within the `with` block.

    Args:
        layer: Any layer.
        change_input: Takes the first argument and returns what the layer
            gets instead.
        change_output: Takes the first output tensor and returns what the
            layer gives instead.
    """
    quantized = getattr(layer, "quantization_mode", None) is not None
    name = "quantized_call" if quantized else "call"
    original = getattr(layer, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        if change_input is not None and args:
            args = (change_input(args[0]), *args[1:])
        elif change_input is not None:
            key = next(iter(kwargs))
            kwargs = {**kwargs, key: change_input(kwargs[key])}
        outputs = original(*args, **kwargs)
        if change_output is None:
            return outputs
        first, *others = tree.flatten(outputs)
        return tree.pack_sequence_as(outputs, [change_output(first), *others])

    with replaced_attribute(layer, name, call):
        yield


@contextlib.contextmanager
def recorded(places: Iterable[LayerPlace]) -> Iterator[dict[str, Any]]:
    """Note what layers give while a model is called.

    Args:
        places: The layers.

    Yields:
        Path to features; filled by calling the model.

    Raises:
        ValueError: If a layer runs more than once.
    """
    features: dict[str, Any] = {}

    def note(path: str, output: Any) -> Any:
        if path in features:
            raise ValueError(
                f"Layer {path!r} runs more than once, so it names no single "
                "place. Choose another of "
                "`keras_aib.attribution.list_layers(model)`."
            )
        features[path] = output
        return output

    with contextlib.ExitStack() as stack:
        for place in places:
            change = functools.partial(note, place.path)
            stack.enter_context(intercept(place.layer, change_output=change))
        yield features
