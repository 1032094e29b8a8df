"""Images of TensorFlow Datasets, read without TensorFlow."""

import functools
import io
import os
import pickle
from typing import Any

import numpy as np

from keras_aib.data.augmentation import Augmentation
from keras_aib.data.decoding import require_pillow
from keras_aib.data.image_dataset import ImageDataset
from keras_aib.data.image_reader import ImageReader
from keras_aib.utils.checks import ImageSize
from keras_aib.utils.checks import check_image_size
from keras_aib.utils.requirements import require


def from_tfds(
    name: str,
    split: str = "train",
    image_size: ImageSize = (224, 224),
    batch_size: int = 32,
    shuffle: bool | None = None,
    augmentation: Augmentation | None = None,
    crop_to_box: bool = False,
    data_dir: str | os.PathLike | None = None,
    download: bool = True,
    strict: bool = False,
    seed: int = 0,
    workers: int = 2,
) -> ImageDataset:
    """Serve a classification dataset of TensorFlow Datasets in batches.

    Reading uses the random access of the array_record format and needs no
    TensorFlow. **Preparing** a dataset (download and conversion, once) does
    need TensorFlow installed, as `tensorflow_datasets` itself uses it there:
    prepare it in an environment that has it, then pass `data_dir` anywhere.

    Args:
        name: Name in the TFDS catalogue, such as `"beans"` or
            `"oxford_iiit_pet:4.0.0"`.
        split: Such as `"train"`, `"test"` or `"train[:80%]"`.
        image_size: (height, width) in pixels, or one integer for a square. The
            aspect ratio is not kept.
        batch_size: Images per batch.
        shuffle: Whether to draw a new order for each pass. By default what
            begins with `train` is shuffled, and of other splits the `labels`
            line up with what `predict` returns.
        augmentation: Keras layer or list of layers for training.
        crop_to_box: Whether to crop each image to its bounding box, where the
            dataset has one box an image, as `"caltech_birds2011"` does.
        data_dir: Folder of prepared datasets. `~/tensorflow_datasets` by
            default.
        download: Whether to download and prepare what is not there.
        strict: Whether an unreadable image is an error. Otherwise it is left
            out and named in a warning at the end of the pass.
        seed: Non-negative integer.
        workers: Threads that decode the images of a batch.

    Returns:
        An `ImageDataset`. Its `labels` are read when first asked for.

    Raises:
        ImportError: If `tensorflow_datasets` or Pillow is missing.
        ValueError: If the dataset is unknown, not prepared, prepared in
            another format, or has no image with one class (and one box, where
            that is asked for).

    Example:

    ```python
    from keras_aib import data

    train = data.from_tfds("beans", split="train[:90%]")
    validation = data.from_tfds("beans", split="train[90%:]", shuffle=False)
    ```
    """
    tfds = _import_tfds()
    require_pillow()
    image_size = check_image_size(image_size)
    builder = _builder(tfds, name, data_dir)
    image_key, label_key = _find_keys(tfds, builder)
    box_key = _find_box(tfds, builder) if crop_to_box else None
    _prepare(builder, name, download)
    # A segmentation mask is an image too, and nothing reads it.
    decoders = {
        key: tfds.decode.SkipDecoding()
        for key in _keys(builder, tfds.features.Image)
    }
    examples = builder.as_data_source(split=split, decoders=decoders)
    return ImageDataset(
        _TFDSSource(
            examples,
            f"{builder.info.full_name} {split}",
            builder.info.features[label_key].names,
            (image_key, label_key, box_key),
            image_size,
        ),
        batch_size=batch_size,
        shuffle=split.startswith("train") if shuffle is None else shuffle,
        augmentation=augmentation,
        strict=strict,
        seed=seed,
        workers=workers,
    )


def tfds_validation_splits(
    name: str,
    validation_split: float,
    data_dir: str | os.PathLike | None = None,
    download: bool = True,
) -> tuple[str, str]:
    """Return the splits to train on and to validate on.

    A split called `validation` or, next, `test` is taken as it is; without
    one, the last images of `train` are set aside.

    Args:
        name: Name in the TFDS catalogue.
        validation_split: Share of `train` to set aside where it must be.
        data_dir: As in `from_tfds`.
        download: As in `from_tfds`.

    Returns:
        Two values for `split` of `from_tfds`.

    Raises:
        ImportError: If `tensorflow_datasets` is missing.
        ValueError: If the dataset cannot be prepared or has no `train`.
    """
    builder = _builder(_import_tfds(), name, data_dir)
    _prepare(builder, name, download)
    splits = builder.info.splits
    if "train" not in splits:
        raise ValueError(
            f"TFDS dataset {name!r} has the splits {list(splits)}, none of "
            "them `train`. Choose the splits with `from_tfds(name, split=...)`."
        )
    for side in ("validation", "test"):
        if side in splits:
            return "train", side
    total = splits["train"].num_examples
    first = total - min(max(round(total * validation_split), 1), total - 1)
    return f"train[:{first}]", f"train[{first}:]"


