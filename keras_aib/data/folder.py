"""Image files, one folder per class."""

import difflib
import os
import warnings
from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_aib.data.augmentation import Augmentation
from keras_aib.data.decoding import printable
from keras_aib.data.file_source import FileSource
from keras_aib.data.image_dataset import ImageDataset
from keras_aib.data.image_files import FolderContent
from keras_aib.data.image_files import describe_suffixes
from keras_aib.data.image_files import find_images as find_images
from keras_aib.data.layout import find_layout
from keras_aib.data.layout import visible_folders
from keras_aib.utils.checks import ImageSize
from keras_aib.utils.checks import check_image_size
from keras_aib.utils.checks import check_is_local

_SUBSETS = ("training", "validation")


def from_folder(
    directory: str | os.PathLike,
    image_size: ImageSize = (224, 224),
    batch_size: int = 32,
    shuffle: bool | None = None,
    augmentation: Augmentation | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    class_names: Sequence[str] | None = None,
    strict: bool = False,
    seed: int = 0,
    workers: int = 2,
) -> ImageDataset:
    """Serve a folder of images, one subfolder per class, in batches.

    All kinds of files that Pillow reads are taken, known by their endings, also
    from folders inside a class folder; a warning counts the others. What is
    hidden (`.git`) or left by a system (`__MACOSX`, `Thumbs.db`) counts for
    nothing. Folders that are called as sides of a split, such as `train` and
    `test`, are for `from_spec`.

    Every image becomes 8-bit RGB, is turned upright by its EXIF orientation
    and resized as a whole: the aspect ratio is not kept. Transparency is
    dropped, and of an animation, or several pages, the first is taken. A
    warning names the first image whose pixels had to be guessed: 16 bits that
    look like 12, floats.

    Args:
        directory: Folder that holds the class folders.
        image_size: (height, width) in pixels, or one integer for a square.
        batch_size: Images per batch.
        shuffle: Whether to draw a new order for each pass. By default all but
            the validation side are shuffled: its `labels` line up with what
            `predict` returns.
        augmentation: Keras layer or list of layers for training.
        validation_split: Share of each class, between 0 and 1, to set aside.
            At least one image of each class stays on either side.
        subset: `"training"` or `"validation"`: which side of the split. Both
            must be made with the same `seed` and `validation_split`.
        class_names: The names of the class folders in the order of the
            labels. Sorted by default. Folders so named are classes even if
            they are called `train` and `test`.
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
    test = data.from_folder(root, subset="validation", **split)
    ```
    """
    check_is_local(directory)
    check_split(validation_split, subset)
    return serve_classes(
        _find_classes(Path(directory), class_names),
        image_size,
        seed,
        validation_split,
        subset,
        class_names,
        batch_size=batch_size,
        shuffle=subset != "validation" if shuffle is None else shuffle,
        augmentation=augmentation,
        strict=strict,
        workers=workers,
    )


def serve_classes(
    folders: dict[str, Path],
    image_size: ImageSize,
    seed: int,
    validation_split: float | None = None,
    subset: str | None = None,
    class_names: Sequence[str] | None = None,
    **settings: Any,
) -> ImageDataset:
    """Serve the images in some folders, as `from_folder` does.

    Args:
        folders: Folder of each class, in the order of the labels.
        image_size: As for `from_folder`, like the rest.
        seed: For the split, the order and the augmentation.
        validation_split: Share to set aside.
        subset: Which side of the split.
        class_names: Another order of the labels.
        settings: Of `ImageDataset`.

    Raises:
        ValueError: If a class has no images or the classes are too few.
    """
    image_size = check_image_size(image_size)
    files = _find_files(_printable_names(folders))
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
    return ImageDataset(source, seed=seed, **settings)


def check_folder(directory: Path) -> None:
    """Refuse what is no folder.

    Raises:
        ValueError: If `directory` is a file, or not there.
    """
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


