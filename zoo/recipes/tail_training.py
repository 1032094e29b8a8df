"""Train one of the compared heads on stored features."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.callbacks import BetaWarmup
from keras_aib.metrics import accuracy
from keras_aib.metrics import class_probabilities
from keras_aib.metrics import expected_calibration_error
from keras_aib.metrics import negative_log_likelihood
from keras_aib.utils.files import written_whole
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.recipes.variants import Variant
from keras_aib.zoo.recipes.variants import build_variant

Labelled = tuple[np.ndarray, np.ndarray]


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


def run_and_record(
    run: dict[str, Any],
    tail: keras.Model,
    train: Labelled,
    test: Labelled,
    budget: Budget,
    options: argparse.Namespace,
    attention_layer: str | None = "cut",
    judge: Callable[[Variant], dict[str, float]] | None = None,
    weights: Path | None = None,
    **build_options: Any,
) -> Variant:
    """Train one variant, evaluate it, and append its rows.

    Args:
        run: Experiment, model, variant, setting and image size.
        tail: Second half of a backbone, from `StoredFeatures.new_tail`.
        train: Features and labels to train on.
        test: Features and labels to evaluate on.
        budget: Epochs, learning rate, seed.
        options: Of `recipe_parser`: where the results go, and the command.
        attention_layer: Where the attention goes in the tail.
        judge: Gives further figures of the trained variant.
        weights: Where to save the trained weights.
        **build_options: Further arguments of `build_variant`.

    Returns:
        The trained variant.
    """
    built, seconds = train_tail(
        run["variant"], tail, *train, budget, attention_layer, **build_options
    )
    metrics = evaluate_tail(built, *test)
    if judge is not None:
        metrics.update(judge(built))
    if weights is not None:
        # First, so that no row stands without its weights.
        with written_whole(weights) as path:
            built.model.save_weights(path)
    append_run(
        {
            **run,
            "seed": budget.seed,
            "train_images": len(train[1]),
            "test_images": len(test[1]),
            "epochs": budget.epochs,
            "seconds": f"{seconds:.0f}",
            "command": options.command,
        },
        metrics,
        options.results,
    )
    return built


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
