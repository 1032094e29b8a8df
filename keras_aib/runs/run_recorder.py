"""What a training run leaves in its folder, epoch by epoch."""

import csv
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.runs.model_source import BEST_FILE
from keras_aib.runs.scalar_events import ScalarEvents
from keras_aib.runs.training_state import TrainingState
from keras_aib.utils.files import remove_unfinished
from keras_aib.utils.files import written_whole

LAST_FILE = "last.keras"
LOG_FILE = "log.csv"
TENSORBOARD_FOLDER = "tensorboard"


class RunRecorder(keras.callbacks.Callback):
    """Record each epoch: first the state, then what follows from it.

    `log.csv`, the two models and TensorBoard's files can be written again from
    the state. `rewrite` does that, and so mends what a kill left undone.

    Args:
        folder: Folder of the run.
        state: The state that the run is in.
        seed: Seed of the run.
    """

    def __init__(
        self, folder: str | os.PathLike, state: TrainingState, seed: int = 0
    ) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._state = state
        self._seed = seed
        self._events = ScalarEvents(self._folder / TENSORBOARD_FOLDER)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # Dropout on torch draws from torch's own generator, whose state is no
        # variable: it starts anew with each epoch.
        entropy = np.random.SeedSequence((self._seed, epoch))
        keras.utils.set_random_seed(int(entropy.generate_state(1)[0]))

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items()}
        if logs["loss"] != logs["loss"]:
            raise ValueError(
                f"The loss is not a number in epoch {epoch + 1}. What was "
                "recorded up to the epoch before is kept. Train again with a "
                "lower learning rate, or in float32."
            )
        self._state.history.append(logs)
        self._state.save(self._folder, self.model)
        self._write_log()
        self._write_models(self.model)
        self._events.add(logs, epoch)

    def rewrite(self, model: keras.Model) -> None:
        """Write again what follows from the state of `model`."""
        # A kill leaves the temporary file that was being written.
        remove_unfinished(self._folder)
        if self._state.epoch:
            self._write_log()
            self._write_models(model)
        self._events.restart(self._state.history)

    def _write_log(self) -> None:
        history = self._state.history
        with (
            written_whole(self._folder / LOG_FILE) as path,
            path.open("w", newline="") as file,
        ):
            # A run that an earlier version began may lack figures of today.
            names = dict.fromkeys(name for logs in history for name in logs)
            writer = csv.DictWriter(file, ["epoch", *names])
            writer.writeheader()
            for epoch, logs in enumerate(history):
                writer.writerow({"epoch": epoch + 1, **logs})

    def _write_models(self, model: keras.Model) -> None:
        model.save(self._folder / LAST_FILE)
        if self._state.best_epoch == self._state.epoch - 1:
            model.save(self._folder / BEST_FILE)
