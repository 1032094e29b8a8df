"""Which layers are frozen, in a form a configuration can hold.

A backbone's configuration records whether the whole of it is trainable, not
which of its layers. Without that a partly frozen model would come back fully
trainable, and its optimizer state would not fit.
"""

from collections.abc import Iterable
from collections.abc import Iterator

import keras

from keras_aib.utils.keras_internals import inner_layers


def frozen_layers(model: keras.Model) -> list[str]:
    """Places of all layers with weights in `model` that are frozen."""
    return [path for path, layer in _places(model) if not layer.trainable]


def restore_frozen_layers(model: keras.Model, paths: Iterable[str]) -> None:
    """Freeze exactly the layers at the places `paths`.

    Raises:
        ValueError: If there is no layer at a place.
    """
    layers = list(_places(model))
    frozen = set(paths)
    unknown = frozen - {path for path, _ in layers}
    if unknown:
        raise ValueError(
            f"The configuration freezes layers at places {sorted(unknown)[:5]} "
            f"that {model.name!r} does not have. Its backbone was saved by "
            "another version of its library; load it with that version."
        )
    # Setting a layer sets all it holds, and a layer can be met before a model
    # that holds it: go on until all are as they should be.
    settled = False
    while not settled:
        settled = True
        for path, layer in layers:
            if layer.trainable is (path in frozen):
                layer.trainable = path not in frozen
                settled = False


def _places(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    # The backbone stands behind the layers of the model's own graph.
    behind = [model.backbone] if hasattr(model, "backbone") else []
    return _walk([*inner_layers(model), *behind], "", set())


def _walk(
    layers: list[keras.layers.Layer], prefix: str, seen: set[int]
) -> Iterator[tuple[str, keras.layers.Layer]]:
    # Positions, because names that Keras gives by itself count up from
    # session to session.
    for position, layer in enumerate(x for x in layers if x.weights):
        # A layer is met in the model's graph and in the backbone's.
        if id(vars(layer)) in seen:
            continue
        seen.add(id(vars(layer)))
        path = f"{prefix}{position}"
        yield path, layer
        yield from _walk(inner_layers(layer), f"{path}.", seen)
