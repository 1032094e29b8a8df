"""Attribution by one information bottleneck that several layers share."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_aib.attribution.attribution_result import AttributionResult
from keras_aib.attribution.bottleneck_search import BottleneckSearch
from keras_aib.attribution.feature_statistics import FeatureStatistics
from keras_aib.attribution.objective import Targets
from keras_aib.attribution.search_options import SearchOptions


class CoIBA:
    """How many bits each place gave the decision, over several layers.

    As `IBA`, but one share lambda per place is applied at several layers, each
    with noise of its own, so that what one layer lost cannot be brought back
    by another. It is made for vision transformers: take the outputs of the
    first norms of the later two thirds of the blocks.

    Those norms leave the residual stream open, so nothing is guaranteed of
    what passes beside them: the map ranks places, and its bits are those of
    the first layer alone.

    Paper: [Comprehensive Information Bottleneck for Unveiling Universal
    Attribution to Interpret Vision
    Transformers](https://arxiv.org/abs/2507.04388) (CVPR 2025).

    Args:
        model: A functional or sequential classifier; logits or probabilities.
        layers: Paths of layers of one resolution, in the order in which they
            are computed. For KerasHub's ViT-B: `[f"vit_encoder/block_{i}/
            layer_norm_1" for i in range(4, 12)]`.
        statistics: Of these layers, from `estimate_statistics`.
        beta: Price of information: weight of the mean over the first layer's
            features of their information, in nats.
        steps: Steps of Adam.
        learning_rate: Of Adam.
        copies: Draws of the noise per step.
        smoothing_sigma: Of a Gaussian blur of lambda, in places of the
            feature map; `None`, as in the paper, for no blur.
        seed: Of the noise. Every image sees the same draws.
        output_kind: What the model gives, where its last layers do not tell:
            `"logits"` or `"probabilities"` of classes of which one is right,
            `"label_logits"` or `"label_probabilities"` of labels of which
            each is right or not. A sigmoid means labels; a single output
            tells class 1 from class 0.
        num_prefix_tokens: Class, distillation and register tokens before the
            patches, where the model does not tell.

    Call arguments:
        images: As for `IBA`.
        targets: As for `IBA`.
        batch_size: As for `IBA`.
        verbose: As for `IBA`.

    Returns:
        When called, an `AttributionResult`: `bits` `[N, H, W]` in bits per
        pixel, without the class token's, and more.

    Raises:
        TypeError: As for `IBA`.
        ValueError: As for `IBA`; also if the layers' resolutions differ or
            they are out of order.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib import attribution

    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv_1")(images)
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv_2")(x)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(2)(pooled))

    layers = ["conv_1", "conv_2"]
    pixels = np.random.uniform(size=(1000, 8, 8, 3)).astype("float32")
    statistics = attribution.estimate_statistics(model, layers, pixels)
    explain = attribution.CoIBA(model, layers, statistics=statistics)
    print(explain(pixels[:2], targets=[0, 1]).bits.shape)  # (2, 8, 8)
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[str],
        statistics: FeatureStatistics,
        beta: float = 1.0,
        steps: int = 10,
        learning_rate: float = 1.0,
        copies: int = 10,
        smoothing_sigma: float | None = None,
        seed: int = 0,
        output_kind: str | None = None,
        num_prefix_tokens: int | None = None,
    ) -> None:
        if isinstance(layers, str) or not len(layers):
            raise ValueError(
                "`layers` must be a list of one or more layers. Received: "
                f"layers={layers!r}."
            )
        options = SearchOptions(
            beta=beta,
            steps=steps,
            learning_rate=learning_rate,
            copies=copies,
            smoothing_sigma=smoothing_sigma,
            per_channel=False,
            seed=seed,
            output_kind=output_kind,
            num_prefix_tokens=num_prefix_tokens,
        )
        self._search = BottleneckSearch(
            model, layers, statistics, "CoIBA", options
        )

    def __call__(
        self,
        images: Any,
        targets: Targets = None,
        batch_size: int = 16,
        verbose: int = 1,
    ) -> AttributionResult:
        return self._search.run(images, targets, batch_size, verbose)
