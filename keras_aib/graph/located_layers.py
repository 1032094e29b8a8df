"""Which layers have places, and where these lie on the image."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aib.graph.arrangement import arranged_map
from keras_aib.graph.arrangement import arranged_tokens
from keras_aib.graph.arrangement import profile
from keras_aib.graph.explained_model import ExplainedModel
from keras_aib.graph.feature_layout import FeatureLayout
from keras_aib.graph.feature_layout import layout_of
from keras_aib.graph.interception import recorded
from keras_aib.graph.layer_tree import LayerPlace
from keras_aib.graph.layer_tree import transformer_blocks
from keras_aib.graph.placement import Placement
from keras_aib.graph.probing import Probe
from keras_aib.graph.probing import Response
from keras_aib.graph.probing import span_of
from keras_aib.graph.traced_layers import TRACED_BATCH
from keras_aib.graph.traced_layers import TracedLayer
from keras_aib.utils.compilation import compile_function
from keras_aib.utils.keras_internals import MODEL_MODULES

# These leave rows, columns and channels where they are.
KEEPING = {
    "Abs",
    "Activation",
    "Add",
    "Average",
    "AveragePooling2D",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Divide",
    "Dropout",
    "ELU",
    "GaussianNoise",
    "Gelu",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Identity",
    "InputLayer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPooling2D",
    "Maximum",
    "Multiply",
    "Normalization",
    "PReLU",
    "ReLU",
    "Relu",
    "Rescaling",
    "SeparableConv2D",
    "Sigmoid",
    "Silu",
    "Softmax",
    "SpatialDropout2D",
    "Subtract",
    "Tanh",
    "TrueDivide",
    "UnitNormalization",
}
# Models whose layers are known to keep places; others are looked at.
KNOWN_MODULES = (
    *MODEL_MODULES,
    "keras_aib.",
    "keras_cv.",
)
LARGEST_PADDING = 3


def find_layouts(
    layers: list[TracedLayer],
    explained: ExplainedModel,
    features: Callable[[np.ndarray], list[np.ndarray]],
    images: np.ndarray,
    batch_size: int,
    num_prefix_tokens: int | None,
) -> tuple[list[FeatureLayout], Placement | None]:
    """Layouts of layers, and where the first one's map lies on the image.

    Where something before them may have moved places, the image is changed
    in bands, to see which positions follow.

    Args:
        layers: The layers.
        explained: The model.
        features: From images to what these layers give.
        images: Images, one at least.
        batch_size: Images that `features` takes at once.
        num_prefix_tokens: Tokens before the patches, if known.

    Returns:
        The layouts; and a placement, `None` for the whole image.

    Raises:
        ValueError: If a layer has no places, and why.
    """
    shape = images.shape[1:]
    if all(_keeps_places(explained, x.place) for x in layers):
        layouts = [
            checked_layout(x, explained, shape, num_prefix_tokens)
            for x in layers
        ]
        return layouts, None
    drafts = [_draft(x, explained, shape, num_prefix_tokens) for x in layers]
    random = np.random.default_rng(0)
    low, high = float(images.min()), float(images.max())
    noise = random.uniform(low, max(high, low + 1e-3), (1, *shape))
    shown = np.concatenate([images[:1], noise.astype(images.dtype)])
    probe = Probe(features, shown, explained.channels_first, batch_size)
    responses = probe.responses()
    layouts = [
        _arranged(x, draft, response, num_prefix_tokens)
        for x, draft, response in zip(layers, drafts, responses, strict=True)
    ]
    if num_prefix_tokens is not None and layouts[0].grid is not None:
        # The order was told, and is not judged.
        return layouts, None
    return layouts, _placement(layers[0], layouts[0], probe, responses[0])


def with_places(
    layers: list[TracedLayer],
    explained: ExplainedModel,
    shape: tuple[int, ...],
) -> list[TracedLayer]:
    """Those of `layers` of which each position has a place on the image."""
    found, unsure = {}, []
    for layer in layers:
        path = layer.place.path
        if _keeps_places(explained, layer.place):
            found[path] = _has(checked_layout, layer, explained, shape)
        elif _has(_draft, layer, explained, shape, None):
            unsure.append(layer)
    if unsure:
        for layer, response in zip(
            unsure, _responses(unsure, explained, shape), strict=True
        ):
            draft = _draft(layer, explained, shape, None)
            found[layer.place.path] = _has(_located, layer, draft, response)
    return [x for x in layers if found.get(x.place.path)]


def can_have_places(layer: TracedLayer) -> bool:
    """Whether a layer's output could be a map or tokens, by its shape."""
    return layer.num_calls == 1 and len(layer.shape) in (3, 4)


def checked_layout(
    traced: TracedLayer,
    explained: ExplainedModel,
    shape: tuple[int, ...],
    num_prefix_tokens: int | None = None,
) -> FeatureLayout:
    """Usual layout of a traced layer's output.

    Args:
        traced: The layer.
        explained: The model.
        shape: Shape of one image.
        num_prefix_tokens: Tokens before the patches, if known.

    Raises:
        ValueError: If the layer cannot be explained, and why.
    """
    _check_traced(traced)
    layout = layout_of(
        traced.place,
        explained,
        traced.shape,
        (TRACED_BATCH, *shape),
        num_prefix_tokens,
    )
    _check_size(traced, layout)
    return layout


