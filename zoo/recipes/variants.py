"""The models that are compared: with, without, and with plain attention."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_aib.graph.retrace import as_functional
from keras_aib.graph.retrace import final_output
from keras_aib.graph.retrace import find_insertion_point
from keras_aib.graph.retrace import trace
from keras_aib.layers.score_convolution import ScoreConvolution
from keras_aib.models import AIBClassifier

VARIANTS = ("plain", "deterministic", "aib", "aib_quantized")


@dataclass(frozen=True)
class Variant:
    """A classifier and the function that gives its attention maps.

    Attributes:
        model: From images to logits, uncompiled.
        attention: From images to scores `[B, H, W]`; `None` for `"plain"`.
    """

    model: keras.Model
    attention: Callable[[np.ndarray], np.ndarray] | None


def build_variant(
    variant: str,
    backbone: keras.Model,
    num_classes: int,
    attention_layer: str | None = None,
    preprocessor: keras.layers.Layer | None = None,
    num_anchors: int = 20,
    seed: int | None = None,
    **options: Any,
) -> Variant:
    """Put one of the compared heads on a backbone.

    Args:
        variant: `"plain"`: average pooling and one dense layer.
            `"deterministic"`: the same behind `features + features * sigmoid(
            convolution)` at `attention_layer`. `"aib"`: `AIBClassifier` with
            continuous scores. `"aib_quantized"`: with anchors.
        backbone: Functional backbone, channels last; its layers are shared.
        num_classes: Number of classes.
        attention_layer: As for `AIBClassifier`.
        preprocessor: As for `AIBClassifier`.
        num_anchors: Anchors of `"aib_quantized"`.
        seed: Of the draws of `"aib"` and `"aib_quantized"`.
        **options: Further arguments of `AIBClassifier`; the others have no use
            for them.

    Returns:
        A `Variant`.

    Raises:
        ValueError: If there is no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"`variant` must be one of {VARIANTS}. Received: "
            f"variant={variant!r}"
        )
    if variant.startswith("aib"):
        quantized = variant == "aib_quantized"
        model = AIBClassifier(
            backbone,
            num_classes,
            attention_layer=attention_layer,
            num_anchors=num_anchors if quantized else None,
            preprocessor=preprocessor,
            seed=seed,
            **options,
        )
        which = "quantized" if quantized else "mean"
        return Variant(model, lambda images: model.attention(images)[which])
    functional = as_functional(backbone)
    images = keras.Input(functional.inputs[0].shape[1:], name="images")
    pixels = images if preprocessor is None else preprocessor(images)
    scores: list[Any] = []

    def attend(features: Any) -> Any:
        # From zero like ours, so that only what is compared differs.
        scores.append(
            ScoreConvolution(
                1,
                3,
                padding="same",
                activation="sigmoid",
                kernel_initializer="zeros",
                name="score",
            )(features)
        )
        return features + features * scores[0]

    if variant == "plain":
        features = trace(functional, pixels)
    elif attention_layer is None:
        features = attend(trace(functional, pixels))
    else:
        point = find_insertion_point(functional, attention_layer)
        features = trace(functional, pixels, point, attend)
    pooled = keras.layers.GlobalAveragePooling2D(name="pooling")(features)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")
    model = keras.Model(images, logits(pooled), name=variant)
    if not scores:
        return Variant(model, None)
    maps = keras.Model(images, scores[0])
    return Variant(
        model, lambda x: np.squeeze(maps.predict(x, verbose=0), axis=-1)
    )


def split_backbone(
    backbone: keras.Model, cut: str
) -> tuple[keras.Model, keras.Model]:
    """Cut a backbone in two that share its layers.

    What is frozen needs to be computed only once, so a comparison of many
    heads on a CPU trains the second half on stored outputs of the first.

    Args:
        backbone: Functional backbone.
        cut: Level or layer after which it is cut.

    Returns:
        From images to features, and from features to the backbone's output;
        the latter starts with a layer named `"cut"`, where attention can be
        put.
    """
    features = find_insertion_point(as_functional(backbone), cut).tensor
    trunk = keras.Model(backbone.input, features, name="trunk")
    rest = keras.Model(features, final_output(as_functional(backbone)))
    start = keras.Input(features.shape[1:], name="features")
    identity = keras.layers.Identity(name="cut")(start)
    tail = keras.Model(start, trace(rest, identity), name="tail")
    return trunk, tail
