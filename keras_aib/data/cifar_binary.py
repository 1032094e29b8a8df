"""CIFAR-10 and CIFAR-100 in their published binary version."""

import os
from pathlib import Path

import numpy as np

from keras_aib.data.archive import Archive
from keras_aib.data.cifar10 import CIFAR10_CLASS_NAMES

CIFAR10 = Archive(
    "CIFAR-10, binary version,",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "cifar-10-batches-bin",
)
CIFAR100 = Archive(
    "CIFAR-100, binary version,",
    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    "cifar-100-binary",
)
_NUM_PIXELS = 32 * 32 * 3


def read_cifar10(
    directory: str | os.PathLike, split: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return uint8 images [N, 32, 32, 3], labels and class names."""
    folder = CIFAR10.locate(directory)
    names = (
        ["test_batch"]
        if split == "test"
        else [f"data_batch_{index}" for index in range(1, 6)]
    )
    _refuse_pickle(CIFAR10, folder, names[0], "cifar-10-batches-py")
    parts = [_read(CIFAR10, folder / f"{name}.bin", 1, 9) for name in names]
    images, labels = map(np.concatenate, zip(*parts, strict=True))
    return images, labels, list(CIFAR10_CLASS_NAMES)


def read_cifar100(
    directory: str | os.PathLike, split: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return uint8 images [N, 32, 32, 3], fine labels and their names."""
    folder = CIFAR100.locate(directory)
    _refuse_pickle(CIFAR100, folder, split, "cifar-100-python")
    images, labels = _read(CIFAR100, folder / f"{split}.bin", 2, 99)
    names = CIFAR100.read_names(folder / "fine_label_names.txt", 100)
    return images, labels, names


def _read(
    archive: Archive, path: Path, num_labels: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    records = archive.read_records(path, num_labels + _NUM_PIXELS)
    # CIFAR-100 writes the coarse label before the fine one.
    labels = records[:, num_labels - 1]
    archive.check_labels(path, labels, 0, most)
    planes = records[:, num_labels:].reshape(-1, 3, 32, 32)
    return np.moveaxis(planes, 1, -1), labels


def _refuse_pickle(
    archive: Archive, folder: Path, name: str, python_folder: str
) -> None:
    if (folder / f"{name}.bin").exists():
        return
    if (folder / name).is_file() or (folder / python_folder).is_dir():
        raise ValueError(
            f"{folder} holds the python version, pickle files that can run "
            "any program when they are loaded. Get the binary version, "
            f"{archive.url}, and pass the folder of its unpacked files."
        )
