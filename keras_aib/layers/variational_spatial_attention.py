"""A spatial attention map with a mean and a standard deviation."""

from typing import Any

import keras
from keras import ops

from keras_aib.layers.adapted_parts import PARTS
from keras_aib.layers.adapted_parts import adapted_parts
from keras_aib.layers.adapted_parts import with_parts
from keras_aib.layers.rated_layer import RatedLayer
from keras_aib.layers.rated_layer import sample
from keras_aib.layers.score_convolution import ScoreConvolution
from keras_aib.utils.checks import plain


@keras.saving.register_keras_serializable(package="keras_aib")
class VariationalSpatialAttention(RatedLayer):
    """Scores every position of a feature map, with an uncertainty.

    The mean is `sigmoid(score_network(features))`. The standard deviation is
    computed from the mean map, `softplus(conv(mean) + stddev_offset)`, and in
    training the score is sampled, so a position is only worth a precise score
    if the label needs it. Scores are not clipped: a sample can leave [0, 1].
    From [Lai et al., 2021](https://arxiv.org/abs/2108.03418).

    Args:
        score_network: Layer or model from features to one logit a position,
            without its sigmoid. `None` for a single convolution that starts
            at zero, so that every map starts flat at 0.5.
        kernel_size: Kernel size of that convolution and of the one that gives
            the standard deviation.
        stddev_offset: Added before the softplus; -5 starts the standard
            deviation near 0.007.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for
            `keras.config.image_data_format()`.
        seed: Integer for reproducible draws.

    Call arguments:
        features: Feature map.
        noise: Standard normal draw to use, of the shape of the scores or with
            a leading sample axis. Sampling happens also outside training.
        num_samples: Number of samples to draw, as a leading axis of the
            scores. Sampling happens also outside training.
        training: In training the scores are sampled, otherwise they are the
            mean, so that inference is deterministic.

    Input shape:
        `(batch, height, width, channels)`, or
        `(batch, channels, height, width)` for `"channels_first"`.

    Output shape:
        `(scores, mean, stddev)`, each with one channel in place of
        `channels`; `scores` with a leading sample axis if asked for. dtype
        float32 (or float64), also under a mixed policy.

    Raises:
        ValueError: If the features are not a map of known channels, or the
            score network does not give one channel at every position.

    Example:

    ```python
    import numpy as np
    from keras_aib import layers

    attention = layers.VariationalSpatialAttention()
    features = np.random.normal(size=(2, 7, 7, 16))
    scores, mean, stddev = attention(features, training=True)
    samples, _, _ = attention(features, num_samples=4)  # [4, 2, 7, 7, 1]
    ```
    """

    rate_names = ("attention_mean", "attention_spread")

    def __init__(
        self,
        score_network: keras.layers.Layer | None = None,
        kernel_size: int | tuple[int, int] = 3,
        stddev_offset: float = -5.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        parts = kwargs.pop(PARTS, {})
        super().__init__(**kwargs)
        self.kernel_size = plain(kernel_size)
        self.stddev_offset = float(stddev_offset)
        self.data_format = data_format or keras.config.image_data_format()
        self.seed = plain(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.has_default_score_network = score_network is None
        # Features of a pretrained backbone are large and not normalized: a
        # random kernel would saturate the sigmoid in a random pattern that is
        # hard to unlearn. From zero, all that a map shows was learned.
        self.score_network = (
            score_network
            or parts.get("score_network")
            or self._convolution("score", "zeros")
        )
        self.stddev_convolution = parts.get(
            "stddev_convolution"
        ) or self._convolution("stddev", "glorot_uniform")

    def _convolution(self, name: str, initializer: str) -> keras.layers.Layer:
        return ScoreConvolution(
            1,
            self.kernel_size,
            padding="same",
            data_format=self.data_format,
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        channel_axis = 1 if self.data_format == "channels_first" else 3
        if len(features_shape) != 4 or features_shape[channel_axis] is None:
            layout = (
                "(batch, channels, height, width)"
                if self.data_format == "channels_first"
                else "(batch, height, width, channels)"
            )
            raise ValueError(
                f"{type(self).__name__} expects a feature map of shape "
                f"{layout} with a known number of channels. Received: shape "
                f"{tuple(features_shape)}. Attach it before pooling or "
                "flattening, or set `data_format`."
            )
        map_shape = list(features_shape)
        map_shape[channel_axis] = 1
        if not self.score_network.built:
            self.score_network.build(features_shape)
        received = tuple(
            self.score_network.compute_output_shape(features_shape)
        )
        if received != tuple(map_shape):
            raise ValueError(
                "`score_network` must give one logit at every position, shape "
                f"{tuple(map_shape)}. Received: shape {received}. End it in a "
                "convolution with 1 filter and padding='same', and keep "
                "strides at 1."
            )
        self.stddev_convolution.build(tuple(map_shape))
        self.built = True

    def call(
        self,
        features: Any,
        noise: Any = None,
        num_samples: int | None = None,
        training: bool | None = None,
    ) -> tuple[Any, Any, Any]:
        logits = self.score_network(features, training=training)
        mean = ops.sigmoid(self.as_rate(logits))
        stddev = ops.softplus(
            self.as_rate(self.stddev_convolution(mean)) + self.stddev_offset
        )
        scores = mean
        if training or noise is not None or num_samples is not None:
            scores = sample(
                mean, stddev, noise, num_samples, self.seed_generator
            )
        self.report(
            attention_mean=ops.mean(mean),
            attention_spread=ops.mean(ops.std(mean, axis=(1, 2, 3))),
        )
        return scores, mean, stddev

    def get_config(self) -> dict[str, Any]:
        score_network = None
        if not self.has_default_score_network:
            score_network = keras.saving.serialize_keras_object(
                self.score_network
            )
        return {
            **super().get_config(),
            "score_network": score_network,
            "kernel_size": self.kernel_size,
            "stddev_offset": self.stddev_offset,
            "data_format": self.data_format,
            "seed": self.seed,
            **adapted_parts(
                score_network=(
                    self.score_network
                    if self.has_default_score_network
                    else None
                ),
                stddev_convolution=self.stddev_convolution,
            ),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any]
    ) -> "VariationalSpatialAttention":
        config = with_parts(config)
        if isinstance(config.get("score_network"), dict):
            config["score_network"] = keras.saving.deserialize_keras_object(
                config["score_network"]
            )
        return cls(**config)
