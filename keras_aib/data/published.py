"""Benchmark datasets in the files that their authors publish."""

import os
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_aib.data.archive import Archive
from keras_aib.data.arrays import from_arrays
from keras_aib.data.augmentation import Augmentation
from keras_aib.data.cifar10 import CIFAR10_CLASS_NAMES
from keras_aib.data.cifar10 import load_cifar10
from keras_aib.data.cifar_binary import CIFAR10
from keras_aib.data.cifar_binary import CIFAR100
from keras_aib.data.cifar_binary import read_cifar10
from keras_aib.data.cifar_binary import read_cifar100
from keras_aib.data.cub200 import CUB200
from keras_aib.data.cub200 import cub200_source
from keras_aib.data.image_dataset import ImageDataset
from keras_aib.data.stl10 import STL10
from keras_aib.data.stl10 import read_stl10
from keras_aib.data.svhn import SVHN
from keras_aib.data.svhn import read_svhn
from keras_aib.utils.checks import ImageSize
from keras_aib.utils.checks import check_image_size

Arrays = tuple[np.ndarray, np.ndarray, Sequence[str]]


class _Published(NamedTuple):
    archive: Archive
    read: Callable[[str | os.PathLike, str], Arrays] | None
    splits: tuple[str, ...] = ("train", "test")


_CUB200 = _Published(CUB200, None)
_DATASETS = {
    "cifar10": _Published(CIFAR10, read_cifar10),
    "cifar100": _Published(CIFAR100, read_cifar100),
    "svhn_cropped": _Published(SVHN, read_svhn, ("train", "test", "extra")),
    "stl10": _Published(STL10, read_stl10),
    "caltech_birds2011": _CUB200,
    "cub200_2011": _CUB200,
}
PUBLISHED_NAMES = tuple(_DATASETS)


def from_published(
    name: str,
    directory: str | os.PathLike | None = None,
    split: str = "train",
    image_size: ImageSize | None = None,
    batch_size: int = 32,
    shuffle: bool | None = None,
    augmentation: Augmentation | None = None,
    crop_to_box: bool = False,
    strict: bool = False,
    seed: int = 0,
    workers: int = 2,
) -> ImageDataset:
    """Serve a benchmark dataset from the files its authors publish.

    For who has the archive rather than a prepared TensorFlow dataset. The
    names are those of TensorFlow Datasets, so `from_tfds` takes them too:

    | name | files |
    |---|---|
    | `"cifar10"` | binary version: `data_batch_1.bin`, ..., `test_batch.bin` |
    | `"cifar100"` | binary version: `train.bin`, `test.bin`; fine labels |
    | `"svhn_cropped"` | `train_32x32.mat`, `test_32x32.mat`, `extra_...` |
    | `"stl10"` | `train_X.bin`, `train_y.bin`, `test_X.bin`, `test_y.bin` |
    | `"caltech_birds2011"`, `"cub200_2011"` | `images.txt`, `images/`, ... |

    The first four are held in memory; CUB's images are read batch by batch.

    Args:
        name: One of the names above.
        directory: Folder of the unpacked files, or the one above it. Without
            it CIFAR-10 is downloaded by `load_cifar10`.
        split: `"train"` or `"test"`; SVHN also has `"extra"`.
        image_size: (height, width) in pixels to resize to, or one integer for
            a square. By default the size as published, 32x32 or 96x96; CUB's
            images differ in size and need it. The aspect ratio is not kept.
        batch_size: Images per batch.
        shuffle: Whether to draw a new order for each pass. By default all but
            `"test"` are shuffled: its `labels` line up with what `predict`
            returns.
        augmentation: Keras layer or list of layers for training.
        crop_to_box: Whether to crop each image of CUB to the bird's box.
        strict: Whether an unreadable image of CUB is an error. Otherwise it
            is left out and named in a warning at the end of the pass.
        seed: Non-negative integer.
        workers: Threads that read the images of a batch.

    Returns:
        An `ImageDataset`.

    Raises:
        ImportError: If Pillow is missing where images are decoded or resized,
            or SciPy for SVHN.
        ValueError: If an argument does not fit, or a file is missing, damaged
            or of another kind.

    Example:

    ```python
    import pathlib
    import tempfile

    import numpy as np

    from keras_aib import data

    # Ten random images a file, in the layout of CIFAR-10's binary version.
    root = pathlib.Path(tempfile.mkdtemp())
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        records = np.random.randint(0, 256, (10, 3073), "uint8")
        records[:, 0] = np.arange(10)
        records.tofile(root / f"{name}.bin")
    train = data.from_published("cifar10", root)
    test = data.from_published("cifar10", root, split="test")
    ```
    """
    archive, read, splits = _find(name)
    if split not in splits:
        raise ValueError(
            f"`split` of {name!r} must be one of {splits}. Received: "
            f"split={split!r}"
        )
    if crop_to_box and read is not None:
        raise ValueError(
            "`crop_to_box` needs boxes, which only 'caltech_birds2011' has. "
            f"Received: name={name!r}, crop_to_box=True"
        )
    settings: dict[str, Any] = {
        "batch_size": batch_size,
        "shuffle": split != "test" if shuffle is None else shuffle,
        "augmentation": augmentation,
        "seed": seed,
        "workers": workers,
    }
    if directory is None:
        arrays = _download(name, archive, split)
    elif read is not None:
        arrays = read(directory, split)
    else:
        if image_size is None:
            raise ValueError(
                "The images of CUB-200-2011 differ in size. Pass "
                "`image_size`, such as image_size=(224, 224)."
            )
        source = cub200_source(
            directory, split, check_image_size(image_size), crop_to_box
        )
        return ImageDataset(source, strict=strict, **settings)
    images, labels, class_names = arrays
    return from_arrays(
        images, labels, image_size, class_names=class_names, **settings
    )


def _find(name: str) -> _Published:
    if name not in _DATASETS:
        raise ValueError(
            f"`name` must be one of {list(PUBLISHED_NAMES)}. Received: "
            f"name={name!r}. `from_tfds` reads all of TensorFlow Datasets, and "
            "`from_folder` reads a folder of images."
        )
    return _DATASETS[name]


def _download(name: str, archive: Archive, split: str) -> Arrays:
    if name != "cifar10":
        raise ValueError(
            f"{name!r} needs `directory`. Get {archive.url} and pass the "
            "folder of its files, or use `from_tfds` where it is prepared."
        )
    train, test = load_cifar10()
    images, labels = train if split == "train" else test
    return images, labels, CIFAR10_CLASS_NAMES
