"""Fine-tune a pretrained network that shows where it looks.

Command:  make quickstart        (or: python examples/quickstart.py)
Needs:    keras-aib[hub,data,plot] and a Keras backend; no GPU, no network if
          CIFAR-10 is cached.
Makes:    runs/quickstart/attention.png   photos, maps, labels, probabilities
          runs/quickstart/model.keras     the trained model
Cost and result on 2 CPU cores: see README.md.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_aib import data
from keras_aib import visualization
from keras_aib import zoo
from keras_aib.callbacks import BetaWarmup
from keras_aib.models import AIBClassifier

BACKBONE = "efficientnet_lite0.imagenet"


def main() -> None:
    options = parse_options()
    if options.verify is not None:
        verify(options.verify)
        return
    started = time.monotonic()
    keras.utils.set_random_seed(options.seed)
    output = options.output
    output.mkdir(parents=True, exist_ok=True)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}")

    print("\n1. CIFAR-10 (downloaded once, then cached)")
    (train_images, train_labels), (test_images, test_labels) = choose(options)
    train = data.from_arrays(
        train_images,
        train_labels,
        image_size=(options.image_size, options.image_size),
        augmentation=keras.layers.RandomFlip("horizontal", seed=options.seed),
        class_names=data.CIFAR10_CLASS_NAMES,
        seed=options.seed,
    )
    test = data.from_arrays(
        test_images,
        test_labels,
        image_size=(options.image_size, options.image_size),
        shuffle=False,
        class_names=data.CIFAR10_CLASS_NAMES,
    )
    print(f"   {train.num_images} images to train, {test.num_images} to test")

    print(f"\n2. {BACKBONE} with bottleneck attention at level P4")
    model = AIBClassifier(
        partly_frozen_backbone(options.image_size),
        num_classes=train.num_classes,
        attention_layer="P4",
        preprocessor=zoo.preprocessor(BACKBONE),
        seed=options.seed,
    )
    warmup = BetaWarmup(warmup_epochs=1)
    accuracy = train_and_evaluate(model, train, test, options, [warmup])

    print("\n3. The same backbone, the same budget, a plain head")
    plain = plain_classifier(
        partly_frozen_backbone(options.image_size), train.num_classes
    )
    plain_accuracy = train_and_evaluate(plain, train, test, options, [])

    print("\n4. A picture, and the model as a file")
    picture = draw(model, test, test_images, output)
    saved = output / "model.keras"
    model.save(saved)
    np.save(output / "images.npy", first_images(test))
    np.save(output / "logits.npy", model.predict(first_images(test), verbose=0))
    subprocess.run(
        [sys.executable, __file__, "--verify", str(output)], check=True
    )

    print(f"\nDone in {time.monotonic() - started:.0f} s.")
    print(f"  accuracy with attention  {accuracy:.1%}")
    print(f"  accuracy, plain head     {plain_accuracy:.1%}")
    print(f"  on {test.num_images} test images; chance is 10%.")
    print(f"  picture  {picture}")
    print(f"  model    {saved}")
    print(
        "Next: your own photos, one folder a class, with\n"
        "  keras_aib.data.from_folder(directory); another place to look with\n"
        "  attention_layer='P3'; another backbone with\n"
        "  zoo.load_backbone('resnet_50_imagenet'); a higher price for what\n"
        "  the latent carries with beta=1e-3."
    )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train-images", type=int, default=3000)
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--output", type=Path, default=Path("runs") / "quickstart"
    )
    parser.add_argument("--verify", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def choose(options: argparse.Namespace) -> tuple:
    """The first images of each set: their order is random already."""
    train, test = data.load_cifar10()
    return (
        tuple(part[: options.train_images] for part in train),
        tuple(part[: options.test_images] for part in test),
    )


def partly_frozen_backbone(image_size: int) -> keras.Model:
    """Pretrained; only what follows level P4 will be trained."""
    backbone = zoo.load_backbone(BACKBONE, image_size)
    for layer in backbone.layers:
        layer.trainable = layer.name.startswith(("block6", "block7", "top"))
    return backbone


def plain_classifier(backbone: keras.Model, num_classes: int) -> keras.Model:
    images = keras.Input(backbone.input_shape[1:])
    features = backbone(zoo.preprocessor(BACKBONE)(images))
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(images, keras.layers.Dense(num_classes)(pooled))


def train_and_evaluate(
    model: keras.Model,
    train: data.ImageDataset,
    test: data.ImageDataset,
    options: argparse.Namespace,
    callbacks: list,
) -> float:
    model.compile(
        keras.optimizers.Adam(2e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(train, epochs=options.epochs, callbacks=callbacks)
    return model.evaluate(test, return_dict=True)["accuracy"]


def first_images(test: data.ImageDataset) -> np.ndarray:
    return test[0][0][:12]


def draw(
    model: AIBClassifier,
    test: data.ImageDataset,
    photos: np.ndarray,
    output: Path,
) -> Path:
    images = first_images(test)
    logits = model.predict(images, verbose=0)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    path = output / "attention.png"
    visualization.plot_attention(
        images,
        model.attention(images)["mean"],
        path=path,
        labels=test.labels[:12],
        probabilities=probabilities,
        class_names=test.class_names,
        title="Where the model looks",
    )
    return path


def verify(output: Path) -> None:
    """In a new process: the saved model predicts what it did before."""
    model = keras.models.load_model(output / "model.keras")
    logits = model.predict(np.load(output / "images.npy"), verbose=0)
    difference = np.abs(logits - np.load(output / "logits.npy")).max()
    print(f"   reloaded in a new process: logits differ by {difference:.1e}")
    if not difference < 1e-4:
        sys.exit("The reloaded model predicts something else.")


if __name__ == "__main__":
    main()
