"""All that a training run is, at the end of an epoch, in one file."""

import json
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.utils.files import check_free_space
from keras_aib.utils.files import written_whole

STATE_FILE = "state.npz"
HISTORY = "history"


@dataclass
class TrainingState:
    """The history of a run and every variable of its model and optimizer.

    It is one file, written whole: whatever else a run's folder holds can be
    made from it again, so a kill between two files cannot make them disagree
    for good. Seeds are variables too, and so the noise goes on as well.

    Args:
        history: The logs of each epoch done.

    Example:

    ```python
    import keras
    from keras_aib.runs.training_state import TrainingState

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", loss="mse")
    model.optimizer.build(model.trainable_variables)
    TrainingState([{"loss": 1.0}]).save("run", model)
    TrainingState.restore("run", model).epoch  # 1
    ```
    """

    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history)

    @property
    def best_epoch(self) -> int | None:
        """The epoch, from 0, of the highest accuracy; the first of equals.

        Accuracy on the validation images. `None` before the first epoch.
        """
        values = [logs["val_accuracy"] for logs in self.history]
        return values.index(max(values)) if values else None

    def save(self, folder: str | os.PathLike, model: keras.Model) -> None:
        """Write `state.npz`, whole or not at all.

        Args:
            folder: Folder of the run.
            model: Compiled model; its optimizer is built.

        Raises:
            OSError: If the disk is full.
        """
        arrays: dict[str, Any] = {
            key: np.asarray(keras.ops.convert_to_numpy(variable))
            for key, variable in _variables(model)
        }
        # NumPy's format has no bfloat16; float32 holds its values exactly.
        arrays = {
            key: array if array.dtype.kind in "biuf" else array.astype("f4")
            for key, array in arrays.items()
        }
        arrays[HISTORY] = np.array(json.dumps(self.history))
        size = sum(array.nbytes for array in arrays.values())
        check_free_space(folder, size + 1_000_000)
        with (
            written_whole(Path(folder) / STATE_FILE) as path,
            path.open("wb") as file,
        ):
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def restore(
        cls, folder: str | os.PathLike, model: keras.Model
    ) -> "TrainingState":
        """Read `state.npz` into the variables of `model`.

        Args:
            folder: Folder of the run.
            model: Compiled model; its optimizer is built.

        Returns:
            The state; an empty one, with `model` left alone, where the run
            was killed before its first epoch ended.

        Raises:
            ValueError: If the file is damaged, or is that of another model.
        """
        path = Path(folder) / STATE_FILE
        if not path.exists():
            return cls()
        try:
            with path.open("rb") as file:
                arrays = dict(np.load(file, allow_pickle=False))
            history = json.loads(str(arrays.pop(HISTORY)))
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path} is damaged: {error}. Restore it from a copy, or "
                "start the run again in another folder."
            ) from error
        variables = dict(_variables(model))
        _check_same(path, arrays, variables)
        for (_, array), variable in zip(
            arrays.items(), variables.values(), strict=True
        ):
            variable.assign(array)
        return cls(history)


def _variables(model: keras.Model) -> Iterator[tuple[str, keras.Variable]]:
    optimizer = model.optimizer
    for owner, variables in (
        ("model", model.variables),
        ("optimizer", optimizer.variables),
    ):
        for position, variable in enumerate(variables):
            yield f"{owner}/{position:05d}/{variable.path}", variable


def _check_same(
    path: Path,
    arrays: dict[str, np.ndarray],
    variables: dict[str, keras.Variable],
) -> None:
    saved = [(_lasting(key), array.shape) for key, array in arrays.items()]
    built = [
        (_lasting(key), tuple(variable.shape))
        for key, variable in variables.items()
    ]
    if saved != built:
        first = next(
            (
                pair
                for pair in zip(saved, built, strict=False)
                if len({*pair}) > 1
            ),
            (f"{len(saved)} variables", f"{len(built)} variables"),
        )
        raise ValueError(
            f"{path} does not fit the model of its run: it has {first[0]} "
            f"where the model has {first[1]}. Was the model's file, keras_aib "
            "or Keras replaced since the run began? Put back what it began "
            "with, or start it again in another folder."
        )


def _lasting(key: str) -> str:
    """Names that Keras gives by itself count up from session to session."""
    return re.sub(r"_\d+(?=/|$)", "", key)
