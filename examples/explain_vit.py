"""What a vision transformer needs of a picture, in bits per pixel.

Command:  python examples/explain_vit.py
Needs:    keras-aib[hub,data,plot] and a Keras backend; no GPU, no network if
          CIFAR-10 is cached.
Makes:    runs/explain_vit/explanation.png  pictures, CoIBA and IBA side by side
          runs/explain_vit/statistics.npz   of the features
Cost:     a minute or two on 2 CPU cores.

The blocks of KerasHub's transformers are hidden inside one layer; a path names
them: `vit_encoder/block_2/layer_norm_1`. CoIBA restricts the first norms of the
later two thirds of the blocks at once, IBA the output of the first of these
blocks. There the class token may have seen all that it needs: its bits are
printed too, and where it has them all, the places have few. `--model` takes a
`.keras` file of any KerasHub `ViTBackbone` with a head that was trained on
CIFAR-10.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from keras_aib import attribution
from keras_aib import data
from keras_aib import visualization
from keras_aib import zoo
from keras_aib.metrics import classification as metrics

MODEL = "vit_tiny32.cifar10"
BLOCK = "vit_encoder/block_{}"


def main(arguments: list[str] | None = None) -> None:
    options = parse_options(arguments)
    started = time.monotonic()
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}")

    model = load(options.model)
    (train, _), (test, labels) = data.load_cifar10()
    images, labels = test[: options.images], labels[: options.images]
    probabilities = metrics.class_probabilities(
        model, model.predict(images, verbose=0)
    )

    print("\n1. Where: the later two thirds of the blocks")
    shapes = attribution.list_layers(model, "*/block_*/layer_norm_1")
    num_blocks = len(shapes)
    later = range(num_blocks // 3, num_blocks)
    iba_layer = BLOCK.format(later[0])
    coiba_layers = [f"{BLOCK.format(i)}/layer_norm_1" for i in later]
    for path, shape in shapes.items():
        print(f"   {path}  {shape}")

    print("\n2. Feature statistics")
    statistics = attribution.estimate_statistics(
        model,
        [iba_layer, *coiba_layers],
        train[: options.statistics_images],
        batch_size=100,
    )
    statistics.save(options.output / "statistics.npz")

    print("\n3. CoIBA and IBA")
    coiba = attribution.CoIBA(model, coiba_layers, statistics)(images)
    iba = attribution.IBA(model, iba_layer, statistics)(images)

    print("\n4. What the predicted class rests on")
    for index, predicted in enumerate(iba.targets):
        print(
            f"   {data.CIFAR10_CLASS_NAMES[predicted]:12}"
            f"{probabilities[index, predicted]:4.0%}"
            f"   CoIBA {coiba.total_bits[index]:8,.0f} bits"
            f"   IBA {iba.total_bits[index]:6,.0f} bits"
            f" and {iba.prefix_bits[index]:,.0f} in the class token"
        )
    picture = options.output / "explanation.png"
    visualization.plot_explanations(
        images,
        {
            f"CoIBA, first norms of blocks {later[0]}-{later[-1]}": coiba.bits,
            f"IBA, output of block {later[0]}": iba.bits,
        },
        path=picture,
        labels=labels,
        probabilities=probabilities,
        class_names=data.CIFAR10_CLASS_NAMES,
        title="What the class rests on",
    )
    print(f"\nDone in {time.monotonic() - started:.0f} s: {picture}")


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--statistics-images", type=int, default=10_000)
    parser.add_argument(
        "--output", type=Path, default=Path("runs") / "explain_vit"
    )
    return parser.parse_args(arguments)


def load(model: str) -> keras.Model:
    if model.endswith(".keras"):
        return keras.models.load_model(model, compile=False)
    return zoo.load_classifier(model)


if __name__ == "__main__":
    main()
