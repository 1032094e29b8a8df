"""Every layer of a model by a path, also those inside other layers."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from keras_aib.graph.retrace import feature_levels
from keras_aib.graph.shared_layer import is_same_layer
from keras_aib.utils.keras_internals import find_source
from keras_aib.utils.keras_internals import inner_layers


@dataclass(frozen=True)
class LayerPlace:
    """A layer, and where it is.

    Attributes:
        path: Names from the outside to the inside, joined by slashes. Blocks
            of a transformer are `block_0`, `block_1`, ... and their norms
            `layer_norm_1` and `layer_norm_2`, whatever a library calls them.
        own_path: The same with the layers' own names.
        layer: The layer.
        ancestors: Layers that hold it, the outermost first.
        model: The innermost model that holds it.
    """

    path: str
    own_path: str
    layer: keras.layers.Layer
    ancestors: tuple[keras.layers.Layer, ...]
    model: keras.Model


def walk_layers(model: keras.Model) -> list[LayerPlace]:
    """Every layer in `model`, an outer one before those inside it.

    Nothing inside `keras.layers.MultiHeadAttention` is listed: its tensors
    have heads where a feature map has rows.
    """
    places: dict[int, LayerPlace] = {}
    for place in _walk(model, "", "", (), model):
        places.setdefault(id(place.layer), place)
    return list(places.values())


def find_layer(model: keras.Model, name: str) -> LayerPlace:
    """The layer that `name` names.

    Args:
        model: The model.
        name: A path, the end of one where only one path ends so, or a level
            such as `"P4"` of a backbone with levels.

    Raises:
        TypeError: If `name` is no string.
        ValueError: If no layer, or more than one, has that name.
    """
    if not isinstance(name, str):
        raise TypeError(
            "A layer is named by a string, such as 'block5_conv3' or "
            f"'vit_encoder/block_7'. Received: {name!r} of type "
            f"{type(name).__name__}."
        )
    places = walk_layers(model)
    found = [place for place in places if name in (place.path, place.own_path)]
    found = found or _layer_of_level(model, places, name)
    found = found or [
        place
        for place in places
        if place.path.endswith(f"/{name}")
        or place.own_path.endswith(f"/{name}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"{name!r} names {len(found)} layers of {model.name!r}: "
            f"{[place.path for place in found[:5]]}. Pass one of these paths."
        )
    paths = [place.path for place in places]
    near = difflib.get_close_matches(name, paths, 5, 0.4)
    raise ValueError(
        f"{model.name!r} has no layer {name!r}. Near names: "
        f"{near or paths[-5:]}. `keras_aib.attribution.list_layers(model)` "
        "shows all that can be explained."
    )


def _walk(
    layer: keras.layers.Layer,
    path: str,
    own_path: str,
    ancestors: tuple[keras.layers.Layer, ...],
    model: keras.Model,
) -> Iterator[LayerPlace]:
    for name, child in _named_children(layer):
        place = LayerPlace(
            f"{path}{name}",
            f"{own_path}{child.name}",
            child,
            (*ancestors, layer),
            model,
        )
        yield place
        yield from _walk(
            child,
            f"{place.path}/",
            f"{place.own_path}/",
            place.ancestors,
            child if isinstance(child, keras.Model) else model,
        )


def _named_children(
    layer: keras.layers.Layer,
) -> Iterator[tuple[str, keras.layers.Layer]]:
    children = _children(layer)
    numbers: dict[int, str] = {}
    if not isinstance(layer, keras.Model):
        blocks = transformer_blocks(layer)
        numbers = {id(x): f"block_{i}" for i, x in enumerate(blocks)}
        if not blocks:
            norms = [x for x in children if _is_norm(x)]
            numbers = {
                id(x): f"layer_norm_{i}" for i, x in enumerate(norms, start=1)
            }
    for child in children:
        yield numbers.get(id(child), child.name), child


def transformer_blocks(
    layer: keras.layers.Layer,
) -> list[keras.layers.Layer]:
    """The blocks that `layer` applies one after the other, if it is a stack.

    They are the layers of one class that hold a `LayerNormalization`, starting
    with the first such layer.
    """
    if isinstance(layer, keras.Model):
        return []
    children = _children(layer)
    for child in children:
        if any(_is_norm(inner) for inner in _children(child)):
            return [x for x in children if type(x) is type(child)]
    return []


def _children(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    if isinstance(layer, keras.layers.MultiHeadAttention):
        return []
    if isinstance(layer, keras.Model):
        inputs = keras.layers.InputLayer
        return [x for x in layer.layers if not isinstance(x, inputs)]
    return inner_layers(layer)


def _is_norm(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.LayerNormalization)


def _layer_of_level(
    model: keras.Model, places: list[LayerPlace], name: str
) -> list[LayerPlace]:
    # A model that was traced from a backbone keeps it beside its own graph.
    holders = [model, getattr(model, "backbone", None)]
    for holder in [*holders, *(place.layer for place in places)]:
        is_model = isinstance(holder, keras.Model)
        if not is_model or not getattr(holder, "inputs", None):
            continue
        tensor = feature_levels(holder).get(name)
        if tensor is not None:
            operation = find_source(tensor).operation
            return [x for x in places if is_same_layer(x.layer, operation)]
    return []
