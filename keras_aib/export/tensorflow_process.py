"""Conversion by TensorFlow in a process of its own.

For backends that cannot write a format themselves. The model goes over as a
`.keras` file; TensorFlow is never imported beside JAX or torch.
"""

import importlib.util
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.export.conversion import Conversion
from keras_aib.export.conversion import convert
from keras_aib.export.deployed_model import deployed_model
from keras_aib.export.export_error import ExportError
from keras_aib.export.other_process import run_python
from keras_aib.export.single_precision import unregistered_classes

MODEL_FILE = "model.keras"
REQUEST_FILE = "request.json"
CALIBRATION_FILE = "calibration.npy"
RESULT_FILE = "result.json"
ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}


def has_tensorflow() -> bool:
    """Whether TensorFlow is installed; does not import it."""
    return importlib.util.find_spec("tensorflow") is not None


def convert_with_tensorflow(
    model: keras.Model, options: dict[str, Any], conversion: Conversion
) -> None:
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
        if conversion.calibration is not None:
            np.save(folder / CALIBRATION_FILE, conversion.calibration)
        run_python("the process", __name__, folder, ENVIRONMENT)
        error = json.loads((folder / RESULT_FILE).read_text("utf-8"))["error"]
    if error is not None:
        raise ExportError(_explained(error, model))


def _explained(error: str, model: keras.Model) -> str:
    """What the other process says, with a remedy where a class is missing."""
    unknown = re.search(r"Could not locate (?:class|function) '([^']+)'", error)
    if unknown is None:
        return error
    classes = unregistered_classes(model)
    found = classes.get(unknown[1])
    place = f" of {found.__module__!r}" if found is not None else ""
    return (
        f"{unknown[1]!r}{place}, a part of the model, is not known in that "
        "process. Put it into a module of its own, which can be imported, "
        "and decorate it with `@keras.saving.register_keras_serializable()`"
    )


def main(folder: Path) -> None:
    """The other process: do what the request in `folder` asks for."""
    request = json.loads((folder / REQUEST_FILE).read_text())
    calibration = None
    if (folder / CALIBRATION_FILE).exists():
        calibration = np.load(folder / CALIBRATION_FILE, allow_pickle=False)
    error = None
    try:
        # The model is that of the process that asks.
        model = keras.saving.load_model(
            folder / MODEL_FILE, compile=False, safe_mode=False
        )
        convert(
            deployed_model(model, **request["options"]),
            Conversion(
                request["format"],
                request["quantization"],
                Path(request["path"]),
                calibration,
            ),
        )
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    (folder / RESULT_FILE).write_text(json.dumps({"error": error}), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
