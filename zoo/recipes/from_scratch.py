"""From scratch: the paper's CIFAR nets on all of CIFAR-10, by its recipe.

Command:  python -m keras_aib.zoo.recipes.from_scratch --net vgg32
Cost:     not measured: needs a GPU.
Result:   not run: needs a GPU.

VGG-32 or WRN-28-10 on 32 x 32 pixels, 60 epochs that go through the whole
course of the paper's learning rate, tested on all 10,000 test images. The
variants with a bottleneck have the paper's loss and score network; plain
attention has one convolution, and both without a bottleneck one dense layer on
the pooled features. `accuracy_sampled` is the paper's way to evaluate, on
logits averaged over samples; the other figures are without sampling.
"""

import argparse
import time
from pathlib import Path

import keras

from keras_aib import data
from keras_aib.metrics import accuracy
from keras_aib.metrics import class_probabilities
from keras_aib.models import AIBClassifier
from keras_aib.utils.files import written_whole
from keras_aib.zoo.architectures.paper_nets import PAPER_NETS
from keras_aib.zoo.paper_recipes import PaperRecipe
from keras_aib.zoo.paper_recipes import paper_recipe
from keras_aib.zoo.recipes.options import recipe_parser
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.recipes.results import is_done
from keras_aib.zoo.recipes.tail_training import Labelled
from keras_aib.zoo.recipes.tail_training import evaluate_tail
from keras_aib.zoo.recipes.variants import Variant
from keras_aib.zoo.recipes.variants import build_variant

NETS = {row.name: row for row in PAPER_NETS}
NUM_CLASSES = 10
TRAINED_MODELS = Path("runs") / "from_scratch"


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing in the results; can be stopped anywhere."""
    options = parse(arguments)
    keras.config.set_dtype_policy(options.precision)
    train, (images, labels) = data.load_cifar10()
    test = images[: options.test_images], labels[: options.test_images]
    for seed in options.seeds:
        for variant in options.variants:
            run_once(variant, seed, train, test, options)


def run_once(
    variant: str,
    seed: int,
    train: Labelled,
    test: Labelled,
    options: argparse.Namespace,
) -> None:
    """Train and evaluate one model, unless its rows exist."""
    run = {
        "experiment": "from_scratch",
        "model": options.net,
        "variant": variant,
        "setting": f"paper {options.precision}",
        "seed": seed,
    }
    if is_done(run, options.results):
        return
    quantized = variant == "aib_quantized"
    name = f"aib_{options.net}" + ("" if quantized else "_continuous")
    recipe = paper_recipe(name)
    batch_size = options.batch_size or recipe.batch_size
    steps = options.steps_per_epoch or -(-len(train[1]) // batch_size)
    images, labels = (array[: steps * batch_size] for array in train)
    keras.utils.set_random_seed(seed)
    built = build(variant, recipe, seed)
    built.model.compile(
        recipe.optimizer(steps, options.epochs),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    started = time.monotonic()
    built.model.fit(
        images,
        labels,
        batch_size=batch_size,
        epochs=options.epochs,
        verbose=options.verbose,
    )
    seconds = time.monotonic() - started
    metrics = evaluate_tail(built, *test)
    if isinstance(built.model, AIBClassifier):
        metrics["accuracy_sampled"] = sampled_accuracy(
            built.model, test, recipe.evaluation_samples, seed
        )
    # First, so that no row stands without its weights.
    weights = f"{options.net}-{variant}-{seed}.weights.h5"
    with written_whole(options.output / weights) as path:
        built.model.save_weights(path)
    append_run(
        {
            **run,
            "train_images": len(labels),
            "test_images": len(test[1]),
            "image_size": images.shape[1],
            "epochs": options.epochs,
            "seconds": f"{seconds:.0f}",
            "command": f"{options.command} --net {options.net}",
        },
        metrics,
        options.results,
    )


def build(variant: str, recipe: PaperRecipe, seed: int) -> Variant:
    """A variant of one of the paper's nets, its augmentation inside.

    Augmentation in the graph costs a GPU nothing, where the two cores beside
    it would be the slowest part; outside training it does nothing.
    """
    config = NETS[recipe.name]
    arguments = {**config.options, **recipe.options}
    # With anchors or without is the variant's matter.
    num_anchors = arguments.pop("num_anchors")
    if num_anchors is not None:
        arguments["num_anchors"] = num_anchors
    preprocessor = keras.Sequential(
        [recipe.build_augmentation(seed), config.build_preprocessor()],
        name="preprocessor",
    )
    return build_variant(
        variant,
        config.build_backbone(config.image_size),
        NUM_CLASSES,
        preprocessor=preprocessor,
        score_network=config.build_score_network(NUM_CLASSES),
        seed=seed,
        **arguments,
    )


def sampled_accuracy(
    model: AIBClassifier, test: Labelled, num_samples: int, seed: int
) -> float:
    """Accuracy of logits averaged over samples."""
    images, labels = test
    logits = model.predict_samples(
        images, num_samples, batch_size=128, seed=seed
    )
    return accuracy(class_probabilities(model, logits.mean(axis=0)), labels)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = recipe_parser("from_scratch", __doc__)
    parser.add_argument("--net", choices=("vgg32", "wrn28_10"), required=True)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument(
        "--steps-per-epoch", type=int, help="train on that many batches only"
    )
    parser.add_argument("--batch-size", type=int, help="instead of the paper's")
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument(
        "--precision", choices=("float32", "mixed_bfloat16"), default="float32"
    )
    parser.add_argument("--verbose", type=int, default=2)
    parser.set_defaults(output=TRAINED_MODELS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
