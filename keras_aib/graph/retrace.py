"""Insertion of a layer into a functional backbone, by tracing it again."""

import contextlib
import difflib
import itertools
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree

from keras_aib.graph.shared_layer import share_layer
from keras_aib.utils.keras_internals import find_source


@dataclass(frozen=True)
class InsertionPoint:
    """The tensor after which something is inserted.

    Attributes:
        operation: Layer or operation that gives the tensor.
        output_index: Position of the tensor among its outputs.
    """

    operation: Any
    output_index: int = 0

    @property
    def tensor(self) -> Any:
        """The tensor, as the backbone itself computes it."""
        return tree.flatten(self.operation.output)[self.output_index]


def as_functional(backbone: Any) -> keras.Model:
    """Return `backbone` as a functional model of one input.

    Raises:
        TypeError: If it is no Keras model.
        ValueError: If it is subclassed or unbuilt, or has several inputs.
    """
    if not isinstance(backbone, keras.Model):
        raise TypeError(
            "`backbone` must be a keras.Model, such as a KerasHub backbone or "
            "a keras.applications model. Received: "
            f"{backbone!r} of type {type(backbone).__name__}."
        )
    if isinstance(backbone, keras.Sequential):
        if not backbone.built:
            raise ValueError(
                "`backbone` is a Sequential model that was never built, so "
                "its shapes are unknown. Start it with keras.Input(shape=...)."
            )
        return keras.Model(
            backbone.inputs, backbone.outputs, name=backbone.name
        )
    if not hasattr(backbone, "operations"):
        raise ValueError(
            "`backbone` must be a functional model, because the attention is "
            "inserted by tracing its graph again. Received the subclassed "
            f"model {type(backbone).__name__}. Wrap it: "
            "`x = keras.Input(shape); keras.Model(x, backbone(x))`, and use "
            "attention_layer=None."
        )
    if len(backbone.inputs) != 1:
        raise ValueError(
            "`backbone` must take one input, the images. Received a model "
            f"with {len(backbone.inputs)} inputs: "
            f"{[tensor.name for tensor in backbone.inputs]}."
        )
    return backbone


def final_output(backbone: keras.Model) -> Any:
    """The last feature map, token sequence or vector of a backbone.

    Raises:
        ValueError: If there are several outputs and they are not a dictionary
            of feature maps.
    """
    outputs = backbone.output
    flat = tree.flatten(outputs)
    if len(flat) == 1:
        return flat[0]
    if isinstance(outputs, dict) and all(len(x.shape) == 4 for x in flat):
        order = {id(op): i for i, op in enumerate(backbone.operations)}

        def depth(tensor: Any) -> tuple[int, int]:
            point = _origin(tensor)
            return order[id(point.operation)], point.output_index

        return max(flat, key=depth)
    raise ValueError(
        "`backbone` must have a single output, or a dictionary of feature "
        f"maps. Received a model with {len(flat)} outputs: "
        f"{[x.name for x in flat]}. Choose one: "
        "`keras.Model(backbone.inputs, backbone.outputs[0])`."
    )


def feature_levels(backbone: keras.Model) -> dict[str, Any]:
    """Named levels of a backbone: name to tensor, coarsest last.

    KerasHub calls them `pyramid_outputs`, KerasCV `pyramid_level_inputs`;
    some backbones return them as a dictionary.
    """
    if isinstance(getattr(backbone, "pyramid_outputs", None), dict):
        return dict(backbone.pyramid_outputs)
    if isinstance(getattr(backbone, "pyramid_level_inputs", None), dict):
        return {
            level: backbone.get_layer(name).output
            for level, name in backbone.pyramid_level_inputs.items()
        }
    # A Sequential model has no output before it was called.
    output = getattr(backbone, "output", None)
    return dict(output) if isinstance(output, dict) else {}


def find_insertion_point(
    backbone: keras.Model, attention_layer: str
) -> InsertionPoint:
    """Resolve a level or layer name to a point in the graph.

    Raises:
        ValueError: If there is no such level or layer; lists near names and
            the levels that exist.
    """
    levels = feature_levels(backbone)
    if attention_layer in levels:
        return _origin(levels[attention_layer])
    for layer in backbone.layers:
        if layer.name == attention_layer:
            return InsertionPoint(layer)
    candidates = [*levels, *(layer.name for layer in backbone.layers)]
    near = difflib.get_close_matches(str(attention_layer), candidates, 5, 0.4)
    raise ValueError(
        f"`attention_layer` {attention_layer!r} is neither a level nor a layer "
        f"of backbone {backbone.name!r}. "
        f"Near names: {near or candidates[-5:]}. "
        f"Levels: {list(levels) or 'none'}. Use None for the output. A layer "
        "inside a nested model cannot be reached: pass that model as backbone."
    )


