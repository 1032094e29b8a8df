"""What quantization costs: the trained model, before and after.

Command:  KERAS_BACKEND=tensorflow python -m keras_aib.zoo.recipes.quantization
Needs:    keras-aib[tensorflow,export].
Cost:     about 6 minutes on 2 CPU cores.
Result:   accuracy on all 10,000 test images of CIFAR-10, agreement with the
          unquantized file, size; a row per file in zoo/results/results.csv.

The zoo's trained EfficientNet-Lite0 with attention, calibrated on 200 images of
its training part; each file is run by its own runtime.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from keras_aib import data
from keras_aib import zoo
from keras_aib.export import export
from keras_aib.export.conversion import FORMATS
from keras_aib.metrics import accuracy
from keras_aib.zoo.recipes.results import RESULTS
from keras_aib.zoo.recipes.results import append_run
from keras_aib.zoo.recipes.results import is_done

MODEL = "aib_efficientnet_lite0.cifar10"
FILES = (
    ("litert", None),
    ("litert", "float16"),
    ("litert", "dynamic_range"),
    ("litert", "int8"),
    ("onnx", None),
    ("onnx", "int8"),
)
CALIBRATION_IMAGES = 200
BATCH_SIZE = 50


def main(arguments: list[str] | None = None) -> None:
    """Measure every file that has no rows yet, and add them."""
    options = parse(arguments)
    (train, train_labels), (test, test_labels) = data.load_cifar10()
    model = zoo.load(MODEL)
    image_size = model.input_shape[1:3]
    calibration = resized(train, train_labels, options.calibration, image_size)
    images = resized(test, test_labels, options.test_images, image_size)
    labels = test_labels[: len(images)]
    references: dict[str, dict[str, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for form, quantization in FILES:
            run = {
                "experiment": "quantization",
                "model": MODEL,
                "variant": f"{form}, {quantization or 'float32'}",
                "setting": f"{len(calibration)} images to calibrate",
                "seed": 0,
                "test_images": len(images),
                "image_size": image_size[0],
                "command": "python -m keras_aib.zoo.recipes.quantization",
            }
            if is_done(run, options.results) and quantization is not None:
                continue
            result = export(
                model,
                Path(folder, f"{quantization}{FORMATS[form].suffix}"),
                quantization=quantization,
                representative_data=calibration,
            )
            outputs = run_file(form, result.path, images)
            outputs["size"] = np.array(float(result.size))
            reference = references.setdefault(form, outputs)
            if not is_done(run, options.results):
                figures = compare(outputs, reference, labels)
                append_run(run, figures, options.results)


def resized(
    pictures: np.ndarray,
    labels: np.ndarray,
    count: int,
    image_size: tuple[int, int],
) -> np.ndarray:
    """The first pictures, as `keras_aib.data` resizes them."""
    dataset = data.from_arrays(
        pictures[:count],
        labels[:count],
        image_size=image_size,
        batch_size=BATCH_SIZE,
        shuffle=False,
        class_names=data.CIFAR10_CLASS_NAMES,
    )
    return np.concatenate([dataset[index][0] for index in range(len(dataset))])


def run_file(
    form: str, path: Path, images: np.ndarray
) -> dict[str, np.ndarray]:
    """What the file's own runtime makes of all images."""
    run = FORMATS[form].load(path).run
    images = images.astype("float32")
    outputs = [
        run(images[start : start + BATCH_SIZE])
        for start in range(0, len(images), BATCH_SIZE)
    ]
    return {
        name: np.concatenate([one[name] for one in outputs])
        for name in outputs[0]
    }


def compare(
    outputs: dict[str, np.ndarray],
    reference: dict[str, np.ndarray],
    labels: np.ndarray,
) -> dict[str, float]:
    """Figures of a file beside those of the unquantized one."""
    probabilities = outputs["probabilities"]
    same = probabilities.argmax(-1) == reference["probabilities"].argmax(-1)
    found = accuracy(probabilities, labels)
    moved = np.abs(outputs["attention"] - reference["attention"])
    return {
        "accuracy": found,
        "accuracy_lost": accuracy(reference["probabilities"], labels) - found,
        "agreement": float(same.mean()),
        "attention_difference": float(moved.mean()),
        "size": float(outputs["size"]),
        "size_ratio": float(outputs["size"] / reference["size"]),
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m keras_aib.zoo.recipes.quantization",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument(
        "--calibration", type=int, default=200, help="images to calibrate int8"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
