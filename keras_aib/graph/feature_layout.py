"""Where the places and the channels are in a layer's output."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aib.graph.explained_model import ExplainedModel
from keras_aib.graph.layer_tree import LayerPlace
from keras_aib.graph.layer_tree import walk_layers
from keras_aib.graph.token_grid import TokenGrid
from keras_aib.graph.token_grid import infer_token_grid


@dataclass(frozen=True)
class FeatureLayout:
    """Layout of features `[B, H, W, C]`, `[B, C, H, W]` or `[B, tokens, C]`.

    Attributes:
        shape: Shape of one image's features.
        channel_axis: Axis of the channels in a batch: 1, 2 or -1.
        grid: Where the patches lie, for tokens.
        transposed: Whether the columns come before the rows.
    """

    shape: tuple[int, ...]
    channel_axis: int
    grid: Any
    transposed: bool = False

    @property
    def place_axes(self) -> tuple[int, int]:
        """Axes of the rows and the columns in one image's map."""
        channels = self.channel_axis - 1 if self.channel_axis > 0 else 2
        first, second = (axis for axis in range(3) if axis != channels)
        return (second, first) if self.transposed else (first, second)

    @property
    def map_size(self) -> tuple[int, int]:
        """Rows and columns of places."""
        if self.grid is not None:
            return self.grid.height, self.grid.width
        rows, columns = self.place_axes
        return self.shape[rows], self.shape[columns]

    @property
    def shape_of_places(self) -> tuple[int, ...]:
        """Shape of one image's features with a single channel."""
        shape = list(self.shape)
        shape[self.channel_axis - (self.channel_axis > 0)] = 1
        return tuple(shape)

    def without_place(self, features: Any) -> Any:
        """Class, distillation and register tokens of `[B, tokens, C]`."""
        if self.grid is None:
            return features[:, :0]
        if isinstance(self.grid, TokenGrid):
            return features[:, : self.grid.num_prefix_tokens]
        return ops.take(features, np.array(self.grid.others, "int32"), axis=1)

    @property
    def _folding(self) -> tuple[int, ...]:
        rows, columns = self.place_axes
        channels = ({0, 1, 2} - {rows, columns}).pop()
        return (0, rows + 1, columns + 1, channels + 1)

    def fold(self, features: Any) -> Any:
        """To `[B, height, width, channels]`, without class tokens.

        Args:
            features: Backend tensor in this layout, with any channels.
        """
        if self.grid is not None:
            return self.grid.fold(features)
        if self._folding != (0, 1, 2, 3):
            return ops.transpose(features, self._folding)
        return features

    def unfold(self, folded: Any, features: Any) -> Any:
        """Back again; class tokens are those of `features`."""
        if self.grid is not None:
            return self.grid.unfold(folded, features)
        if self._folding != (0, 1, 2, 3):
            order = [self._folding.index(axis) for axis in range(4)]
            return ops.transpose(folded, order)
        return folded


def layout_of(
    place: LayerPlace,
    explained: ExplainedModel,
    feature_shape: tuple[int, ...],
    image_shape: tuple[int, ...],
    num_prefix_tokens: int | None = None,
) -> FeatureLayout:
    """Layout of what a layer gives.

    Args:
        place: The layer.
        explained: The model.
        feature_shape: Shape of its output, the batch first.
        image_shape: Shape of the images, the batch first.
        num_prefix_tokens: Tokens before the patches, if known.

    Raises:
        ValueError: If the output is neither a feature map nor tokens that can
            be laid out as a grid.
    """
    shape = tuple(feature_shape[1:])
    if len(feature_shape) == 4:
        own = getattr(place.layer, "data_format", explained.data_format)
        axis = 1 if own == "channels_first" else -1
        return FeatureLayout(shape, axis, None)
    if len(feature_shape) == 3:
        grid = infer_token_grid(
            _with_patches(place, explained),
            shape[0],
            explained.image_size(image_shape),
            num_prefix_tokens,
        )
        return FeatureLayout(shape, -1, grid)
    raise ValueError(
        f"Layer {place.path!r} gives a tensor of shape {tuple(feature_shape)}. "
        "Expected a feature map of 4 dimensions or tokens of 3. Name a layer "
        "before the pooling."
    )


def _with_patches(place: LayerPlace, explained: ExplainedModel) -> Any:
    """What tells the size of the patches: a model around the layer, or a layer.

    Without it, tokens could be mistaken for a larger grid with fewer others.
    """
    around = [x for x in place.ancestors if isinstance(x, keras.Model)]
    layers = [x.layer for x in walk_layers(explained.model)]
    for candidate in [*reversed(around), *layers]:
        if getattr(candidate, "patch_size", None) is not None:
            return candidate
    return place.model


def resize_maps(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps `[B, h, w]`, bilinear, at another size."""
    resized = ops.image.resize(
        np.asarray(maps, "float32")[..., None],
        size,
        interpolation="bilinear",
        data_format="channels_last",
    )
    return ops.convert_to_numpy(resized)[..., 0]
