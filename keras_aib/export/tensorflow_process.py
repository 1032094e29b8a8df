"""Conversion by TensorFlow in a process of its own.

For backends that cannot write a format themselves. The model goes over as a
`.keras` file; TensorFlow is never imported beside JAX or torch.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.export.conversion import Conversion
from keras_aib.export.conversion import Converted
from keras_aib.export.conversion import convert
from keras_aib.export.deployed_model import deployed_model
from keras_aib.export.export_error import ExportError

MODEL_FILE = "model.keras"
REQUEST_FILE = "request.json"
ARRAYS_FILE = "arrays.npz"
RESULT_FILE = "result.json"
OUTPUTS_FILE = "outputs.npz"
LAST_LINES = 5


def has_tensorflow() -> bool:
    """Whether TensorFlow is installed; does not import it."""
    return importlib.util.find_spec("tensorflow") is not None


def convert_with_tensorflow(
    model: keras.Model, options: dict[str, Any], conversion: Conversion
) -> Converted:
    """As `convert`, in another process that has TensorFlow for its backend.

    Args:
        model: The model itself.
        options: Arguments of `deployed_model`.
        conversion: What to write.

    Raises:
        ExportError: If that process fails; says how.
    """
    with tempfile.TemporaryDirectory(dir=conversion.path.parent) as name:
        folder = Path(name)
        model.save(folder / MODEL_FILE)
        request = {
            "options": options,
            "format": conversion.format,
            "quantization": conversion.quantization,
            "path": str(conversion.path.absolute()),
        }
        (folder / REQUEST_FILE).write_text(json.dumps(request))
        arrays = _numbered(conversion.batches)
        if conversion.representative_images is not None:
            arrays["representative"] = conversion.representative_images
        np.savez(folder / ARRAYS_FILE, **arrays)
        _run(folder)
        operators = json.loads((folder / RESULT_FILE).read_text())
        with np.load(folder / OUTPUTS_FILE, allow_pickle=False) as stored:
            outputs = [
                {name: stored[f"{index}/{name}"] for name in options["outputs"]}
                for index in range(len(conversion.batches))
            ]
    return Converted(outputs, operators)


def _numbered(batches: Sequence[np.ndarray]) -> dict[str, Any]:
    return {f"batch_{index}": batch for index, batch in enumerate(batches)}


def _run(folder: Path) -> None:
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    finished = subprocess.run(
        [sys.executable, "-m", __name__, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        lines = finished.stderr.strip().splitlines()[-LAST_LINES:]
        raise ExportError(
            "TensorFlow, in a process of its own, ended with exit code "
            f"{finished.returncode}: " + "\n".join(lines)
        )


def main(folder: Path) -> None:
    """The other process: do what the request in `folder` asks for."""
    request = json.loads((folder / REQUEST_FILE).read_text())
    with np.load(folder / ARRAYS_FILE, allow_pickle=False) as stored:
        arrays = dict(stored)
    representative = arrays.pop("representative", None)
    batches = tuple(arrays[f"batch_{index}"] for index in range(len(arrays)))
    model = keras.saving.load_model(folder / MODEL_FILE, compile=False)
    converted = convert(
        deployed_model(model, **request["options"]),
        Conversion(
            request["format"],
            request["quantization"],
            Path(request["path"]),
            batches,
            representative,
        ),
    )
    outputs: dict[str, Any] = {
        f"{index}/{name}": array
        for index, named in enumerate(converted.outputs)
        for name, array in named.items()
    }
    np.savez(folder / OUTPUTS_FILE, **outputs)
    (folder / RESULT_FILE).write_text(json.dumps(converted.operators))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
