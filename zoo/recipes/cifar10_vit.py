"""The shipped small vision transformer, trained on CIFAR-10 from scratch.

Command:  python -m keras_aib.zoo.recipes.cifar10_vit
Cost:     76 minutes on 2 CPU cores with other work on them, torch backend. It
          goes on where it was stopped, at the last whole epoch; the seconds
          are those of the last start (the shipped run had two: 783 + 3800).
Result:   backbone and head in zoo/weights (kernels in float16), rows "shipped"
          of zoo/results/results.csv. What to write in the registry is printed.

It exists to be explained: a transformer with 8 x 8 patches whose blocks IBA and
CoIBA can reach, not one that is good at CIFAR-10.
"""

import argparse
import sys
import time
from pathlib import Path

import keras

from keras_aib import data
from keras_aib.layers import ReflectPadCrop
from keras_aib.metrics import accuracy
from keras_aib.metrics import class_probabilities
from keras_aib.metrics import expected_calibration_error
from keras_aib.metrics import negative_log_likelihood
from keras_aib.models.half_precision import write_half
from keras_aib.utils.files import sha256
from keras_aib.utils.files import written_whole
from keras_aib.zoo.architectures.vit import PRETRAINED
from keras_aib.zoo.pretrained import assemble_classifier
from keras_aib.zoo.pretrained import build_head
from keras_aib.zoo.recipes.options import recipe_parser
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.weight_files import WEIGHTS_FOLDER


def main(arguments: list[str] | None = None) -> None:
    """Train, evaluate as stored, write the weights and the rows."""
    options = parse(arguments)
    (config,) = PRETRAINED
    seed = options.seeds[0]
    keras.utils.set_random_seed(seed)
    (images, labels), test = data.load_cifar10()
    images = images[: options.train_images]
    labels = labels[: options.train_images]
    train = data.from_arrays(
        images,
        labels,
        batch_size=options.batch_size,
        augmentation=[
            ReflectPadCrop(padding=4, seed=seed),
            keras.layers.RandomFlip("horizontal", seed=seed),
        ],
        seed=seed,
    )
    backbone = config.build_backbone(name=config.architecture)
    head = build_head(backbone.output.shape[-1], int(config.num_classes or 0))
    model = assemble_classifier(config, backbone, head)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=options.epochs * len(train),
        warmup_target=options.learning_rate,
        warmup_steps=len(train) // 2,
    )
    model.compile(
        keras.optimizers.AdamW(
            schedule, weight_decay=options.weight_decay, clipnorm=1.0
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    started = time.monotonic()
    model.fit(
        train,
        epochs=options.epochs,
        verbose=2,
        callbacks=[
            keras.callbacks.BackupAndRestore(options.output / "backup"),
        ],
    )
    seconds = time.monotonic() - started
    for part, name in (
        (backbone, config.backbone_weights),
        (head, str(config.head_weights)),
    ):
        with written_whole(options.weights / name) as path:
            write_half(part, path)
        part.load_weights(options.weights / name)
        digest = sha256(options.weights / name)
        sys.stdout.write(f"{name}: {digest}\n")
    sys.stdout.write(f"parameters: {model.count_params()}\n")
    probabilities = class_probabilities(
        model, model.predict(test[0], batch_size=256, verbose=0)
    )
    append_run(
        {
            "experiment": "shipped",
            "model": config.name,
            "variant": "plain",
            "setting": f"learning_rate={options.learning_rate:g}",
            "seed": seed,
            "train_images": len(labels),
            "test_images": len(test[1]),
            "image_size": config.image_size[0],
            "epochs": options.epochs,
            "seconds": f"{seconds:.0f}",
            "command": options.command,
        },
        {
            "accuracy": accuracy(probabilities, test[1]),
            "nll": negative_log_likelihood(probabilities, test[1]),
            "ece": expected_calibration_error(probabilities, test[1]),
        },
        options.results,
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = recipe_parser("cifar10_vit", __doc__)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--train-images", type=int, default=50_000)
    parser.add_argument("--weights", type=Path, default=WEIGHTS_FOLDER)
    parser.set_defaults(output=Path("runs") / "cifar10_vit", seeds=[0])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
