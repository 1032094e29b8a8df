"""Train one of the compared heads on stored features."""

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_aib.callbacks import BetaWarmup
from keras_aib.zoo.metrics import accuracy
from keras_aib.zoo.metrics import class_probabilities
from keras_aib.zoo.metrics import expected_calibration_error
from keras_aib.zoo.metrics import negative_log_likelihood
from keras_aib.zoo.recipes.variants import Variant
from keras_aib.zoo.recipes.variants import build_variant


@dataclass(frozen=True)
class Budget:
    """What every compared model gets.

    Attributes:
        epochs: Passes over the training images.
        learning_rate: Of Adam at the start; it falls to 0 as a cosine.
        batch_size: Images a step.
        seed: Of the initial weights, the order and the draws.
    """

    epochs: int
    learning_rate: float
    batch_size: int = 32
    seed: int = 0


def train_tail(
    variant: str,
    tail: keras.Model,
    features: np.ndarray,
    labels: np.ndarray,
    budget: Budget,
    attention_layer: str | None = "cut",
    num_classes: int = 10,
    **options: Any,
) -> tuple[Variant, float]:
    """Build a variant on the tail of a backbone and train it.

    Args:
        variant: One of `VARIANTS`.
        tail: Second half of a backbone, from `StoredFeatures.new_tail`.
        features: What the first half gives.
        labels: Classes, integers.
        budget: Epochs, learning rate, seed.
        attention_layer: Where the attention goes in the tail.
        num_classes: Number of classes.
        **options: Further arguments of `build_variant`.

    Returns:
        The trained variant, compiled, and the seconds that it took.
    """
    keras.utils.set_random_seed(budget.seed)
    built = build_variant(
        variant,
        tail,
        num_classes,
        attention_layer=attention_layer,
        seed=budget.seed,
        **options,
    )
    steps = -(-len(features) // budget.batch_size) * budget.epochs
    built.model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(budget.learning_rate, steps)
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    warmup = [BetaWarmup(warmup_epochs=1)] if variant.startswith("aib") else []
    started = time.monotonic()
    built.model.fit(
        features,
        labels,
        batch_size=budget.batch_size,
        epochs=budget.epochs,
        callbacks=warmup,
        verbose=0,
    )
    return built, time.monotonic() - started


def evaluate_tail(
    built: Variant, features: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Accuracy, NLL in nats, calibration error, and the bottleneck's rates."""
    outputs = built.model.predict(features, batch_size=128, verbose=0)
    probabilities = class_probabilities(built.model, outputs)
    rates = built.model.evaluate(
        features, labels, batch_size=128, verbose=0, return_dict=True
    )
    for name in ("loss", "accuracy"):
        rates.pop(name)
    return {
        "accuracy": accuracy(probabilities, labels),
        "nll": negative_log_likelihood(probabilities, labels),
        "ece": expected_calibration_error(probabilities, labels),
        **rates,
    }
