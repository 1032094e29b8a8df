"""How images, backbone, attention and pooling are wired together."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_aib.graph.retrace import InsertionPoint
from keras_aib.graph.retrace import as_functional
from keras_aib.graph.retrace import final_output
from keras_aib.graph.retrace import find_insertion_point
from keras_aib.graph.retrace import free_name
from keras_aib.graph.retrace import rename_operations
from keras_aib.graph.retrace import trace
from keras_aib.graph.retrace import uses_all_weights
from keras_aib.graph.shared_layer import share_layer
from keras_aib.graph.token_grid import TokenGrid
from keras_aib.graph.token_grid import infer_token_grid
from keras_aib.layers import BottleneckAttention
from keras_aib.layers import GaussianBottleneck
from keras_aib.models.decoder import make_decoder

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
        bottleneck: Layer from that vector to the latent.
        decoder: Layer from the latent to the predictions.
        point: Where the attention goes, or `None` for the output.
        data_format: Where the channels of the images are.
        num_prefix_tokens: Tokens before the patches, or `None` to infer.
        share_layers: See `graph.trace`.
        names: Names that are taken in the graph.
    """

    backbone: keras.Model
    preprocessor: keras.layers.Layer | None
    attention: BottleneckAttention
    pooling: keras.layers.Layer
    bottleneck: GaussianBottleneck
    decoder: keras.layers.Layer
    point: InsertionPoint | None
    data_format: str
    num_prefix_tokens: int | None
    share_layers: bool
    names: set[str]

    def free_name(self, name: str) -> str:
        """`name`, or one like it that nothing in the graph has."""
        return free_name(name, self.names)

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
        name = self.free_name("images")
        return keras.Input(shape, dtype=pixels.dtype, name=name)

    def connect(self, images: Any, noise: Any = None) -> Connections:
        """Trace everything from `images` to the pooled vector.

        Args:
            images: Keras tensor of images.
            noise: Draw for the attention scores, or `None`.
        """
        pixels = images
        if self.preprocessor is not None:
            preprocess = self.preprocessor
            if self.share_layers:
                taken = [x.name for x in self.backbone.operations]
                name = free_name(preprocess.name, taken)
                preprocess = share_layer(preprocess, name)
            pixels = preprocess(images)
        made: list[tuple[Any, Any, dict[str, Any]]] = []

        def insert(features: Any) -> Any:
            attended, maps = self.attend(features, noise)
            made.append((features, attended, maps))
            return attended

        if self.point is None:
            features = trace(
                self.backbone, pixels, share_layers=self.share_layers
            )
            grid = self._grid(features)
            if grid is not None:
                # Nothing follows that could use the other tokens.
                features = self._fold(grid, features)
            pooled = self.pooling(insert(features))
        else:
            output = trace(
                self.backbone,
                pixels,
                self.point,
                insert,
                noise,
                self.share_layers,
            )
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
            grid.fold(features),
            noise=noise,
            return_attention_scores=True,
        )
        unfolded = grid.unfold(attended, features)
        rename_operations(features, unfolded, self.names)
        return unfolded, maps

    def _fold(self, grid: TokenGrid, tokens: Any) -> Any:
        folded = grid.fold(tokens)
        rename_operations(tokens, folded, self.names)
        return folded

    def _pool(self, output: Any) -> Any:
        if len(output.shape) == 2:
            return output
        grid = self._grid(output)
        return self.pooling(
            output if grid is None else self._fold(grid, output)
        )

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


def make_wiring(
    arguments: dict[str, Any], policy: Any, parts: dict[str, Any]
) -> Wiring:
    """Make what a classifier puts into and behind its backbone.

    Args:
        arguments: The classifier's, by name.
        policy: Dtype policy of the layers.
        parts: Layers to take instead of new ones: those that were quantized or
            have LoRA.

    Raises:
        TypeError: If the backbone is no Keras model.
        ValueError: If the backbone cannot be traced, has no such layer as
            `attention_layer`, or an option is wrong.
    """
    backbone = arguments["backbone"]
    preprocessor = arguments["preprocessor"]
    functional = as_functional(backbone)
    point, features = None, final_output(functional)
    data_format = (
        arguments["data_format"]
        or getattr(backbone, "data_format", None)
        or keras.config.image_data_format()
    )
    pooled_format = _map_format(features, data_format)
    if arguments["attention_layer"] is not None:
        point = find_insertion_point(functional, arguments["attention_layer"])
        features = point.tensor
    taken = {operation.name for operation in functional.operations}
    if preprocessor is not None:
        taken.add(free_name(preprocessor.name, taken))

    def options(*names: str) -> dict[str, Any]:
        return {name: arguments[name] for name in names}

    attention = parts.get("attention") or BottleneckAttention(
        **options(
            *("num_anchors", "score_network", "kernel_size"),
            *("stddev_offset", "codebook_weight", "commitment_weight"),
            *("anchor_gradient_scale", "seed"),
        ),
        data_format=_map_format(features, data_format),
        dtype=policy,
        name=free_name("bottleneck_attention", taken),
    )
    bottleneck = parts.get("bottleneck") or GaussianBottleneck(
        **options("latent_dim", "beta", "stddev_offset", "kl_scale", "seed"),
        dtype=policy,
        name=free_name("gaussian_bottleneck", taken),
    )
    hidden_units = arguments["hidden_units"]
    decoder = parts.get("decoder") or make_decoder(
        arguments["num_classes"],
        bottleneck.latent_dim if hidden_units is None else hidden_units,
        arguments["activation"],
        policy,
        bottleneck.rate_dtype,
        free_name("decoder", taken),
    )
    return Wiring(
        backbone=functional,
        preprocessor=preprocessor,
        attention=attention,
        pooling=_make_pooling(
            arguments["pooling"],
            pooled_format,
            policy,
            free_name("pooling", taken),
        ),
        bottleneck=bottleneck,
        decoder=decoder,
        point=point,
        data_format=data_format,
        num_prefix_tokens=arguments["num_prefix_tokens"],
        share_layers=uses_all_weights(backbone, functional),
        names=taken,
    )


def _map_format(features: Any, data_format: str) -> str:
    """Data format of the map that `features` are, or are folded to."""
    return data_format if len(features.shape) == 4 else "channels_last"


def _make_pooling(
    pooling: str, data_format: str, policy: Any, name: str
) -> keras.layers.Layer:
    """The layer that `pooling` names, called `name` in the model.

    Raises:
        ValueError: If it names none.
    """
    if pooling not in POOLING:
        raise ValueError(
            f"`pooling` must be one of {list(POOLING)}. Received: "
            f"pooling={pooling!r}."
        )
    return POOLING[pooling](data_format=data_format, dtype=policy, name=name)


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
