"""The picture at the top of the README: a photo, and where a model looked.

Command:  python examples/hero.py
Needs:    keras-aib[hub,data,plot] with a Keras backend, scikit-image (the
          photo of Chelsea, CC0) and CIFAR-10.
Makes:    docs/pictures/hero.png
Cost:     about a minute on 2 CPU cores.
"""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from skimage.data import cat

from keras_aib import attribution
from keras_aib import data
from keras_aib import visualization
from keras_aib import zoo
from keras_aib.data.decoding import resize_array

MODEL = "aib_efficientnet_lite0.cifar10"
LAYERS = ["block5b_", "block5c_"]
PRICES = (10.0, 5.0, 2.0, 1.0, 0.5)  # IBA's own is 10, CoIBA's 1
OUTPUT = Path(__file__).parents[1] / "docs" / "pictures" / "hero.png"


def main() -> None:
    options = parse_options()
    keras.utils.set_random_seed(0)
    model = zoo.load(MODEL)
    size = zoo.info(MODEL).image_size
    photo = square(cat())
    shown = resize_array(photo, size)[None].astype("float32")
    (train, labels), _ = data.load_cifar10()
    statistics = attribution.estimate_statistics(
        model,
        LAYERS,
        data.from_arrays(
            train[: options.statistics],
            labels[: options.statistics],
            image_size=size,
            shuffle=False,
        ),
    )
    explanations = {
        "IBA": keeping(
            lambda beta: attribution.IBA(
                model, LAYERS[-1], statistics, beta=beta
            ),
            shown,
        ),
        "CoIBA": keeping(
            lambda beta: attribution.CoIBA(
                model, LAYERS, statistics, beta=beta / 10
            ),
            shown,
        ),
    }
    for name, result in explanations.items():
        print(
            f"{name}, beta {result.options['beta']}: "
            f"class {result.targets[0]}, {result.total_bits[0]:.0f} bits, "
            f"p = {result.probability[0]:.3f}, "
            f"with what passes {result.kept_probability[0]:.3f}"
        )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    visualization.plot_explanations(
        photo[None],
        {
            "attention": model.attention(shown)["mean"],
            **{name: result.bits for name, result in explanations.items()},
        },
        units={
            "attention": "score",
            **dict.fromkeys(explanations, "bits per pixel"),
        },
        path=options.output,
    )
    print(options.output)


def keeping(
    method: Callable[[float], Callable[..., attribution.AttributionResult]],
    shown: np.ndarray,
) -> attribution.AttributionResult:
    """The map at the highest price that keeps the decision."""
    for beta in PRICES:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The decision is lost")
            result = method(beta)(shown, verbose=0)
        if result.kept_probability[0] > 0.9 * result.probability[0]:
            return result
    raise SystemExit(f"No price of {PRICES} keeps the decision.")


def square(photo: np.ndarray) -> np.ndarray:
    """The middle of a photo, around the face."""
    side = photo.shape[0]
    left = (photo.shape[1] - side) // 2
    return photo[:, left : left + side]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--statistics", type=int, default=1000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