def _check_traced(traced: TracedLayer) -> None:
    path = traced.place.path
    if traced.num_calls > 1:
        raise ValueError(
            f"Layer {path!r} runs {traced.num_calls} times, so it names no "
            "single place. Choose another of "
            "`keras_aib.attribution.list_layers(model)`."
        )
    stacks = [x for x in traced.place.ancestors if transformer_blocks(x)]
    if traced.shape[0] != TRACED_BATCH or (stacks and len(traced.shape) != 3):
        raise ValueError(
            f"Layer {path!r} gives windows or heads, not places of an image: "
            f"shape {traced.shape} for {TRACED_BATCH} images. Choose the "
            "output of its block, or of the block's first norm."
        )


def _check_size(traced: TracedLayer, layout: FeatureLayout) -> None:
    if layout.map_size == (1, 1):
        raise ValueError(
            f"Layer {traced.place.path!r} has no places: its map is 1 x 1. "
            "Choose a layer before the pooling."
        )


def _draft(
    traced: TracedLayer,
    explained: ExplainedModel,
    shape: tuple[int, ...],
    num_prefix_tokens: int | None,
) -> FeatureLayout:
    """As `checked_layout`, but tokens may have no usual grid."""
    _check_traced(traced)
    if len(traced.shape) == 3 and num_prefix_tokens is None:
        try:
            return checked_layout(traced, explained, shape)
        except ValueError:
            return FeatureLayout(tuple(traced.shape[1:]), -1, None)
    return checked_layout(traced, explained, shape, num_prefix_tokens)


def _arranged(
    traced: TracedLayer,
    draft: FeatureLayout,
    response: Response,
    num_prefix_tokens: int | None,
) -> FeatureLayout:
    is_map = len(draft.shape) == 3
    if not is_map and num_prefix_tokens is not None:
        return draft
    try:
        arrange = arranged_map if is_map else arranged_tokens
        layout = arrange(draft, response)
    except ValueError as error:
        told = (
            ""
            if is_map
            else " Where patches come last, row by row, pass "
            "`num_prefix_tokens`: how many tokens stand before them."
        )
        raise ValueError(
            f"Layer {traced.place.path!r} gives a tensor of shape "
            f"{traced.shape[1:]}, but {error}: changing the image in bands "
            f"changes other positions than a map's. Choose another layer.{told}"
        ) from error
    _check_size(traced, layout)
    return layout


def _placement(
    traced: TracedLayer,
    layout: FeatureLayout,
    probe: Probe,
    response: Response,
) -> Placement | None:
    seen = probe.seen(response, 0)
    down, across = profile(layout, response)
    rows = span_of(down, seen.rows, response.row_edges)
    columns = span_of(across, seen.columns, response.column_edges)
    if rows is None or columns is None:
        raise ValueError(
            f"The positions of layer {traced.place.path!r} are not spread "
            "evenly over the image: something before it moves them. Choose "
            "an earlier layer."
        )
    whole = (
        (0.0, float(response.row_edges[-1])),
        (
            0.0,
            float(response.column_edges[-1]),
        ),
    )
    return None if (rows, columns) == whole else Placement(rows, columns)


def _located(
    traced: TracedLayer, draft: FeatureLayout, response: Response
) -> None:
    layout = _arranged(traced, draft, response, None)
    for centres, edges in zip(
        profile(layout, response),
        (response.row_edges, response.column_edges),
        strict=True,
    ):
        if span_of(centres, (0.0, float(edges[-1])), edges) is None:
            raise ValueError("not spread evenly")


def _responses(
    layers: list[TracedLayer],
    explained: ExplainedModel,
    shape: tuple[int, ...],
) -> list[Response]:
    places = [x.place for x in layers]

    def record(batch: Any) -> list[Any]:
        with recorded(places) as features:
            explained(batch)
        return [features[place.path] for place in places]

    compiled = compile_function(record, explained.model)

    def run(batch: np.ndarray) -> list[np.ndarray]:
        tensor = ops.convert_to_tensor(batch, explained.input_dtype)
        return [
            ops.convert_to_numpy(ops.cast(values, "float32"))
            for values in compiled(tensor)
        ]

    # The model may take pixels of either scale.
    noise = np.random.default_rng(0).uniform(size=(2, *shape))
    noise[1] *= 255
    return Probe(
        run, noise.astype("float32"), explained.channels_first, 2
    ).responses()


def _has(check: Callable[..., Any], *args: Any) -> bool:
    try:
        check(*args)
    except ValueError:
        return False
    return True


def _keeps_places(explained: ExplainedModel, place: LayerPlace) -> bool:
    """Whether nothing up to a layer can have moved places."""
    top = [*place.ancestors, place.layer][1]
    operations = _operations(explained.model)
    if top not in operations:
        return False
    before = operations[: operations.index(top) + 1]
    return all(_keeps(operation) for operation in before)


def _operations(model: keras.Model) -> list[Any]:
    return list(getattr(model, "operations", None) or model.layers)


def _keeps(operation: Any) -> bool:
    module, name = type(operation).__module__, type(operation).__name__
    if module.startswith(KNOWN_MODULES):
        return True
    if isinstance(operation, keras.Model):
        inputs = getattr(operation, "inputs", None)
        inner = _operations(operation) if inputs else []
        return bool(inner) and all(map(_keeps, inner))
    if not module.startswith("keras."):
        return False
    if name == "Concatenate":
        return _is_of_channels(operation)
    if name == "ZeroPadding2D":
        return max(max(side) for side in operation.padding) <= LARGEST_PADDING
    if name == "Reshape":
        # What squeeze-and-excitation does with one value a channel.
        return set(operation.output.shape[1:-1]) == {1}
    return name in KEEPING


def _is_of_channels(operation: Any) -> bool:
    axis, rank = operation.axis, len(operation.output.shape)
    first = keras.config.image_data_format() == "channels_first"
    channels = 1 if first else rank - 1
    return rank == 4 and axis % rank == channels
