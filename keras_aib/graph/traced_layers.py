"""What each layer of a model gives, found by tracing shapes."""

import contextlib
import functools
from dataclasses import dataclass
from typing import Any

from keras_aib.graph.abstract_run import run_on_shapes
from keras_aib.graph.explained_model import ExplainedModel
from keras_aib.graph.interception import intercept
from keras_aib.graph.layer_tree import LayerPlace
from keras_aib.graph.layer_tree import walk_layers

# Unlike any size that a model itself would put first.
TRACED_BATCH = 13


@dataclass
class TracedLayer:
    """A layer that ran.

    Attributes:
        place: Where it is.
        shape: Shape of its first output, with `TRACED_BATCH` images.
        dtype: Of that output.
        num_calls: How often it ran.
    """

    place: LayerPlace
    shape: tuple[int, ...]
    dtype: str
    num_calls: int = 1


def trace_layers(
    explained: ExplainedModel, image_shape: tuple[int, ...]
) -> list[TracedLayer]:
    """Every layer that runs, in the order in which they end.

    Args:
        explained: The model.
        image_shape: Shape of one image.
    """
    traced: dict[str, TracedLayer] = {}

    def note(place: LayerPlace, output: Any) -> Any:
        if place.path in traced:
            traced[place.path].num_calls += 1
        else:
            traced[place.path] = TracedLayer(
                place, tuple(output.shape), str(output.dtype)
            )
        return output

    with contextlib.ExitStack() as stack:
        for place in walk_layers(explained.model):
            change = functools.partial(note, place)
            stack.enter_context(intercept(place.layer, change_output=change))
        run_on_shapes(
            explained, (TRACED_BATCH, *image_shape), explained.input_dtype
        )
    return list(traced.values())
