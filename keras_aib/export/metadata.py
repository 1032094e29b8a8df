"""What somebody who holds only the file must know, as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_aib._version import __version__
from keras_aib.export.deployed_model import ATTENTION_OUTPUTS
from keras_aib.export.parity import Parity

RESIZE = (
    "the whole image, bilinear with antialiasing; the aspect ratio is not kept"
)


def describe(
    deployed: keras.Model,
    model: keras.Model,
    format_name: str,
    quantization: str | None,
    class_names: Sequence[str] | None,
    parity: Parity,
) -> dict[str, Any]:
    """Everything about an exported file, ready for JSON.

    Args:
        deployed: What was exported.
        model: What it was made from.
        format_name: Name of the format.
        quantization: What it was quantized to, or `None`.
        class_names: Names of the classes, or `None`.
        parity: How file and model compare.
    """
    whole = (format_name, quantization) == ("litert", "int8")
    outputs: dict[str, dict[str, Any]] = {}
    for name, tensor in deployed.output.items():
        outputs[name] = {"shape": list(tensor.shape), "dtype": "float32"}
        if name in ATTENTION_OUTPUTS:
            outputs[name]["values"] = [0, 1]
    return {
        "keras_aib": __version__,
        "keras": keras.version(),
        "format": format_name,
        "quantization": quantization,
        "model": model.name,
        "input": {
            "name": "images",
            "shape": list(deployed.input_shape),
            "dtype": "uint8" if whole else "float32",
            "channels": "RGB" if deployed.input_shape[-1] == 3 else "grey",
            "values": [0, 255],
            "resize": RESIZE,
        },
        "preprocessing": "in the file",
        "outputs": outputs,
        "class_names": None if class_names is None else list(class_names),
        "parity": {
            "num_images": parity.num_images,
            "max_difference": parity.max_difference,
            "mean_difference": parity.mean_difference,
            "agreement": parity.agreement,
        },
    }


def write_metadata(metadata: dict[str, Any], path: Path) -> None:
    """Write what `describe` returned."""
    text = json.dumps(metadata, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")
