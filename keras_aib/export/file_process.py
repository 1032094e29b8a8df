"""What a file gives, in a process that only reads it."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_aib.export import runtimes
from keras_aib.export.export_error import ExportError
from keras_aib.export.other_process import run_python

# The file is meant for anybody's machine, and memory of a GPU is taken here.
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True)
class FileOutputs:
    """What a file, read by its own runtime, made of some batches.

    Attributes:
        batches: The outputs by name, for each batch.
        operators: How often each operator occurs in the file.
        names: Names of the outputs, in the order that the file has them.
    """

    batches: list[dict[str, np.ndarray]]
    operators: dict[str, int]
    names: tuple[str, ...]

    def joined(self) -> dict[str, np.ndarray]:
        """The outputs of all batches, one after another."""
        return {
            name: np.concatenate([batch[name] for batch in self.batches])
            for name in self.names
        }


def run_file(
    format_name: str, path: Path, batches: Sequence[np.ndarray]
) -> FileOutputs:
    """Run a file on batches, where neither Keras nor the model is.

    Args:
        format_name: Name of its format.
        path: The file.
        batches: Pixels `[images, height, width, channels]`, floats 0..255.

    Raises:
        ExportError: If the runtime cannot read or run it, or ends itself.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        request = {"format": format_name, "path": str(path.absolute())}
        (folder / runtimes.REQUEST_FILE).write_text(json.dumps(request))
        numbered: Any = {
            str(index): batch for index, batch in enumerate(batches)
        }
        np.savez(folder / runtimes.BATCHES_FILE, **numbered)
        program = str(runtimes.__file__)
        what = f"the process that reads the {format_name} file"
        run_python(what, program, folder, ENVIRONMENT)
        result = json.loads((folder / runtimes.RESULT_FILE).read_text("utf-8"))
        if "error" in result:
            raise ExportError(f"the file cannot be run: {result['error']}")
        outputs: list[dict[str, np.ndarray]] = [{} for _ in batches]
        with np.load(
            folder / runtimes.OUTPUTS_FILE, allow_pickle=False
        ) as stored:
            for key in stored.files:
                index, _, output = key.partition("/")
                outputs[int(index)][output] = stored[key]
    return FileOutputs(outputs, result["operators"], tuple(result["outputs"]))
