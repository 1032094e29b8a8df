"""Fine-tuning: does the bottleneck help, cost, or neither?

Command:  python -m keras_aib.zoo.recipes.fine_tuning
Cost:     about 40 minutes on 2 CPU cores; a run takes 1 to 2.
Result:   rows "fine_tuning" of zoo/results/results.csv, table in
          zoo/results/fine_tuning.md.

EfficientNet-Lite0 with ImageNet weights, frozen up to level P4, on the first
4,000 training images of CIFAR-10 at 96 px, without augmentation; all 10,000
test images; three seeds. Every variant gets the same epochs and the same
tuning: three learning rates, one run each with seed 0, judged on 2,000
training images that are not trained on.
"""

import argparse
from pathlib import Path

import numpy as np

from keras_aib import data
from keras_aib.zoo.recipes.options import recipe_parser
from keras_aib.zoo.recipes.results import best_learning_rate
from keras_aib.zoo.recipes.results import is_done
from keras_aib.zoo.recipes.stored_features import BACKBONE
from keras_aib.zoo.recipes.stored_features import StoredFeatures
from keras_aib.zoo.recipes.tail_training import Budget
from keras_aib.zoo.recipes.tail_training import run_and_record

LEARNING_RATES = (3e-4, 1e-3, 3e-3)
VALIDATION_START = 45_000


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing in the results; can be stopped anywhere."""
    options = parse(arguments)
    features = StoredFeatures(options.image_size)
    (x_train, y_train), (x_test, y_test) = data.load_cifar10()
    count = options.train_images
    end = VALIDATION_START + options.validation_images
    splits = {
        "train": (x_train[:count], y_train[:count]),
        "validation": (
            x_train[VALIDATION_START:end],
            y_train[VALIDATION_START:end],
        ),
        "test": (
            x_test[: options.test_images],
            y_test[: options.test_images],
        ),
    }
    stored = features.compute_splits("cifar10", splits)
    for variant in options.variants:
        for learning_rate in LEARNING_RATES:
            run_once(
                "learning_rate",
                variant,
                0,
                learning_rate,
                features,
                stored["train"],
                stored["validation"],
                options,
            )
    for seed in options.seeds:
        for variant in options.variants:
            run_once(
                "fine_tuning",
                variant,
                seed,
                best_learning_rate(variant, options.results),
                features,
                stored["train"],
                stored["test"],
                options,
            )


def run_once(
    experiment: str,
    variant: str,
    seed: int,
    learning_rate: float,
    features: StoredFeatures,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    options: argparse.Namespace,
) -> None:
    """Train and evaluate one model, unless its rows exist."""
    run = {
        "experiment": experiment,
        "model": BACKBONE,
        "variant": variant,
        "setting": f"learning_rate={learning_rate:g}",
        "seed": seed,
    }
    if is_done(run, options.results):
        return
    weights = None
    if experiment == "fine_tuning":
        weights = weights_path(options.output, variant, seed)
    run_and_record(
        {**run, "image_size": options.image_size},
        features.new_tail(),
        train,
        test,
        Budget(options.epochs, learning_rate, seed=seed),
        options,
        weights=weights,
    )


def weights_path(output: Path, variant: str, seed: int) -> Path:
    """Where the weights of a final run are, for other recipes."""
    return output / f"{variant}-{seed}.weights.h5"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = recipe_parser("fine_tuning", __doc__)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--train-images", type=int, default=4000)
    parser.add_argument("--validation-images", type=int, default=2000)
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=4)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
