"""What somebody who holds only the file must know, as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib._version import __version__
from keras_aib.export.parity import Parity
from keras_aib.models.output_head import OutputHead

RESIZE = (
    "the whole image, bilinear with antialiasing; the aspect ratio is not kept"
)


def describe(
    deployed: keras.Model,
    model: keras.Model,
    format_name: str,
    quantization: str | None,
    class_names: Sequence[str] | None,
    head: OutputHead | None,
    parity: Parity,
    anchors: np.ndarray | None,
    output_names: Sequence[str],
) -> dict[str, Any]:
    """Everything about an exported file, ready for JSON.

    Args:
        deployed: What was exported.
        model: What it was made from.
        format_name: Name of the format.
        quantization: What it was quantized to, or `None`.
        class_names: Names of the classes, or `None`.
        head: What the model ends in, or `None` if no output depends on it.
        parity: How file and model compare.
        anchors: The values that the scores can take, or `None` for any.
        output_names: The outputs in the order that the file has them.
    """
    whole = (format_name, quantization) == ("litert", "int8")
    outputs: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(output_names):
        # A SavedModel gives its outputs by name alone.
        ordered = format_name != "tf_saved_model"
        outputs[name] = {
            **({"index": index} if ordered else {}),
            "shape": list(deployed.output[name].shape),
            "dtype": "float32",
        }
        if name in ("attention", "attention_mean"):
            outputs[name]["values"] = _score_range(name, anchors)
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
        "activation": None if head is None else head.activation,
        "class_names": None if class_names is None else list(class_names),
        "parity": {
            "num_images": parity.num_images,
            "max_difference": parity.max_difference,
            "mean_difference": parity.mean_difference,
            "agreement": parity.agreement,
            "total_variation": parity.total_variation,
        },
    }


def _score_range(name: str, anchors: np.ndarray | None) -> list[float]:
    """Trained anchors may leave the scores' range by a little."""
    if anchors is None or name != "attention":
        return [0.0, 1.0]
    return [float(anchors.min()), float(anchors.max())]


def write_metadata(metadata: dict[str, Any], path: Path) -> None:
    """Write what `describe` returned."""
    text = json.dumps(metadata, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")
