"""The last tensor before a layer that everything after it comes from."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops
from keras import tree

from keras_aib.graph.abstract_run import run_on_shapes
from keras_aib.graph.explained_model import ExplainedModel
from keras_aib.graph.interception import intercept
from keras_aib.graph.layer_tree import LayerPlace
from keras_aib.graph.traced_layers import TRACED_BATCH
from keras_aib.graph.traced_layers import TracedLayer

# How many layers back a cut is looked for before all is run again.
MAX_STEPS_BACK = 12


@dataclass(frozen=True)
class Cut:
    """A tensor that the rest of the model can start from.

    Attributes:
        layer: Layer whose tensor it is; `None` for the images.
        is_input: Whether it is what the layer takes, not what it gives.
    """

    layer: keras.layers.Layer | None
    is_input: bool = False

    def replace(self, tensor: Any) -> AbstractContextManager[None]:
        """Let the rest of the model start from `tensor`."""
        if self.layer is None:
            return nullcontext()
        return self._intercept(lambda _: tensor)

    def record(self, into: list[Any]) -> AbstractContextManager[None]:
        """Append the tensor to a list when the model is called."""

        def note(tensor: Any) -> Any:
            into.append(tensor)
            return tensor

        return self._intercept(note)

    def _intercept(self, change: Any) -> AbstractContextManager[None]:
        if self.layer is None:
            return nullcontext()
        if self.is_input:
            return intercept(self.layer, change_input=change)
        return intercept(self.layer, change_output=change)


def find_cut(
    explained: ExplainedModel,
    place: LayerPlace,
    traced: list[TracedLayer],
    image_shape: tuple[int, ...],
) -> Cut:
    """Find where to start, so that what is before it need run only once.

    A tensor is a cut if a batch of another size, put in its place, comes out
    at the end: anything that went around it would not fit it.

    Args:
        explained: The model.
        place: The first layer that is to be changed.
        traced: The layers of the model as they run.
        image_shape: Shape of one image.
    """
    for cut in _candidates(place, traced):
        if _cuts(explained, cut, image_shape):
            return cut
    return Cut(None)


def _candidates(place: LayerPlace, traced: list[TracedLayer]) -> Iterator[Cut]:
    yield Cut(place.layer)
    for ancestor in reversed(place.ancestors[1:]):
        yield Cut(ancestor, is_input=True)
    position = [x.place.path for x in traced].index(place.path)
    before = [x for x in traced[:position] if x.num_calls == 1]
    for candidate in reversed(before[-MAX_STEPS_BACK:]):
        yield Cut(candidate.place.layer)


def _cuts(
    explained: ExplainedModel, cut: Cut, image_shape: tuple[int, ...]
) -> bool:
    def enlarge(tensor: Any) -> Any:
        return ops.zeros((TRACED_BATCH + 1, *tensor.shape[1:]), tensor.dtype)

    try:
        with cut._intercept(enlarge):
            outputs = run_on_shapes(
                explained, (TRACED_BATCH, *image_shape), explained.input_dtype
            )
    # Each backend has its own error for shapes that do not fit.
    except Exception:
        return False
    return all(x.shape[0] == TRACED_BATCH + 1 for x in tree.flatten(outputs))