class _TFDSSource:
    def __init__(
        self,
        examples: Any,
        title: str,
        class_names: list[str],
        keys: tuple[str, str, str | None],
        image_size: tuple[int, int],
    ):
        self.class_names = class_names
        self._examples = examples
        self._title = title
        self._image_key, self._label_key, self._box_key = keys
        self._image_size = image_size
        self._reader = ImageReader()
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self._examples)

    def name(self, index: int) -> str:
        return f"{self._title}[{index}]"

    @functools.cached_property
    def labels(self) -> np.ndarray:
        labels = [
            self._label(index, example)
            for index, example in enumerate(self._examples)
        ]
        return np.asarray(labels, "int32")

    def read(self, index: int) -> tuple[np.ndarray, int]:
        if self._process != os.getpid():
            # The threads that read are not in a forked process.
            self._process = os.getpid()
            self._examples = pickle.loads(pickle.dumps(self._examples))
        example = self._examples[index]
        label = self._label(index, example)
        box = None
        if self._box_key is not None:
            top, left, bottom, right = example[self._box_key]
            box = (left, top, right, bottom)
        image = self._reader.read(
            self.name(index),
            io.BytesIO(example[self._image_key]),
            self._image_size,
            box,
            relative_box=True,
        )
        return image, label

    def _label(self, index: int, example: dict[str, Any]) -> int:
        label = int(example[self._label_key])
        if not 0 <= label < len(self.class_names):
            raise ValueError(
                f"{self.name(index)} has label {label}, outside of its "
                f"{len(self.class_names)} classes. TFDS marks splits without "
                "labels so: use another split."
            )
        return label


def _import_tfds() -> Any:
    return require("tensorflow_datasets", "`from_tfds`", "data")


def _builder(tfds: Any, name: str, data_dir: str | os.PathLike | None) -> Any:
    try:
        return tfds.builder(name, data_dir=data_dir, file_format="array_record")
    except tfds.core.DatasetNotFoundError:
        # It names near datasets and the folders it looked in.
        raise
    except ValueError as error:
        raise ValueError(
            f"TFDS dataset {name!r} cannot be read in the array_record format, "
            "the one with random access. If it was prepared in another format, "
            f"use another data_dir. {_how_to_prepare(name)} ({error})"
        ) from error


def _prepare(builder: Any, name: str, download: bool) -> None:
    if builder.is_prepared():
        return
    if not download:
        raise ValueError(
            f"TFDS dataset {name!r} is not prepared in {builder.data_dir}, and "
            f"download=False. Pass download=True. {_how_to_prepare(name)}"
        )
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise ValueError(
            f"TFDS dataset {name!r} could not be downloaded and prepared in "
            f"{builder.data_dir}: {type(error).__name__}: {error}. "
            f"{_how_to_prepare(name)}"
        ) from error


def _how_to_prepare(name: str) -> str:
    return (
        "Prepare it in an environment with TensorFlow and internet: "
        f"`tfds.builder({name!r}, data_dir=..., file_format='array_record')"
        ".download_and_prepare()`, then pass that data_dir."
    )


def _find_keys(tfds: Any, builder: Any) -> tuple[str, str]:
    images = _keys(builder, tfds.features.Image)
    labels = _keys(builder, tfds.features.ClassLabel)
    supervised = builder.info.supervised_keys
    if supervised is not None and len(supervised) == 2:
        image, label = supervised
        if image in images and label in labels:
            return image, label
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(
            f"TFDS dataset {builder.info.full_name!r} must have one image and "
            f"one class label. Received: images {images}, class labels "
            f"{labels} among {list(builder.info.features)}. Read it with "
            "`tfds.data_source` and pass the arrays to `from_arrays`."
        )
    return images[0], labels[0]


def _find_box(tfds: Any, builder: Any) -> str:
    features = builder.info.features
    relative = tfds.features.BBoxFeature().bbox_format
    boxes = [
        key
        for key in _keys(builder, tfds.features.BBoxFeature)
        if features[key].bbox_format == relative
    ]
    if len(boxes) != 1:
        raise ValueError(
            f"`crop_to_box` needs one bounding box an image, with coordinates "
            f"0..1. TFDS dataset {builder.info.full_name!r} has {boxes} among "
            f"{list(features)}. Leave `crop_to_box` out."
        )
    return boxes[0]


def _keys(builder: Any, kind: type) -> list[str]:
    return [
        key
        for key, feature in builder.info.features.items()
        if isinstance(feature, kind)
    ]