def _find_classes(
    directory: Path, class_names: Sequence[str] | None
) -> dict[str, Path]:
    check_folder(directory)
    folders = visible_folders(directory)
    loose = FolderContent(directory, deep=False).images
    if not folders:
        raise ValueError(
            f"{directory} has no subfolders, and each class needs its own"
            + (f"; {len(loose)} images lie directly in it" if loose else "")
            + ". Move the images into one subfolder per class, such as "
            f"{directory / 'cat'} and {directory / 'dog'}."
        )
    if loose:
        warnings.warn(
            f"{len(loose)} images lie directly in {directory}, in no class "
            f"folder, and are left out, such as {printable(loose[0].name)}.",
            stacklevel=3,
        )
    if class_names is not None and {*class_names} == {*map(printable, folders)}:
        # The user says that these are the classes, whatever they are called.
        return folders
    layout = find_layout(directory)
    if "" not in layout.sides:
        raise ValueError(
            f"{directory} holds a split, {sorted(layout.sides)}, and not the "
            "folders of classes. Call `from_spec(directory, "
            "subset='training')` and `from_spec(directory, "
            "subset='validation')`, or pass the folder of one side. If these "
            "are the classes, say so: `from_folder(..., class_names="
            f"{list(map(printable, folders))})`."
        )
    return layout.sides[""]


def _printable_names(folders: dict[str, Path]) -> dict[str, Path]:
    """Make class names of folder names, which may be any bytes."""
    names = {printable(name): path for name, path in folders.items()}
    odd = [name for name in folders if name not in names]
    if len(names) < len(folders):
        raise ValueError(
            "Two class folders have the same name once odd bytes are written "
            f"as escapes: {[*map(printable, folders)]}. Rename one of them."
        )
    if odd:
        warnings.warn(
            "Names of class folders that are no UTF-8, say from an old "
            f"archive, are taken as {[*map(printable, odd)]}. Rename the "
            f"folders, such as {printable(str(folders[odd[0]]))}, for better "
            "ones.",
            stacklevel=4,
        )
    alike = [
        name
        for name in names
        if sum(name.casefold() == other.casefold() for other in names) > 1
    ]
    if alike:
        warnings.warn(
            f"Class folders differ by upper and lower case only: {alike}. "
            "They are taken as different classes.",
            stacklevel=4,
        )
    return names


def _find_files(folders: dict[str, Path]) -> dict[str, list[Path]]:
    if len(folders) == 1:
        ((name, path),) = folders.items()
        inner = visible_folders(path)
        hint = (
            f"pass {printable(str(path))!r} if {[*map(printable, inner)]} are "
            "the classes"
            if inner
            else "pass the folder above if this is the wrong level"
        )
        raise ValueError(
            f"{printable(str(path.parent))} has a single class folder, "
            f"{name!r}, and a classifier needs at least two. Add a class, or "
            f"{hint}."
        )
    content = {name: FolderContent(path) for name, path in folders.items()}
    empty = [name for name, found in content.items() if not found.images]
    others = sum((found.others for found in content.values()), Counter())
    if empty:
        of_these = sum((content[name].others for name in empty), Counter())
        found = f" Found: {describe_suffixes(of_these)}." if of_these else ""
        raise ValueError(
            f"No images in the class folders {empty} of "
            f"{printable(str(folders[empty[0]].parent))}.{found} Add images "
            f"that Pillow reads, or remove these folders.{_plugin_hint(others)}"
        )
    if others:
        warnings.warn(
            f"{others.total()} files in the class folders of "
            f"{printable(str(folders[next(iter(folders))].parent))} have "
            f"endings of no image that Pillow reads, and are left out: "
            f"{describe_suffixes(others)}.{_plugin_hint(others)}",
            stacklevel=4,
        )
    return {name: found.images for name, found in content.items()}


def _plugin_hint(suffixes: Iterable[str]) -> str:
    if {".heic", ".heif"} & {*suffixes}:
        return (
            " Photos of iPhones are read after `pip install pillow-heif` and "
            "`pillow_heif.register_heif_opener()`."
        )
    return ""


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
