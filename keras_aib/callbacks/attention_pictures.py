"""Pictures of where a model looks, epoch by epoch."""

from __future__ import annotations

import importlib.util
import os
import socket
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from keras_aib.models.output_head import find_output_head
from keras_aib.utils.files import check_local
from keras_aib.utils.tensorboard_events import append_summary
from keras_aib.visualization import plot_attention

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = {
    "mean": "score",
    "stddev": "score's standard deviation",
    "quantized": "score (quantized)",
}


class AttentionPictures(keras.callbacks.Callback):
    """Write a grid of photos and their attention at the end of each epoch.

    Accuracy does not tell whether a model looks at the object or at its
    surroundings, nor whether its attention has gone flat. A dozen photos
    watched over the epochs do. The captions tell the predicted class and its
    probability, where the model tells whether it gives logits.

    Writes `epoch_0001.png`, `epoch_0002.png`, ... made by
    `keras_aib.visualization.plot_attention`.

    Args:
        images: photos `[B, H, W, 3]` with pixel values 0..255, as the model
            takes them; a dozen is plenty.
        directory: folder for the pictures; made as needed.
        labels: true classes of the photos, `[B]` integers.
        class_names: names of the classes by index.
        every: epochs from one picture to the next.
        which: `"mean"`, `"stddev"` or `"quantized"`: which of the maps of
            `model.attention(images)`. The standard deviation is small: draw it
            with `scale="image"`.
        interpolation: as in `plot_attention`.
        scale: as in `plot_attention`.
        columns: as in `plot_attention`.
        tensorboard_directory: log folder of TensorBoard, which then shows the
            pictures under the tag `attention/<which>`, in a run of its own
            named `attention`, by 0-based epoch as `keras.callbacks.TensorBoard`
            counts. Needs the `tensorboard` package, not TensorFlow; where it
            is missing, a warning says so and only the files are written.

    Raises:
        ValueError: for a bad argument, and at the start of `fit` where the
            model has no `attention` method or not the map asked for.
        FileExistsError: at the start of `fit`, where a picture would replace
            a file that no figure was saved to.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib.callbacks import AttentionPictures
    from keras_aib.models import AIBClassifier

    pixels = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    features = keras.layers.Conv2D(8, 3, strides=2)(scaled)
    backbone = keras.Model(pixels, features)
    model = AIBClassifier(backbone, num_classes=2, activation="softmax")
    model.compile("adam", loss="sparse_categorical_crossentropy")

    images = np.random.randint(0, 256, (16, 32, 32, 3), dtype="uint8")
    labels = np.random.randint(0, 2, 16)
    pictures = AttentionPictures(images[:6], "pictures", labels=labels[:6])
    model.fit(images, labels, epochs=2, callbacks=[pictures])
    ```
    """

    def __init__(
        self,
        images: Any,
        directory: str | os.PathLike[str],
        labels: Any = None,
        class_names: Sequence[str] | None = None,
        every: int = 1,
        which: str = "mean",
        interpolation: str = "bilinear",
        scale: str = "fixed",
        columns: int = 6,
        tensorboard_directory: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        images = keras.ops.convert_to_numpy(images)
        shape = images.shape
        if len(shape) != 4 or 0 in shape:
            raise ValueError(
                "`images` must be a batch of at least one photo, "
                f"[B, H, W, 3]. Received: {shape}"
            )
        if labels is not None and len(labels) != shape[0]:
            raise ValueError(
                f"Expected one label per image. Received: {shape[0]} images, "
                f"{len(labels)} labels"
            )
        if every < 1:
            raise ValueError(f"`every` must be at least 1. Received: {every}")
        if which not in UNITS:
            raise ValueError(
                f"`which` must be one of {tuple(UNITS)}. Received: {which!r}"
            )
        check_local(directory)
        if tensorboard_directory is not None:
            check_local(tensorboard_directory)
        self.images = images
        self.directory = directory
        self.labels = labels
        self.class_names = class_names
        self.every = every
        self.which = which
        self.interpolation = interpolation
        self.scale = scale
        self.columns = columns
        self._events = None
        if tensorboard_directory is not None:
            if importlib.util.find_spec("tensorboard") is None:
                warnings.warn(
                    "tensorboard is not installed: the pictures are written to "
                    f"{os.fspath(directory)!r} only. Install it with "
                    "`pip install tensorboard`.",
                    stacklevel=2,
                )
            else:
                self._events = _Events(
                    os.path.join(tensorboard_directory, "attention")
                )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not callable(getattr(self.model, "attention", None)):
            raise ValueError(
                "AttentionPictures needs a model with an `attention` method, "
                "such as `keras_aib.models.AIBClassifier`. Received: "
                f"{type(self.model).__name__}"
            )
        # Asked for now, so that a mistake does not cost an epoch.
        self._maps()
        for epoch in range(self.params.get("epochs") or 0):
            path = self._path(epoch)
            if os.path.exists(path) and not _is_figure(path):
                raise FileExistsError(
                    f"{path} would be replaced, and is no picture of an "
                    "earlier `fit`. Choose another `directory`, or move it "
                    "away."
                )

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if (epoch + 1) % self.every:
            return
        path = self._path(epoch)
        figure = plot_attention(
            self.images,
            self._maps(),
            path=path,
            labels=self.labels,
            probabilities=self._probabilities(),
            class_names=self.class_names,
            interpolation=self.interpolation,
            scale=self.scale,
            columns=self.columns,
            title=f"Epoch {epoch + 1}",
            units=UNITS[self.which],
        )
        if self._events is not None:
            self._events.add(f"attention/{self.which}", path, figure, epoch)

    def _path(self, epoch: int) -> str:
        return os.path.join(self.directory, f"epoch_{epoch + 1:04d}.png")

    def _maps(self) -> np.ndarray:
        maps = self.model.attention(self.images)
        if self.which not in maps:
            raise ValueError(
                f"The model has no {self.which!r} attention map. It has: "
                f"{sorted(maps)}"
            )
        return maps[self.which]

    def _probabilities(self) -> np.ndarray | None:
        try:
            head = find_output_head(self.model)
        except ValueError:
            # Nothing tells what the outputs are, so the captions do not.
            return None
        return head.class_probabilities(
            self.model.predict(self.images, verbose=0)
        )


def _is_figure(path: str) -> bool:
    """Whether matplotlib wrote a file, which says so in it."""
    with open(path, "rb") as file:
        return b"Matplotlib" in file.read(1024)


class _Events:
    """An event file of TensorBoard that pictures are added to."""

    def __init__(self, directory: str) -> None:
        # TensorBoard finds its files by the first part of this name.
        self.path = os.path.join(
            directory,
            f"events.out.tfevents.{int(time.time())}"
            f".{socket.gethostname()}.{os.getpid()}",
        )

    def add(self, tag: str, picture: str, figure: Figure, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = figure.canvas.get_width_height()
        with open(picture, "rb") as file:
            image = Summary.Image(
                width=width,
                height=height,
                colorspace=3,
                encoded_image_string=file.read(),
            )
        append_summary(self.path, [Summary.Value(tag=tag, image=image)], step)
