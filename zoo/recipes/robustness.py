"""Robustness: the models of `fine_tuning` under corruptions and attacks.

Command:  python -m keras_aib.zoo.recipes.robustness
Cost:     about 10 minutes on 2 CPU cores, after `fine_tuning`.
Result:   rows "robustness" of zoo/results/results.csv, table in
          zoo/results/robustness.md.

Six common corruptions at five severities on the first 1,000 test images, and
the fast gradient sign attack with 0.5, 1, 2 and 4 of 255 pixel values on the
first 250. Both change the 32 x 32 pictures, before they are resized.
"""

import argparse
import functools
from typing import Any

import keras
import numpy as np

from keras_aib import data
from keras_aib.metrics import accuracy
from keras_aib.metrics import class_probabilities
from keras_aib.zoo.recipes.corruptions import CORRUPTIONS
from keras_aib.zoo.recipes.corruptions import SEVERITIES
from keras_aib.zoo.recipes.corruptions import corrupt
from keras_aib.zoo.recipes.fast_gradient_sign import attack_images
from keras_aib.zoo.recipes.fast_gradient_sign import input_gradients
from keras_aib.zoo.recipes.fine_tuning import weights_path
from keras_aib.zoo.recipes.options import recipe_parser
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.recipes.results import is_done
from keras_aib.zoo.recipes.stored_features import BACKBONE
from keras_aib.zoo.recipes.stored_features import StoredFeatures
from keras_aib.zoo.recipes.variants import build_variant

EPSILONS = (0.5, 1.0, 2.0, 4.0)


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing in the results; can be stopped anywhere."""
    options = parse(arguments)
    images, labels = data.load_cifar10()[1]
    features = StoredFeatures(options.image_size)
    for seed in options.seeds:
        for variant in options.variants:
            run = {
                "experiment": "robustness",
                "model": BACKBONE,
                "variant": variant,
                "setting": "corruptions, attacks",
                "seed": seed,
            }
            if not is_done(run, options.results):
                run_once(run, features, images, labels, options)


def run_once(
    run: dict[str, Any],
    features: StoredFeatures,
    images: np.ndarray,
    labels: np.ndarray,
    options: argparse.Namespace,
) -> None:
    """Judge one trained model, append."""
    model = build_variant(
        run["variant"], features.new_tail(), 10, attention_layer="cut"
    ).model
    model.load_weights(
        weights_path(options.output, run["variant"], run["seed"])
    )
    count = options.test_images
    metrics = corrupted_accuracy(
        model, features, images[:count], labels[:count]
    )
    count = options.attacked_images
    metrics.update(
        attacked_accuracy(model, features, images[:count], labels[:count])
    )
    append_run(
        {
            **run,
            "test_images": options.test_images,
            "image_size": options.image_size,
            "command": options.command,
        },
        metrics,
        options.results,
    )


def corrupted_accuracy(
    model: keras.Model,
    features: StoredFeatures,
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, float]:
    """Accuracy by severity, by corruption, and over all of them."""
    table = np.zeros((len(CORRUPTIONS), len(SEVERITIES)))
    for row, corruption in enumerate(CORRUPTIONS):
        for column, severity in enumerate(SEVERITIES):
            stored = features.compute(
                f"cifar10-test-{len(images)}-{corruption}-{severity}",
                functools.partial(corrupt, images, corruption, severity),
            )
            table[row, column] = _accuracy(model, stored, labels)
    by_kind = dict(zip(CORRUPTIONS, table.mean(axis=1), strict=True))
    by_severity = {
        f"severity_{severity}": value
        for severity, value in zip(SEVERITIES, table.mean(axis=0), strict=True)
    }
    return {"corrupted": table.mean(), **by_kind, **by_severity}


def attacked_accuracy(
    model: keras.Model,
    features: StoredFeatures,
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, float]:
    """Accuracy under attacks of growing strength; 0 is none."""
    pixels = keras.Input(images.shape[1:], name="pixels")
    whole = keras.Model(pixels, model(features.trunk(pixels)))
    gradients = input_gradients(
        whole, images, labels, batch_size=min(50, len(images))
    )
    return {
        f"attack_{epsilon:g}": _accuracy(
            whole, attack_images(images, gradients, epsilon), labels
        )
        for epsilon in (0.0, *EPSILONS)
    }


def _accuracy(
    model: keras.Model, inputs: np.ndarray, labels: np.ndarray
) -> float:
    outputs = model.predict(inputs, batch_size=100, verbose=0)
    return accuracy(class_probabilities(model, outputs), labels)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = recipe_parser("robustness", __doc__)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--attacked-images", type=int, default=250)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
