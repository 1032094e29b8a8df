"""How images, backbone, attention and pooling are wired together."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_aib.layers import BottleneckAttention
from keras_aib.models.graph import InsertionPoint
from keras_aib.models.graph import trace
from keras_aib.models.token_grid import TokenGrid
from keras_aib.models.token_grid import infer_token_grid

POOLING = {
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
    "flatten": keras.layers.Flatten,
}


@dataclass(frozen=True)
class Connections:
    """Tensors of one tracing.

    Attributes:
        features: What the attention took: a map, or tokens.
        attended: What the rest of the backbone got instead.
        maps: The attention's maps, by name.
        pooled: The vector behind the backbone.
    """

    features: Any
    attended: Any
    maps: dict[str, Any]
    pooled: Any


@dataclass(frozen=True)
class Wiring:
    """Wires a backbone with an attention block, as often as asked.

    Attributes:
        backbone: Functional backbone.
        preprocessor: Layer in front of it, or `None`.
        attention: The attention block.
        pooling: Layer from the last map to a vector.
        point: Where the attention goes, or `None` for the output.
        data_format: Where the channels of the images are.
        num_prefix_tokens: Tokens before the patches, or `None` to infer.
    """

    backbone: keras.Model
    preprocessor: keras.layers.Layer | None
    attention: BottleneckAttention
    pooling: keras.layers.Layer
    point: InsertionPoint | None
    data_format: str
    num_prefix_tokens: int | None

    def images(self) -> Any:
        """A new input for the images."""
        pixels = self.backbone.inputs[0]
        shape = pixels.shape[1:]
        if self.preprocessor is not None:
            # A preprocessor that resizes frees the input size.
            free = (None, *(n if n in (1, 3) else None for n in shape))
            sized = tuple(self.preprocessor.compute_output_shape(free))[1:]
            if sized == shape:
                shape = free[1:]
        return keras.Input(shape, dtype=pixels.dtype, name="images")

    def connect(self, images: Any, noise: Any = None) -> Connections:
        """Trace everything from `images` to the pooled vector.

        Args:
            images: Keras tensor of images.
            noise: Draw for the attention scores, or `None`.
        """
        pixels = images
        if self.preprocessor is not None:
            pixels = self.preprocessor(images)
        made: list[tuple[Any, Any, dict[str, Any]]] = []

        def insert(features: Any) -> Any:
            attended, maps = self.attend(features, noise)
            made.append((features, attended, maps))
            return attended

        if self.point is None:
            features = trace(self.backbone, pixels)
            grid = self._grid(features)
            if grid is not None:
                # Nothing follows that could use the other tokens.
                features = grid.fold(features)
            pooled = self.pooling(insert(features))
        else:
            output = trace(self.backbone, pixels, self.point, insert, noise)
            pooled = self._pool(output)
        features, attended, maps = made[0]
        return Connections(features, attended, maps, pooled)

    def attend(
        self, features: Any, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        """Apply the attention to a map, or to the patches among tokens."""
        grid = self._grid(features)
        if grid is None:
            return self.attention(
                features, noise=noise, return_attention_scores=True
            )
        attended, maps = self.attention(
            grid.fold(features), noise=noise, return_attention_scores=True
        )
        return grid.unfold(attended, features), maps

    def _pool(self, output: Any) -> Any:
        if len(output.shape) == 2:
            return output
        grid = self._grid(output)
        return self.pooling(output if grid is None else grid.fold(output))

    def _grid(self, features: Any) -> TokenGrid | None:
        if len(features.shape) == 4:
            return None
        if len(features.shape) == 3:
            shape = self.backbone.inputs[0].shape[1:]
            channels_first = self.data_format == "channels_first"
            size = shape[1:] if channels_first else shape[:2]
            return infer_token_grid(
                self.backbone, features.shape[1], size, self.num_prefix_tokens
            )
        raise ValueError(
            "The attention needs a feature map [batch, height, width, "
            "channels] or tokens [batch, tokens, channels]. Received: a "
            f"tensor of shape {tuple(features.shape)} from backbone "
            f"{self.backbone.name!r}. Name an earlier `attention_layer`, or "
            "build the backbone without its top."
        )


def map_format(features: Any, data_format: str) -> str:
    """Data format of the map that `features` are, or are folded to."""
    return data_format if len(features.shape) == 4 else "channels_last"


def make_pooling(
    pooling: str, data_format: str, policy: Any
) -> keras.layers.Layer:
    """The layer that `pooling` names.

    Raises:
        ValueError: If it names none.
    """
    if pooling not in POOLING:
        raise ValueError(
            f"`pooling` must be one of {list(POOLING)}. Received: "
            f"pooling={pooling!r}."
        )
    return POOLING[pooling](
        data_format=data_format, dtype=policy, name="pooling"
    )


def check_preprocessor(preprocessor: Any) -> None:
    """Refuse a preprocessor that could not be saved with the model."""
    if preprocessor is None or isinstance(preprocessor, keras.layers.Layer):
        return
    raise TypeError(
        "`preprocessor` must be a Keras layer or model, so that it can be "
        "saved and exported with the model, such as "
        f"keras.layers.Rescaling(1 / 255). Received: {preprocessor!r} of type "
        f"{type(preprocessor).__name__}."
    )
