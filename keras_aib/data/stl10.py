"""STL-10 in its published binary files."""

import os

import numpy as np

from keras_aib.data.archive import Archive

STL10 = Archive(
    "STL-10, binary files,",
    "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
    "stl10_binary",
)
_SIZE = 96


def read_stl10(
    directory: str | os.PathLike, split: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return uint8 images [N, 96, 96, 3], labels and class names."""
    folder = STL10.locate(directory)
    label_path = folder / f"{split}_y.bin"
    image_path = folder / f"{split}_X.bin"
    labels = STL10.read_records(label_path, 1)[:, 0]
    STL10.check_labels(label_path, labels, 1, 10)
    planes = STL10.read_records(image_path, 3 * _SIZE * _SIZE)
    if len(planes) != len(labels):
        raise STL10.damaged(
            image_path,
            f"it has {len(planes)} images, and {label_path.name} has "
            f"{len(labels)} labels",
        )
    names = STL10.read_names(folder / "class_names.txt", 10)
    # Written column by column: [channel, column, row].
    images = planes.reshape(-1, 3, _SIZE, _SIZE).transpose(0, 3, 2, 1)
    return images, labels - 1, names
