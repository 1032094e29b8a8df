"""CUB-200-2011 in its published folder."""

import os
from collections.abc import Container
from pathlib import Path

import numpy as np

from keras_aib.data.archive import Archive
from keras_aib.data.file_source import FileSource

CUB200 = Archive(
    "CUB-200-2011",
    "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
    "CUB_200_2011",
)


def cub200_source(
    directory: str | os.PathLike,
    split: str,
    image_size: tuple[int, int],
    crop_to_box: bool,
) -> FileSource:
    """Return the bird images of one side of the published split."""
    folder = CUB200.locate(directory)
    images = CUB200.require(folder / "images")
    classes = _read_table(folder / "classes.txt")
    labels = {key: index for index, key in enumerate(classes)}
    table_path = folder / "images.txt"
    files = _read_table(table_path)
    in_training = _read_table(folder / "train_test_split.txt", files)
    class_keys = _read_table(folder / "image_class_labels.txt", files)
    _check_values(
        folder / "train_test_split.txt", in_training, ("0", "1"), "a flag"
    )
    _check_values(
        folder / "image_class_labels.txt", class_keys, labels, "a class"
    )
    flag = "1" if split == "train" else "0"
    chosen = [key for key in files if in_training[key] == flag]
    if not chosen:
        raise CUB200.damaged(table_path, f"no image is in the {split} split")
    boxes = _read_boxes(folder, files) if crop_to_box else None
    return FileSource(
        [images / files[key] for key in chosen],
        [labels[class_keys[key]] for key in chosen],
        list(classes.values()),
        image_size,
        None if boxes is None else np.stack([boxes[key] for key in chosen]),
    )


def _read_table(
    path: Path, expected: dict[str, str] | None = None
) -> dict[str, str]:
    """Read lines of a number and what it stands for.

    Args:
        path: File to read.
        expected: A table that must have the same numbers.
    """
    table = {}
    lines = CUB200.require(path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        key, _, value = line.strip().partition(" ")
        if not value or key in table:
            raise CUB200.damaged(
                path,
                f"line {number} is {line!r} instead of a new number and its "
                "value",
            )
        table[key] = value
    if not table:
        raise CUB200.damaged(path, "it is empty")
    if expected is not None and table.keys() != expected.keys():
        odd = sorted(table.keys() ^ expected.keys())
        raise CUB200.damaged(
            path,
            f"it and images.txt do not list the same images: {len(odd)} are "
            f"in one only, such as number {odd[0]}",
        )
    return table


def _check_values(
    path: Path, table: dict[str, str], allowed: Container[str], meaning: str
) -> None:
    for key, value in table.items():
        if value not in allowed:
            raise CUB200.damaged(
                path, f"image {key} has {value!r}, which is not {meaning}"
            )


def _read_boxes(folder: Path, files: dict[str, str]) -> dict[str, np.ndarray]:
    """Return (left, top, right, bottom) in pixels of each image."""
    path = folder / "bounding_boxes.txt"
    boxes = {}
    for key, value in _read_table(path, files).items():
        try:
            left, top, width, height = map(float, value.split())
        except ValueError as error:
            raise CUB200.damaged(
                path,
                f"image {key} has {value!r} instead of left, top, width and "
                "height",
            ) from error
        box = np.array([left, top, left + width, top + height])
        if not np.isfinite(box).all() or width <= 0 or height <= 0:
            raise CUB200.damaged(
                path, f"image {key} has a box without an area, {value!r}"
            )
        boxes[key] = box
    return boxes
