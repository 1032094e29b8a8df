"""Tiny datasets, written as the authors of the benchmarks publish theirs."""

import numpy as np
from PIL import Image
from scipy import io


def asymmetric(index, size):
    """Columns count up in red, rows in green, and blue tells which image."""
    rows, columns = np.mgrid[0:size, 0:size]
    blue = np.full_like(rows, index)
    return np.stack([2 * columns, 2 * rows + 1, blue], -1).astype("uint8")


def asymmetric_images(count, size, first=0):
    return np.stack([asymmetric(first + i, size) for i in range(count)])


def write_cifar10(folder):
    """Two images a file; the label is the last digit of the image's number."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for index, name in enumerate(names):
        images = asymmetric_images(2, 32, first=2 * index)
        with (folder / f"{name}.bin").open("wb") as file:
            for offset, image in enumerate(images):
                file.write(bytes([(2 * index + offset) % 10]))
                for channel in range(3):
                    file.write(image[:, :, channel].tobytes())
    return folder


def write_cifar100(folder):
    """Three images a split, coarse labels 1 and fine labels 97, 98, 99."""
    folder.mkdir(parents=True, exist_ok=True)
    for first, split in ((0, "train"), (3, "test")):
        with (folder / f"{split}.bin").open("wb") as file:
            for index, image in enumerate(asymmetric_images(3, 32, first)):
                file.write(bytes([1, 97 + index]))
                file.write(np.moveaxis(image, -1, 0).tobytes())
    names = "".join(f"fine{i}\n" for i in range(100))
    (folder / "fine_label_names.txt").write_text(names)
    return folder


def write_svhn(folder, labels=(1, 10, 9)):
    """One image per label in each split; 10 stands for the digit 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test", "extra"):
        images = asymmetric_images(len(labels), 32)
        column = np.array(labels, "uint8")[:, None]
        arrays = {"X": np.moveaxis(images, 0, -1), "y": column}
        io.savemat(folder / f"{split}_32x32.mat", arrays)
    return folder


def write_stl10(folder, labels=(1, 10)):
    """One image per label in each split, written column by column."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        (folder / f"{split}_y.bin").write_bytes(bytes(labels))
        with (folder / f"{split}_X.bin").open("wb") as file:
            for image in asymmetric_images(len(labels), 96):
                for channel in range(3):
                    for column in range(96):
                        file.write(image[:, column, channel].tobytes())
    names = "".join(f"name{i}\n" for i in range(10))
    (folder / "class_names.txt").write_text(names)
    return folder


# Image 3 is 20 wide and 12 high; its bird is lit, at columns 4..11, rows 2..7.
CUB_BIRD = "4.0 2.0 8.0 6.0"
_CUB_IMAGES = (
    ("1", "001.Albatross/a_1.png", "1", "1"),
    ("2", "001.Albatross/a_2.png", "1", "0"),
    ("3", "002.Auklet/b_3.png", "2", "1"),
    ("4", "002.Auklet/b_4.png", "2", "0"),
)


def bird_image():
    """Dark, with a lit bird whose left half is dimmer than its right."""
    pixels = np.zeros((12, 20, 3), "uint8")
    pixels[2:8, 4:8] = 100
    pixels[2:8, 8:12] = 200
    return pixels


def write_cub200(folder):
    """Two classes of two images, one of each in either split."""
    (folder / "images" / "001.Albatross").mkdir(parents=True)
    (folder / "images" / "002.Auklet").mkdir()
    tables = {
        "classes.txt": "1 001.Albatross\n2 002.Auklet\n",
        "images.txt": "",
        "image_class_labels.txt": "",
        "train_test_split.txt": "",
        "bounding_boxes.txt": "",
    }
    for key, name, class_key, flag in _CUB_IMAGES:
        Image.fromarray(bird_image()).save(folder / "images" / name)
        tables["images.txt"] += f"{key} {name}\n"
        tables["image_class_labels.txt"] += f"{key} {class_key}\n"
        tables["train_test_split.txt"] += f"{key} {flag}\n"
        tables["bounding_boxes.txt"] += f"{key} {CUB_BIRD}\n"
    for name, content in tables.items():
        (folder / name).write_text(content)
    return folder
