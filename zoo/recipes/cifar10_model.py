"""The shipped CIFAR-10 classifier: Lite0 with bottleneck attention.

Command:  python -m keras_aib.zoo.recipes.cifar10_model
Cost:     about 10 minutes on 2 CPU cores.
Result:   zoo/weights/aib_efficientnet_lite0.cifar10 (a preset, kernels in
          float16) and rows "shipped" of zoo/results/results.csv.

The setting of `fine_tuning` with 20,000 training images, three epochs and 20
anchors: 96 px, frozen up to level P4, no augmentation.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from keras_aib import data
from keras_aib.metrics import accuracy
from keras_aib.metrics import class_probabilities
from keras_aib.models import AIBClassifier
from keras_aib.zoo.pretrained import preprocessor
from keras_aib.zoo.recipes.options import recipe_parser
from keras_aib.zoo.recipes.results import best_learning_rate
from keras_aib.zoo.recipes.results import is_done
from keras_aib.zoo.recipes.stored_features import BACKBONE
from keras_aib.zoo.recipes.stored_features import StoredFeatures
from keras_aib.zoo.recipes.tail_training import Budget
from keras_aib.zoo.recipes.tail_training import run_and_record
from keras_aib.zoo.recipes.variants import Variant
from keras_aib.zoo.weight_files import WEIGHTS_FOLDER

NAME = "aib_efficientnet_lite0.cifar10"
VARIANT = "aib_quantized"
LEVEL = "P4"
TOLERANCE = 1e-4


def main(arguments: list[str] | None = None) -> None:
    """Train, check, write the preset."""
    options = parse(arguments)
    learning_rate = best_learning_rate(VARIANT, options.results)
    run = {
        "experiment": "shipped",
        "model": NAME,
        "variant": VARIANT,
        "setting": f"learning_rate={learning_rate:g}",
        "image_size": options.image_size,
    }
    if is_done({**run, "seed": 0}, options.results):
        return
    (x_train, y_train), (x_test, y_test) = data.load_cifar10()
    train = x_train[: options.train_images], y_train[: options.train_images]
    test = x_test[: options.test_images], y_test[: options.test_images]
    features = StoredFeatures(options.image_size, LEVEL)
    stored = features.compute_splits("cifar10", {"train": train, "test": test})

    def ship(built: Variant) -> dict[str, float]:
        model = assemble(features, built.model)
        check(model, features, built.model, test[0][:64])
        model.save_to_preset(options.preset, half_precision=True)
        shipped = AIBClassifier.from_preset(options.preset)
        images = resize(test[0], options.image_size)
        outputs = shipped.predict(images, batch_size=64, verbose=0)
        probabilities = class_probabilities(shipped, outputs)
        return {"accuracy_float16": accuracy(probabilities, test[1])}

    run_and_record(
        run,
        features.new_tail(),
        stored["train"],
        stored["test"],
        Budget(options.epochs, learning_rate),
        options,
        judge=ship,
    )


def assemble(features: StoredFeatures, tail: AIBClassifier) -> AIBClassifier:
    """The whole classifier; the backbone's layers are those of the tail."""
    model = AIBClassifier(
        features.backbone,
        tail.num_classes,
        attention_layer=LEVEL,
        preprocessor=preprocessor(BACKBONE),
        name="aib_efficientnet_lite0",
    )
    for part in ("attention_block", "bottleneck", "decoder"):
        getattr(model, part).set_weights(getattr(tail, part).get_weights())
    for layer in features.backbone.layers:
        layer.trainable = True
    return model


def check(
    model: AIBClassifier,
    features: StoredFeatures,
    tail: keras.Model,
    pictures: np.ndarray,
) -> None:
    """Refuse a whole that does not predict what its halves do.

    Raises:
        ValueError: If logits differ by more than 1e-4.
    """
    expected = tail.predict(features.trunk.predict(pictures, verbose=0))
    images = resize(pictures, features.image_size)
    difference = np.abs(model.predict(images, verbose=0) - expected).max()
    if not difference <= TOLERANCE:
        raise ValueError(
            f"The assembled model's logits differ by {difference} from those "
            f"of its halves, expected at most {TOLERANCE}."
        )


def resize(pictures: np.ndarray, image_size: int) -> np.ndarray:
    """Pictures as the trunk resizes them."""
    parts = [
        keras.ops.convert_to_numpy(
            keras.ops.image.resize(
                pictures[start : start + 1000].astype("float32"),
                (image_size, image_size),
                interpolation="bicubic",
            )
        )
        for start in range(0, len(pictures), 1000)
    ]
    return np.clip(np.concatenate(parts), 0.0, 255.0)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = recipe_parser("cifar10_model", __doc__)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--train-images", type=int, default=20_000)
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--preset", type=Path, default=WEIGHTS_FOLDER / NAME)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
