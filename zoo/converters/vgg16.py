"""See that the zoo's VGG16 is the original, and write what was measured.

    pip install -e .[hub,torch,dev]
    python -m keras_aib.zoo.converters.vgg16 --output DIR

Fetches and converts the weights where the cache has none (64 MB). Refuses if
the features differ from PyTorch's on the original arrays by more than 1e-4, or
any block's by more than 1e-5 of its largest feature.
"""

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.utils.files import written_whole
from keras_aib.zoo.architectures.vgg import VGG16_BLOCKS
from keras_aib.zoo.converters.originals import import_original
from keras_aib.zoo.converters.originals import photographs
from keras_aib.zoo.converters.originals import random_images
from keras_aib.zoo.pretrained import build_rescaling
from keras_aib.zoo.sources.vgg16_imagenet import PRETRAINED
from keras_aib.zoo.sources.vgg16_imagenet import read_archive
from keras_aib.zoo.weight_files import backbone_weights
from keras_aib.zoo.weight_files import fetch_archive

TOLERANCE = 1e-4
RELATIVE_TOLERANCE = 1e-5


def validate(output: str | Path) -> dict[str, Any]:
    """Compare the cached weights with the original, block by block.

    Args:
        output: Folder for `vgg16.imagenet.validation.json`.

    Returns:
        What was measured, as in the JSON file.

    Raises:
        ImportError: If PyTorch or the sample photographs' packages are missing.
        OSError: If the weights cannot be fetched.
        ValueError: If the converted network is not the original.
    """
    (config,) = PRETRAINED
    with tempfile.TemporaryDirectory() as scratch:
        arrays = read_archive(fetch_archive(config, Path(scratch)))
    backbone = config.build_backbone()
    backbone.load_weights(backbone_weights(config))
    parameters = sum(int(np.prod(w.shape)) for w in backbone.trainable_weights)
    if parameters != config.parameters:
        raise ValueError(
            f"Expected {config.parameters} trainable parameters, the "
            f"converted network has {parameters}."
        )
    network = _with_every_block(backbone)
    mean, stddev = map(np.asarray, (config.pixel_mean, config.pixel_stddev))
    rows = []
    batches = {**random_images(), **photographs(config.image_size)}
    for name, images in batches.items():
        expected = _run_original(arrays, (images - mean) / stddev)
        for block, (received, features) in enumerate(
            zip(network.predict(images, verbose=0), expected, strict=True),
            start=1,
        ):
            largest = float(np.abs(features).max())
            difference = float(np.abs(received - features).max())
            rows.append(
                {
                    "images": name,
                    "block": block,
                    "largest": largest,
                    "difference": difference,
                    "relative": difference / largest,
                }
            )
    worst = max(row["relative"] for row in rows)
    difference = max(
        row["difference"] for row in rows if row["block"] == len(VGG16_BLOCKS)
    )
    if not (difference <= TOLERANCE and worst <= RELATIVE_TOLERANCE):
        raise ValueError(
            f"The converted network is not the original: features differ by "
            f"{difference}, expected at most {TOLERANCE}; a block by {worst} "
            f"of its largest, expected at most {RELATIVE_TOLERANCE}. {rows}"
        )
    report = {
        "name": config.name,
        "source": Path(config.source_url).name,
        "source_sha256": config.source_sha256,
        "arrays_sha256": config.backbone_sha256,
        "parameters": parameters,
        "float32_difference": rows,
        "backend": keras.config.backend(),
        "keras": keras.version(),
        "python": platform.python_version(),
        "command": "python -m keras_aib.zoo.converters.vgg16 --output DIR",
    }
    with written_whole(Path(output) / f"{config.name}.validation.json") as path:
        path.write_text(json.dumps(report, indent=2) + "\n")
    return report


def _with_every_block(backbone: keras.Model) -> keras.Model:
    """Pixels to the five blocks' outputs, preprocessing included."""
    blocks = range(1, len(VGG16_BLOCKS) + 1)
    outputs = [backbone.get_layer(f"block{i}_pool").output for i in blocks]
    pixels = keras.Input((None, None, 3))
    scaled = build_rescaling(PRETRAINED[0])(pixels)
    return keras.Model(pixels, keras.Model(backbone.input, outputs)(scaled))


def _run_original(
    arrays: list[np.ndarray], scaled: np.ndarray
) -> list[np.ndarray]:
    """The five blocks' outputs, by PyTorch's own convolution."""
    torch = import_original("torch")
    functional = torch.nn.functional
    remaining = iter(arrays)
    x = torch.from_numpy(scaled.astype("float32").transpose(0, 3, 1, 2).copy())
    outputs = []
    for widths in VGG16_BLOCKS:
        for _ in widths:
            kernel = torch.from_numpy(
                next(remaining).transpose(3, 2, 0, 1).copy()
            )
            bias = torch.from_numpy(next(remaining).copy())
            x = functional.conv2d(x, kernel, bias, padding=1).relu()
        x = functional.max_pool2d(x, 2)
        outputs.append(x.numpy().transpose(0, 2, 3, 1))
    return outputs


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m keras_aib.zoo.converters.vgg16",
        description="Compare the zoo's VGG16 with the original.",
    )
    parser.add_argument("--output", type=Path, required=True)
    report = validate(parser.parse_args().output)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
