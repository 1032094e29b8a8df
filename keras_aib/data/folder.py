"""Image files, one folder per class."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_aib.checks import ImageSize
from keras_aib.checks import check_image_size
from keras_aib.checks import check_is_local
from keras_aib.data.augmentation import Augmentation
from keras_aib.data.file_source import FileSource
from keras_aib.data.image_dataset import ImageDataset

_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
_SUBSETS = ("training", "validation")


def from_folder(
    directory: str | os.PathLike,
    image_size: ImageSize = (224, 224),
    batch_size: int = 32,
    shuffle: bool = True,
    augmentation: Augmentation | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    class_names: Sequence[str] | None = None,
    strict: bool = False,
    seed: int = 0,
    workers: int = 2,
) -> ImageDataset:
    """Serve a folder of images, one subfolder per class, in batches.

    Files with the extensions jpg, jpeg, png, bmp, gif and webp are taken, also
    from folders inside a class folder; hidden ones are not. Every image
    becomes 8-bit RGB, is turned upright by its EXIF orientation and resized as
    a whole: the aspect ratio is not kept. Transparency is dropped, and of an
    animation the first frame is taken.

    Args:
        directory: Folder that holds the class folders.
        image_size: (height, width) in pixels, or one integer for a square.
        batch_size: Images per batch.
        shuffle: Whether to draw a new order for each pass.
        augmentation: Keras layer or list of layers for training.
        validation_split: Share of each class, between 0 and 1, to set aside.
            At least one image of each class stays on either side.
        subset: `"training"` or `"validation"`: which side of the split. Both
            must be made with the same `seed` and `validation_split`.
        class_names: The names of the class folders in the order of the
            labels. Sorted by default.
        strict: Whether an unreadable image is an error. Otherwise it is left
            out and named in a warning at the end of the pass.
        seed: Non-negative integer, for the split, the order and the
            augmentation.
        workers: Threads that read the images of a batch.

    Returns:
        An `ImageDataset`.

    Raises:
        ImportError: If Pillow is missing.
        ValueError: If the folder or an argument does not fit.

    Example:

    ```python
    import pathlib
    import tempfile

    import numpy as np
    from PIL import Image

    from keras_aib import data

    root = pathlib.Path(tempfile.mkdtemp())
    for name in ("cat", "dog"):
        (root / name).mkdir()
        for i in range(4):
            pixels = np.random.randint(0, 256, (32, 48, 3), "uint8")
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    split = {"validation_split": 0.25, "image_size": (32, 32)}
    train = data.from_folder(root, subset="training", **split)
    test = data.from_folder(root, subset="validation", shuffle=False, **split)
    ```
    """
    image_size = check_image_size(image_size)
    check_split(validation_split, subset)
    check_is_local(directory)
    files = _find_files(Path(directory))
    names = _check_class_names(class_names, list(files))
    if validation_split is not None:
        files = _split(files, validation_split, subset, seed)
    labels = np.repeat(
        np.arange(len(names)), [len(files[name]) for name in names]
    )
    source = FileSource(
        [path for name in names for path in files[name]],
        labels,
        names,
        image_size,
    )
    return ImageDataset(
        source,
        batch_size=batch_size,
        shuffle=shuffle,
        augmentation=augmentation,
        strict=strict,
        seed=seed,
        workers=workers,
    )


def class_folders(directory: Path) -> list[Path]:
    """Return the visible subfolders in the order of the labels."""
    return sorted(
        path
        for path in directory.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )


def _find_files(directory: Path) -> dict[str, list[Path]]:
    if not directory.exists():
        raise ValueError(
            f"There is no folder {directory} (seen from {Path.cwd()}). Check "
            "the path."
        )
    if not directory.is_dir():
        raise ValueError(
            f"{directory} is a file. Pass the folder that holds one subfolder "
            "per class; unpack it first if it is an archive."
        )
    folders = class_folders(directory)
    if not folders:
        loose = [path for path in directory.iterdir() if _is_image(path)]
        raise ValueError(
            f"{directory} has no subfolders, and each class needs its own"
            + (f"; {len(loose)} images lie directly in it" if loose else "")
            + ". Move the images into one subfolder per class, such as "
            f"{directory / 'cat'} and {directory / 'dog'}."
        )
    if len(folders) == 1:
        raise ValueError(
            f"{directory} has a single class folder, {folders[0].name!r}, and "
            "a classifier needs at least two. Add a class, or pass the folder "
            "above or below if this is the wrong level."
        )
    files = {folder.name: find_images(folder) for folder in folders}
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise ValueError(
            f"No images in the class folders {empty} of {directory}. Add files "
            f"with the extensions {', '.join(_EXTENSIONS)}, or remove these "
            "folders."
        )
    return files


def find_images(folder: Path) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if _is_image(Path(name))]
    return sorted(found)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _EXTENSIONS and not path.name.startswith(".")


def _check_class_names(
    class_names: Sequence[str] | None, folders: list[str]
) -> list[str]:
    if class_names is None:
        return folders
    names = list(class_names)
    missing = [name for name in names if name not in folders]
    extra = [name for name in folders if name not in names]
    if missing or extra or len(set(names)) != len(names):
        near = {
            name: matches
            for name in missing
            if (matches := difflib.get_close_matches(name, folders, n=3))
        }
        raise ValueError(
            "`class_names` must name each class folder once. Received: "
            f"class_names={names}; without a folder: {missing} (near names: "
            f"{near}); folders not named: {extra}."
        )
    return names


def check_split(validation_split: float | None, subset: str | None) -> None:
    """Refuse a side of a split that cannot be made."""
    if (validation_split is None) != (subset is None):
        raise ValueError(
            "`validation_split` and `subset` go together: make the two sides "
            "with subset='training' and subset='validation'. Received: "
            f"validation_split={validation_split!r}, subset={subset!r}"
        )
    if validation_split is None:
        return
    if (
        not isinstance(validation_split, (int, float, np.number))
        or not 0 < validation_split < 1
    ):
        raise ValueError(
            "`validation_split` must lie between 0 and 1, such as 0.2. "
            f"Received: validation_split={validation_split!r}"
        )
    if subset not in _SUBSETS:
        raise ValueError(
            f"`subset` must be one of {_SUBSETS}. Received: subset={subset!r}"
        )


def _split(
    files: dict[str, list[Path]],
    validation_split: float,
    subset: str | None,
    seed: int,
) -> dict[str, list[Path]]:
    single = [name for name, paths in files.items() if len(paths) == 1]
    if single:
        raise ValueError(
            f"The classes {single} have one image each, too few for both sides "
            "of a validation split. Add images, or split by hand into two "
            "folders."
        )
    generator = np.random.default_rng(seed)
    chosen = {}
    for name, paths in files.items():
        count = round(len(paths) * validation_split)
        count = min(max(count, 1), len(paths) - 1)
        order = generator.permutation(len(paths))
        part = order[:count] if subset == "validation" else order[count:]
        chosen[name] = [paths[index] for index in sorted(part)]
    return chosen
