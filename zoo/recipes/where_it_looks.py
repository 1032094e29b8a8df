"""Where it looks: on the pasted picture, or on the clutter around it?

Command:  python -m keras_aib.zoo.recipes.where_it_looks
Cost:     about 30 minutes on 2 CPU cores; a run takes 2.
Result:   rows "where_it_looks" of zoo/results/results.csv, table in
          zoo/results/where_it_looks.md.

CIFAR-10 pictures, 48 px wide, at random places on 128 px of clutter made of
other pictures' patches; the label is that of the picture, which covers 14 % of
the canvas. 4,000 training and 1,000 test canvases, EfficientNet-Lite0 frozen up
to P4, attention there (8 x 8 scores), three seeds. The plain net is judged by
Grad-CAM at its last feature map (4 x 4). Maps are resized to the canvas.
"""

import argparse
from typing import Any

import keras
import numpy as np

from keras_aib import data
from keras_aib.attribution.metrics import effective_heat_ratio
from keras_aib.attribution.metrics import mass_inside
from keras_aib.attribution.metrics import pointing_game
from keras_aib.zoo.recipes.clutter import ClutteredImages
from keras_aib.zoo.recipes.clutter import paste_on_clutter
from keras_aib.zoo.recipes.options import recipe_parser
from keras_aib.zoo.recipes.results import best_learning_rate
from keras_aib.zoo.recipes.results import is_done
from keras_aib.zoo.recipes.stored_features import BACKBONE
from keras_aib.zoo.recipes.stored_features import StoredFeatures
from keras_aib.zoo.recipes.tail_training import Budget
from keras_aib.zoo.recipes.tail_training import run_and_record
from keras_aib.zoo.recipes.variants import Variant


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing in the results; can be stopped anywhere."""
    options = parse(arguments)
    (x_train, y_train), (x_test, y_test) = data.load_cifar10()
    sets = {
        name: paste_on_clutter(
            x[:count], y[:count], options.canvas, options.size, seed
        )
        for seed, (name, x, y, count) in enumerate(
            [
                ("train", x_train, y_train, options.train_images),
                ("test", x_test, y_test, options.test_images),
            ]
        )
    }
    for seed in options.seeds:
        for variant in options.variants:
            run = {
                "experiment": "where_it_looks",
                "model": BACKBONE,
                "variant": variant,
                "setting": setting(options),
                "seed": seed,
            }
            if not is_done(run, options.results):
                run_once(run, sets["train"], sets["test"], options)


def run_once(
    run: dict[str, Any],
    train: ClutteredImages,
    test: ClutteredImages,
    options: argparse.Namespace,
) -> None:
    """Train one variant, judge its maps, append."""
    features = StoredFeatures(options.canvas)
    stored = features.compute_splits(
        f"clutter-{options.size}",
        {
            "train": (train.images, train.labels),
            "test": (test.images, test.labels),
        },
    )
    test_features = stored["test"][0]
    learning_rate = options.learning_rate
    if learning_rate is None:
        learning_rate = best_learning_rate(run["variant"], options.results)
    run_and_record(
        {**run, "image_size": options.canvas},
        features.new_tail(),
        stored["train"],
        stored["test"],
        Budget(options.epochs, learning_rate, seed=run["seed"]),
        options,
        judge=lambda built: judge(
            variant_maps(built, test_features), test.masks
        ),
    )


def setting(options: argparse.Namespace) -> str:
    """What the rows of these options are called."""
    name = f"canvas={options.canvas}, size={options.size}"
    if options.learning_rate is not None:
        name += f", learning_rate={options.learning_rate:g}"
    return name


def variant_maps(built: Variant, features: np.ndarray) -> np.ndarray:
    """Attention of a variant, or Grad-CAM where it has none."""
    if built.attention is not None:
        return built.attention(features)
    return class_activation_maps(built.model, features)


def class_activation_maps(
    model: keras.Model, features: np.ndarray
) -> np.ndarray:
    """Grad-CAM for the predicted class, at the last feature map.

    In front of average pooling and one dense layer the gradient that Grad-CAM
    averages is the dense layer's column for the class, so none is computed.
    """
    pooling, logits = model.get_layer("pooling"), model.get_layer("logits")
    outputs = keras.Model(model.input, [pooling.input, logits.output])
    last_map, predictions = outputs.predict(features, verbose=0)
    kernel = keras.ops.convert_to_numpy(logits.kernel)
    weights = kernel[:, predictions.argmax(-1)].T
    return np.maximum(np.einsum("bhwc,bc->bhw", last_map, weights), 0.0)


def judge(maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """Mean localisation figures of maps, resized to the masks."""
    resized = keras.ops.image.resize(
        maps[..., None].astype("float32"),
        masks.shape[1:],
        interpolation="bilinear",
        data_format="channels_last",
    )
    heat = keras.ops.convert_to_numpy(resized)[..., 0]
    contrast = heat - heat.min(axis=(1, 2), keepdims=True)
    return {
        "area_share": float(masks.mean()),
        "mass_share": mass_inside(heat, masks).mean,
        "contrast_share": mass_inside(contrast, masks).mean,
        "pointing": pointing_game(heat, masks).mean,
        "ehr": effective_heat_ratio(heat, masks).mean,
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = recipe_parser("where_it_looks", __doc__)
    parser.add_argument("--canvas", type=int, default=128)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--train-images", type=int, default=4000)
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument(
        "--learning-rate",
        type=float,
        help="instead of the variant's best one in fine-tuning",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
