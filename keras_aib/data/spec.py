"""One line of text that says which images to take."""

import difflib
import os
from pathlib import Path
from typing import Any

from keras_aib.data.augmentation import Augmentation
from keras_aib.data.data_spec import TFDS
from keras_aib.data.data_spec import DataSpec
from keras_aib.data.folder import check_folder
from keras_aib.data.folder import check_split
from keras_aib.data.folder import from_folder
from keras_aib.data.folder import serve_classes
from keras_aib.data.image_dataset import ImageDataset
from keras_aib.data.layout import TEST
from keras_aib.data.layout import TRAINING
from keras_aib.data.layout import VALIDATION
from keras_aib.data.layout import find_layout
from keras_aib.data.layout import visible_folders
from keras_aib.data.published import PUBLISHED_NAMES
from keras_aib.data.published import from_published
from keras_aib.data.tfds import from_tfds
from keras_aib.data.tfds import tfds_validation_splits
from keras_aib.utils.checks import ImageSize


def from_spec(
    spec: str | os.PathLike,
    image_size: ImageSize = (224, 224),
    batch_size: int = 32,
    subset: str = "training",
    validation_split: float = 0.2,
    shuffle: bool | None = None,
    augmentation: Augmentation | None = None,
    limit: int | None = None,
    crop_to_box: bool = False,
    data_dir: str | os.PathLike | None = None,
    strict: bool = False,
    seed: int = 0,
    workers: int = 2,
) -> ImageDataset:
    """Serve the images that one line of text names, as a command line gets it.

    | `spec` | training and validation images |
    |---|---|
    | a folder with `train/` and `validation/`, else `test/` | those two |
    | a folder of class folders | split by `validation_split` and `seed` |
    | `"tfds:NAME"` | `train` and `validation`, else `test`, else a split |
    | `"cifar10"` | its training and test images, downloaded |
    | `"NAME:FOLDER"`, say `"stl10:/data"` | the same of `from_published` |

    Other names of the same are known, such as `Training/` and `val/`, and
    sides inside the class folders (`cat/train/`). Of three sides `test/` is
    left alone. A folder that happens to be called as a dataset is written
    `./cifar10`.

    Args:
        spec: What to take, as above.
        image_size: (height, width) in pixels, or one integer for a square. The
            aspect ratio is not kept.
        batch_size: Images per batch.
        subset: `"training"` or `"validation"`. Both must be made with the
            same `seed` and `validation_split`.
        validation_split: Share to set aside where no images are meant for
            validation.
        shuffle: Whether to draw a new order for each pass. By default the
            training side is shuffled; `labels` of the validation side line up
            with what `predict` returns.
        augmentation: Keras layer or list of layers for training.
        limit: Take at most so many images, drawn at random but the same for
            every `seed`. All by default.
        crop_to_box: Whether to crop each image to its bounding box, for
            datasets that have one.
        data_dir: Folder of prepared TFDS datasets. By default that of
            `TFDS_DATA_DIR` in the environment, or `~/tensorflow_datasets`.
        strict: Whether an unreadable image is an error. Otherwise it is left
            out and named in a warning at the end of the pass.
        seed: Non-negative integer, for the split, the order and the
            augmentation.
        workers: Threads that read the images of a batch.

    Returns:
        An `ImageDataset`.

    Raises:
        ImportError: If a package that reads these images is missing.
        ValueError: If `spec` names nothing, or an argument does not fit.

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
        for i in range(5):
            pixels = np.random.randint(0, 256, (32, 48, 3), "uint8")
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    train = data.from_spec(root, (32, 32))
    validation = data.from_spec(root, (32, 32), subset="validation")
    ```
    """
    check_split(validation_split, subset)
    settings: dict[str, Any] = {
        "image_size": image_size,
        "batch_size": batch_size,
        "shuffle": subset == "training" if shuffle is None else shuffle,
        "augmentation": augmentation,
        "strict": strict,
        "seed": seed,
        "workers": workers,
    }
    where = DataSpec.parse(spec)
    is_training = subset == "training"
    if where.dataset == TFDS:
        splits = tfds_validation_splits(where.place, validation_split, data_dir)
        dataset = from_tfds(
            where.place,
            split=splits[0 if is_training else 1],
            crop_to_box=crop_to_box,
            data_dir=data_dir,
            **settings,
        )
    elif where.dataset is not None:
        dataset = from_published(
            where.dataset,
            where.place or None,
            split="train" if is_training else "test",
            crop_to_box=crop_to_box,
            **settings,
        )
    else:
        if crop_to_box:
            raise ValueError(
                "`crop_to_box` needs boxes, and a folder of images has none. "
                f"Received: spec={where.place!r}, crop_to_box=True"
            )
        dataset = _from_folder(where.place, subset, validation_split, settings)
    if limit is None or limit >= dataset.num_images:
        return dataset
    return dataset.sample(limit)


def _from_folder(
    spec: str,
    subset: str,
    validation_split: float,
    settings: dict[str, Any],
) -> ImageDataset:
    directory = Path(spec)
    if not spec or not directory.exists():
        raise ValueError(_nothing_found(spec))
    check_folder(directory)
    sides = find_layout(directory).sides if _has_folders(directory) else {}
    if sides.keys() <= {""}:
        return from_folder(
            directory,
            subset=subset,
            validation_split=validation_split,
            **settings,
        )
    if TRAINING not in sides:
        raise ValueError(
            f"{directory} has no images to train on, only {sorted(sides)}. "
            "Add a folder 'train', or pass the folder of one side."
        )
    validation = next(
        (side for side in (VALIDATION, TEST) if side in sides), None
    )
    if validation is None:
        return serve_classes(
            sides[TRAINING],
            validation_split=validation_split,
            subset=subset,
            **settings,
        )
    # Labels are positions among the sorted names, so these must agree.
    only = [
        sorted(sides[one].keys() - sides[other].keys())
        for one, other in ((TRAINING, validation), (validation, TRAINING))
    ]
    if any(only):
        raise ValueError(
            f"The sides {TRAINING} and {validation} of {directory} must have "
            f"the same class folders. Only in the first: {only[0]}; only in "
            f"the second: {only[1]}."
        )
    chosen = TRAINING if subset == "training" else validation
    return serve_classes(sides[chosen], **settings)


def _has_folders(directory: Path) -> bool:
    return bool(visible_folders(directory))


def _nothing_found(spec: str) -> str:
    known = [*PUBLISHED_NAMES, TFDS]
    near = difflib.get_close_matches(spec.partition(":")[0], known, n=1)
    return (
        f"`spec` names no images: there is no folder {spec} (seen from "
        f"{Path.cwd()}). It must be a folder, 'tfds:NAME', 'cifar10' or "
        f"'NAME:FOLDER' with a NAME of {list(PUBLISHED_NAMES)}."
        + (f" Did you mean {near[0]!r}?" if near else "")
    )
