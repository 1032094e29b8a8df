"""Event files of TensorBoard, written without TensorFlow."""

import os
import time
from pathlib import Path
from typing import Any

from keras_aib.utils.files import check_local


def append_summary(
    path: str | os.PathLike, values: list[Any], step: int
) -> None:
    """Append a summary to an event file, which is made as needed.

    `EventFileWriter` of `tensorboard`, `torch.utils.tensorboard` and
    `tf.summary` import TensorFlow where it is installed; the records they
    write do not need it.

    Args:
        path: The file. TensorBoard finds files whose name starts with
            `events.out.tfevents.`.
        values: `tensorboard.compat.proto.summary_pb2.Summary.Value`s.
        step: Where they belong on the axis.

    Raises:
        ImportError: If the `tensorboard` package is missing.
        ValueError: If `path` is remote.

    Example:

    ```python
    from tensorboard.compat.proto.summary_pb2 import Summary
    from keras_aib.utils.tensorboard_events import append_summary

    loss = Summary.Value(tag="loss", simple_value=0.5)
    append_summary("run/events.out.tfevents.0", [loss], step=0)
    ```
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    check_local(path)
    path = Path(path)
    events = [Event(step=step, summary=Summary(value=values))]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        events.insert(0, Event(file_version="brain.Event:2"))
    # Opened anew each time: a broken-off `fit` leaves a complete log.
    with path.open("ab") as file:
        writer = RecordWriter(file)
        for event in events:
            event.wall_time = time.time()
            writer.write(event.SerializeToString())
