"""The figures of each epoch for TensorBoard."""

import importlib.util
import os
import warnings
from pathlib import Path

from keras_aib.utils.tensorboard_events import append_summary

FILE = "events.out.tfevents.0.keras_aib"
VALIDATION_PREFIX = "val_"


class ScalarEvents:
    """Write the history of a run to TensorBoard's event files.

    Training and validation are two runs of TensorBoard, so that it draws their
    curves into one diagram. Where the `tensorboard` package is missing, a
    warning says so and nothing is written.

    Args:
        directory: Log folder of TensorBoard.

    Example:

    ```python
    from keras_aib.runs.scalar_events import ScalarEvents

    events = ScalarEvents("run/tensorboard")
    events.add({"loss": 0.5, "val_loss": 0.7}, epoch=0)
    ```
    """

    def __init__(self, directory: str | os.PathLike) -> None:
        self._directory = Path(directory)
        self._available = importlib.util.find_spec("tensorboard") is not None
        if not self._available:
            warnings.warn(
                "tensorboard is not installed: the figures of the run are in "
                "its log.csv only. Install it with `pip install tensorboard`.",
                stacklevel=2,
            )

    def restart(self, history: list[dict[str, float]]) -> None:
        """Replace what is there by `history`: a kill may have cut it off."""
        for side in ("training", "validation"):
            (self._directory / side / FILE).unlink(missing_ok=True)
        for epoch, logs in enumerate(history):
            self.add(logs, epoch)

    def add(self, logs: dict[str, float], epoch: int) -> None:
        """Append the figures of one epoch, counted from 0."""
        if not self._available:
            return
        from tensorboard.compat.proto.summary_pb2 import Summary

        sides: dict[str, list[Summary.Value]] = {}
        for name, figure in logs.items():
            is_validation = name.startswith(VALIDATION_PREFIX)
            side = "validation" if is_validation else "training"
            tag = name.removeprefix(VALIDATION_PREFIX)
            value = Summary.Value(tag=tag, simple_value=figure)
            sides.setdefault(side, []).append(value)
        for side, values in sides.items():
            append_summary(self._directory / side / FILE, values, epoch)
