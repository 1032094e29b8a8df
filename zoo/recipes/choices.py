"""What the choices do: beta, anchors, where attention sits, which KL.

Command:  python -m keras_aib.zoo.recipes.choices
Cost:     about 30 minutes on 2 CPU cores; a run takes 1 to 2.
Result:   rows "choices" of zoo/results/results.csv, table in
          zoo/results/choices.md.

The setting of `fine_tuning`: EfficientNet-Lite0 at 96 px, frozen up to P4,
4,000 training images of CIFAR-10, all 10,000 test images. One choice differs
from the default at a time. Two seeds.
"""

import argparse
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from keras_aib import data
from keras_aib.zoo.recipes.options import recipe_parser
from keras_aib.zoo.recipes.results import best_learning_rate
from keras_aib.zoo.recipes.results import is_done
from keras_aib.zoo.recipes.stored_features import BACKBONE
from keras_aib.zoo.recipes.stored_features import StoredFeatures
from keras_aib.zoo.recipes.tail_training import Budget
from keras_aib.zoo.recipes.tail_training import run_and_record


@dataclass(frozen=True)
class Choice:
    """One setting that differs from the default.

    Attributes:
        setting: What it is called in the results.
        variant: One of `VARIANTS`.
        cut: Where the backbone is cut.
        attention_layer: Where the attention goes in what follows.
        options: Arguments of `build_variant`.
    """

    setting: str
    variant: str = "aib_quantized"
    cut: str = "P4"
    attention_layer: str | None = "cut"
    options: dict[str, Any] = field(default_factory=dict)


CHOICES = (
    *(
        Choice(f"beta={beta:g}", options={"beta": beta})
        for beta in (1e-3, 1e-2, 1e-1, 1e-5)
    ),
    Choice("kl=stddev, beta=5e-3", options={"beta": 5e-3}),
    Choice(
        "kl=exp_stddev, beta=5e-3",
        options={"beta": 5e-3, "kl_scale": "exp_stddev"},
    ),
    Choice("level=output", attention_layer=None),
    Choice("level=P3", cut="P3"),
    *(
        Choice(f"anchors={count}", options={"num_anchors": count})
        for count in (2, 50, 5, 10)
    ),
    Choice("anchors=none", "aib"),
    Choice("default"),
    Choice("beta=0", options={"beta": 0.0}),
)


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing in the results; can be stopped anywhere."""
    options = parse(arguments)
    train, test = data.load_cifar10()
    splits = {
        "train": tuple(x[: options.train_images] for x in train),
        "test": tuple(x[: options.test_images] for x in test),
    }
    for seed in options.seeds:
        for choice in CHOICES:
            run = {
                "experiment": "choices",
                "model": BACKBONE,
                "variant": choice.variant,
                "setting": choice.setting,
                "seed": seed,
            }
            if is_done(run, options.results):
                continue
            features = StoredFeatures(options.image_size, choice.cut)
            stored = features.compute_splits("cifar10", splits)
            learning_rate = best_learning_rate(choice.variant, options.results)
            run_and_record(
                {**run, "image_size": options.image_size},
                features.new_tail(),
                stored["train"],
                stored["test"],
                Budget(options.epochs, learning_rate, seed=seed),
                options,
                choice.attention_layer,
                **choice.options,
            )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = recipe_parser("choices", __doc__)
    parser.set_defaults(seeds=[0, 1])
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--train-images", type=int, default=4000)
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=4)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