def layer_position(
    backbone: keras.Model, attention_layer: str | None
) -> int | None:
    """Position of the layer of this name, or `None` for a level or the output.

    Names that Keras or a library gives by itself differ from session to
    session, so a configuration must not rely on them.
    """
    if attention_layer is None or attention_layer in feature_levels(backbone):
        return None
    names = [layer.name for layer in backbone.layers]
    return names.index(attention_layer)


def trace(
    backbone: keras.Model,
    images: Any,
    point: InsertionPoint | None = None,
    insert: Callable[[Any], Any] | None = None,
    noise: Any = None,
    share_layers: bool = False,
) -> Any:
    """Apply a backbone's own layers to `images`, with something inserted.

    Args:
        backbone: Functional model; its layers are used, not copied.
        images: Keras tensor to start from.
        point: Where to insert, or `None` to insert nothing.
        insert: Function of a tensor; every consumer of the tensor at `point`
            sees its result instead.
        noise: A `keras.Input` that `insert` uses besides, or `None`.
        share_layers: Whether to call each layer as `share_layer` gives it, so
            that its `output` is in this graph and not in the backbone's.

    Returns:
        The final feature map or tokens.
    """
    final = _origin(final_output(backbone))
    # A clone that starts at computed pixels is cut off from them, so the
    # tensors are taken from the calls and not from the clone.
    made: dict[int, list[Any]] = {}
    shared: dict[int, Any] = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        called = layer
        if share_layers and isinstance(layer, keras.layers.Layer):
            if id(layer) not in shared:
                shared[id(layer)] = share_layer(layer)
            called = shared[id(layer)]
        outputs = called(*args, **kwargs)
        repeated = id(layer) in made
        made[id(layer)] = flat = tree.flatten(outputs)
        if point is None or insert is None or layer is not point.operation:
            return outputs
        if repeated:
            raise ValueError(
                f"Layer {layer.name!r} is used more than once in backbone "
                f"{backbone.name!r}, so it names no single place for the "
                "attention. Choose another `attention_layer`."
            )
        flat[point.output_index] = insert(flat[point.output_index])
        return tree.pack_sequence_as(outputs, flat)

    # A plain model of the same graph: cloning checks that every input of the
    # result is among its inputs, and how they are nested and named.
    extra = [] if noise is None else [noise]
    keras.models.clone_model(
        keras.Model([*backbone.inputs, *extra], backbone.outputs),
        input_tensors=[images, *extra],
        clone_function=lambda layer: layer,
        call_function=call,
    )
    return made[id(final.operation)][final.output_index]


@contextlib.contextmanager
def replaced_attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give a layer or operation another attribute within the `with` block."""
    original = getattr(owner, name)
    had_own = name in vars(owner)
    setattr(owner, name, value)
    try:
        yield
    finally:
        # An outer `with` block on the same layer keeps its own.
        if had_own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with the first number that makes it differ from `taken`."""
    numbered = (f"{name}_{number}" for number in itertools.count(1))
    return next(x for x in itertools.chain([name], numbered) if x not in taken)


def rename_operations(start: Any, end: Any, taken: set[str]) -> None:
    """Give what lies between two tensors names that a backbone leaves free.

    Keras counts its names from one in every session, whatever the names in a
    file that was loaded before are.
    """
    pending, seen = [end], {id(start)}
    while pending:
        tensor = pending.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        source = find_source(tensor)
        if not isinstance(source.operation, keras.layers.Layer):
            source.operation.name = free_name(source.operation.name, taken)
            taken.add(source.operation.name)
        pending += source.inputs


def uses_all_weights(backbone: keras.Model, functional: keras.Model) -> bool:
    """Whether the final output depends on every weight of a backbone.

    Args:
        backbone: The backbone as it was passed.
        functional: The same as a functional model.
    """
    needed = keras.Model(functional.inputs, final_output(functional)).variables
    needed_ids = {id(variable) for variable in needed}
    return all(id(variable) in needed_ids for variable in backbone.variables)


def _origin(tensor: Any) -> InsertionPoint:
    source = find_source(tensor)
    return InsertionPoint(source.operation, source.output_index)
