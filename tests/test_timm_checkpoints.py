"""timm's checkpoints from a folder, by KerasHub's converters."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_aib import zoo


def random_resnet18():
    """Arrays with timm's names and shapes."""
    generator = np.random.default_rng(0)
    arrays = {}

    def convolution(name, inputs, outputs, size):
        shape = (outputs, inputs, size, size)
        arrays[f"{name}.weight"] = generator.normal(
            0, (2 / (inputs * size**2)) ** 0.5, shape
        )

    def normalization(name, channels):
        for part in ("weight", "running_var"):
            arrays[f"{name}.{part}"] = generator.uniform(0.5, 1.5, channels)
        for part in ("bias", "running_mean"):
            arrays[f"{name}.{part}"] = generator.normal(0, 0.1, channels)

    convolution("conv1", 3, 64, 7)
    normalization("bn1", 64)
    inputs = 64
    for stage, outputs in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            convolution(f"{name}.conv1", inputs, outputs, 3)
            normalization(f"{name}.bn1", outputs)
            convolution(f"{name}.conv2", outputs, outputs, 3)
            normalization(f"{name}.bn2", outputs)
            if inputs != outputs:
                convolution(f"{name}.downsample.0", inputs, outputs, 1)
                normalization(f"{name}.downsample.1", outputs)
            inputs = outputs
    arrays["fc.weight"] = generator.normal(0, 0.05, (3, 512))
    arrays["fc.bias"] = generator.normal(0, 0.1, 3)
    return {name: array.astype("float32") for name, array in arrays.items()}


def run_resnet18(arrays, images):
    """Features and logits of timm's ResNet18, from its definition."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    weights = {name: torch.from_numpy(x) for name, x in arrays.items()}

    def convolve(x, name, stride=1):
        kernel = weights[f"{name}.weight"]
        padding = kernel.shape[-1] // 2
        return functional.conv2d(x, kernel, None, stride, padding)

    def normalize(x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        values = [weights[f"{name}.{part}"] for part in parts]
        return functional.batch_norm(x, *values, eps=1e-5)

    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    x = normalize(convolve(x, "conv1", 2), "bn1").relu()
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = normalize(convolve(x, f"{name}.conv1", stride), f"{name}.bn1")
            y = normalize(convolve(y.relu(), f"{name}.conv2"), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in weights:
                x = convolve(x, f"{name}.downsample.0", stride)
                x = normalize(x, f"{name}.downsample.1")
            x = (x + y).relu()
    logits = x.mean((2, 3)) @ weights["fc.weight"].T + weights["fc.bias"]
    return x.numpy().transpose(0, 2, 3, 1), logits.numpy()


@pytest.mark.large
def test_timm_resnet_from_a_folder(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = random_resnet18()
    safetensors.save_file(arrays, tmp_path / "model.safetensors")
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    config = {
        "architecture": "resnet18",
        "num_classes": 3,
        "pretrained_cfg": {
            "input_size": [3, 64, 64],
            "mean": mean,
            "std": std,
            "interpolation": "bicubic",
        },
    }
    Path(tmp_path, "config.json").write_text(json.dumps(config))
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3))
    scaled = ((pixels / 255 - mean) / std).astype("float32")
    features, logits = run_resnet18(arrays, scaled)

    backbone = zoo.load_backbone(str(tmp_path), image_size=64)
    largest = np.abs(features).max()
    received = backbone.predict(scaled, verbose=0)
    np.testing.assert_allclose(
        received / largest, features / largest, atol=1e-5
    )
    layer = zoo.preprocessor(str(tmp_path))
    received = keras.ops.convert_to_numpy(layer(pixels.astype("float32")))
    np.testing.assert_allclose(received, scaled, atol=1e-4)
    classifier = zoo.load_classifier(str(tmp_path))
    received = classifier.predict(pixels.astype("float32"), verbose=0)
    np.testing.assert_allclose(received, logits, rtol=1e-3, atol=1e-3)
