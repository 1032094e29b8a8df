"""What a network trained on ImageNet needs of a photograph, in bits per pixel.

Command:  python examples/explain_cnn.py
Needs:    keras-aib[plot] and a Keras backend, scikit-image, scikit-learn; no
          GPU, no network.
Makes:    runs/explain_cnn/explanation.png  photos, IBA and CoIBA side by side
          runs/explain_cnn/statistics.npz   of the features
Cost:     a minute and a half on 2 busy CPU cores with TensorFlow; six minutes
          with torch, whose depthwise convolutions are slow there.

The model is EfficientNet-Lite0 as it was published; nothing in it is trained or
changed. IBA replaces features after the block 5c by noise wherever the class
can do without them; CoIBA does so at the five blocks before it at once.
What the noise looks like follows from statistics of many images. Here these are
random crops of the photographs themselves, which is enough for a picture;
`--statistics-folder` takes a folder of class folders instead, and 10,000 images
are what the authors used.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_aib import attribution
from keras_aib import data
from keras_aib import visualization
from keras_aib import zoo
from keras_aib.metrics import classification as metrics
from keras_aib.zoo.recipes.compared_models import random_crops
from keras_aib.zoo.recipes.photographs import load_photographs

MODEL = "efficientnet_lite0.imagenet"
# `attribution.list_layers(model)` shows all; these are a sixteenth of the
# image's side.
IBA_LAYER = "block5c_"
COIBA_LAYERS = ("block4a_", "block4b_", "block4c_", "block5a_", "block5b_")

# ImageNet's number and name of what is on each photograph.
CLASSES = {
    "chelsea": (285, "Egyptian cat"),
    "china": (698, "palace"),
    "coffee": (967, "espresso"),
    "flower": (985, "daisy"),
}


def main(arguments: list[str] | None = None) -> None:
    options = parse_options(arguments)
    started = time.monotonic()
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}")

    model = zoo.load_classifier(MODEL)
    photos = photographs(options.image_size)
    probabilities = metrics.class_probabilities(
        model, model.predict(photos, verbose=0)
    )

    print("\n1. Feature statistics")
    layers = sorted({IBA_LAYER, *COIBA_LAYERS})
    statistics = attribution.estimate_statistics(
        model, layers, images_for_statistics(options)
    )
    statistics.save(options.output / "statistics.npz")

    print("\n2. IBA and CoIBA")
    iba = attribution.IBA(model, IBA_LAYER, statistics)(photos)
    coiba = attribution.CoIBA(model, COIBA_LAYERS, statistics)(photos)

    print("\n3. What the predicted class rests on")
    names = dict(CLASSES.values())
    for index, photo in enumerate(CLASSES):
        predicted = int(iba.targets[index])
        print(
            f"   {photo:8} {names.get(predicted, f'class {predicted}'):13}"
            f" {probabilities[index, predicted]:4.0%}"
            f"   IBA {iba.total_bits[index]:8,.0f} bits"
            f"   CoIBA {coiba.total_bits[index]:8,.0f} bits"
        )
    picture = options.output / "explanation.png"
    visualization.plot_explanations(
        photos,
        {
            f"IBA at {IBA_LAYER}": iba.bits,
            f"CoIBA at {COIBA_LAYERS[0]} to {COIBA_LAYERS[-1]}": coiba.bits,
        },
        path=picture,
        labels=np.array([number for number, _ in CLASSES.values()]),
        probabilities=probabilities,
        class_names=class_names(probabilities.shape[1]),
        title="What the class rests on",
    )
    print(f"\nDone in {time.monotonic() - started:.0f} s: {picture}")
    print(
        "Next: your own photos, with\n"
        f"  keras-aib explain {MODEL} --images DIR --output maps \\\n"
        "      --method iba --statistics-images DIR"
    )


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--statistics-images", type=int, default=1000)
    parser.add_argument("--statistics-folder", type=Path)
    parser.add_argument(
        "--output", type=Path, default=Path("runs") / "explain_cnn"
    )
    return parser.parse_args(arguments)


def photographs(side: int) -> np.ndarray:
    found = load_photographs(side)
    return np.stack([found[name] for name in CLASSES])


def images_for_statistics(
    options: argparse.Namespace,
) -> np.ndarray | data.ImageDataset:
    size = options.image_size
    if options.statistics_folder is None:
        # Crops of 70 % of the width: the same things, elsewhere.
        larger = photographs(round(size / 0.7))
        return random_crops(larger, size, options.statistics_images)
    return data.from_spec(
        options.statistics_folder, (size, size), limit=options.statistics_images
    )


def class_names(count: int) -> list[str]:
    names = [f"class {index}" for index in range(count)]
    for number, name in CLASSES.values():
        names[number] = name
    return names


if __name__ == "__main__":
    main()
