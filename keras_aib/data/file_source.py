"""Image files as a source of an `ImageDataset`."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_aib.data.decoding import require_pillow
from keras_aib.data.image_reader import ImageReader


class FileSource:
    """Labelled image files, each read when it is asked for.

    Args:
        paths: The files.
        labels: Class of each.
        class_names: Names of the classes.
        image_size: (height, width) in pixels.
        boxes: (left, top, right, bottom) in pixels to crop each image to, or
            `None` to take the whole.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int] | np.ndarray,
        class_names: list[str],
        image_size: tuple[int, int],
        boxes: np.ndarray | None = None,
    ):
        require_pillow()
        _warn_of_filled_images()
        self.class_names = class_names
        self.labels = np.asarray(labels, "int32")
        self._paths = paths
        self._image_size = image_size
        self._boxes = boxes
        self._reader = ImageReader()

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, index: int) -> str:
        return str(self._paths[index])

    def read(self, index: int) -> tuple[np.ndarray, int]:
        box = None if self._boxes is None else self._boxes[index]
        image = self._reader.read(
            self.name(index), self._paths[index], self._image_size, box
        )
        return image, int(self.labels[index])


def _warn_of_filled_images() -> None:
    from PIL import ImageFile

    if ImageFile.LOAD_TRUNCATED_IMAGES:
        warnings.warn(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, so truncated images "
            "are filled with grey instead of being left out. Set it to False.",
            stacklevel=4,
        )
