"""The attention of the AIB paper as one layer."""

from typing import Any

import keras
from keras import ops

from keras_aib.layers.adapted_parts import PARTS
from keras_aib.layers.adapted_parts import adapted_parts
from keras_aib.layers.adapted_parts import with_parts
from keras_aib.layers.anchor_quantizer import AnchorQuantizer
from keras_aib.layers.variational_spatial_attention import (
    VariationalSpatialAttention,
)
from keras_aib.utils.checks import plain


@keras.saving.register_keras_serializable(package="keras_aib")
class BottleneckAttention(keras.layers.Layer):
    """Lets through, position by position, what the label needs.

    Scores a feature map (`VariationalSpatialAttention`), rounds the scores to
    a few anchor values (`AnchorQuantizer`) and returns `features + features *
    scores`. With scores of zero it is the identity, so it can be inserted into
    a pretrained backbone. From
    [Lai et al., 2021](https://arxiv.org/abs/2108.03418).

    Args:
        num_anchors: Number of anchor values, or `None` for continuous scores.
        score_network: See `VariationalSpatialAttention`.
        kernel_size: See `VariationalSpatialAttention`.
        stddev_offset: See `VariationalSpatialAttention`.
        codebook_weight: See `AnchorQuantizer`.
        commitment_weight: See `AnchorQuantizer`.
        anchor_gradient_scale: See `AnchorQuantizer`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        seed: Integer for reproducible draws.

    Call arguments:
        features: Feature map.
        noise: Standard normal draw for the scores, `(batch, height, width, 1)`
            (one channel in the channel axis), or with a leading sample axis.
        num_samples: Number of samples to draw, as a leading axis.
        return_attention_scores: Also return the maps.
        training: In training the scores are sampled.

    Input shape:
        `(batch, height, width, channels)`, or
        `(batch, channels, height, width)` for `"channels_first"`.

    Output shape:
        The input shape, with a leading sample axis if asked for. With
        `return_attention_scores=True` a pair of that and a dictionary:
        `"scores"`, what the features were multiplied with; `"mean"` and
        `"stddev"` of the scores' distribution; with anchors `"quantized"`,
        the same tensor as `"scores"`. Each has one channel.

    Raises:
        ValueError: For bad arguments, as the two layers inside raise it.

    Example:

    ```python
    import numpy as np
    from keras_aib import layers

    block = layers.BottleneckAttention(num_anchors=20)
    features = np.random.normal(size=(2, 7, 7, 16))
    attended, maps = block(features, return_attention_scores=True)
    maps["quantized"].shape  # (2, 7, 7, 1)
    ```
    """

    def __init__(
        self,
        num_anchors: int | None = 20,
        score_network: keras.layers.Layer | None = None,
        kernel_size: int | tuple[int, int] = 3,
        stddev_offset: float = -5.0,
        codebook_weight: float = 0.4,
        commitment_weight: float = 0.1,
        anchor_gradient_scale: float = 1e-4,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        parts = kwargs.pop(PARTS, {})
        super().__init__(autocast=False, **kwargs)
        self.attention = parts.get("attention") or VariationalSpatialAttention(
            score_network=score_network,
            kernel_size=kernel_size,
            stddev_offset=stddev_offset,
            data_format=data_format,
            seed=seed,
            dtype=self.dtype_policy,
            name="attention",
        )
        self.quantizer = None
        if num_anchors is not None:
            self.quantizer = AnchorQuantizer(
                num_anchors=num_anchors,
                codebook_weight=codebook_weight,
                commitment_weight=commitment_weight,
                anchor_gradient_scale=anchor_gradient_scale,
                dtype=self.dtype_policy,
                name="quantizer",
            )
        self.num_anchors = plain(num_anchors)
        self.codebook_weight = plain(codebook_weight)
        self.commitment_weight = plain(commitment_weight)
        self.anchor_gradient_scale = plain(anchor_gradient_scale)

    @property
    def data_format(self) -> str:
        """Where the channels of the features are."""
        return self.attention.data_format

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        self.attention.build(features_shape)
        if self.quantizer is not None:
            self.quantizer.build(features_shape)
        self.built = True

    def call(
        self,
        features: Any,
        noise: Any = None,
        num_samples: int | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        scores, mean, stddev = self.attention(
            features, noise=noise, num_samples=num_samples, training=training
        )
        maps = {"mean": mean, "stddev": stddev}
        if self.quantizer is not None:
            scores = self.quantizer(scores)
            maps["quantized"] = scores
        maps["scores"] = scores
        features = ops.cast(features, self.compute_dtype)
        attended = features + features * ops.cast(scores, self.compute_dtype)
        return (attended, maps) if return_attention_scores else attended

    def get_config(self) -> dict[str, Any]:
        attention = self.attention.get_config()
        return {
            **super().get_config(),
            "num_anchors": self.num_anchors,
            "score_network": attention["score_network"],
            "kernel_size": attention["kernel_size"],
            "stddev_offset": attention["stddev_offset"],
            "codebook_weight": self.codebook_weight,
            "commitment_weight": self.commitment_weight,
            "anchor_gradient_scale": self.anchor_gradient_scale,
            "data_format": attention["data_format"],
            "seed": attention["seed"],
            **adapted_parts(attention=self.attention),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BottleneckAttention":
        config = with_parts(config)
        if isinstance(config.get("score_network"), dict):
            config["score_network"] = keras.saving.deserialize_keras_object(
                config["score_network"]
            )
        return cls(**config)
