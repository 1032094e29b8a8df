"""Images of TensorFlow Datasets, read without TensorFlow."""

import functools
import importlib
import io
import os
from typing import Any

import numpy as np

from keras_aib.data.augmentation import Augmentation
from keras_aib.data.decoding import UnreadableImageError
from keras_aib.data.decoding import check_image_size
from keras_aib.data.decoding import read_image
from keras_aib.data.decoding import require_pillow
from keras_aib.data.image_dataset import ImageDataset


def from_tfds(
    name: str,
    split: str = "train",
    image_size: tuple[int, int] = (224, 224),
    batch_size: int = 32,
    shuffle: bool = True,
    augmentation: Augmentation | None = None,
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
        image_size: (height, width) in pixels. The aspect ratio is not kept.
        batch_size: Images per batch.
        shuffle: Whether to draw a new order for each pass.
        augmentation: Keras layer or list of layers for training.
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
            another format, or has no image with one class.

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
    _prepare(builder, name, download)
    examples = builder.as_data_source(
        split=split, decoders={image_key: tfds.decode.SkipDecoding()}
    )
    return ImageDataset(
        _TFDSSource(
            examples,
            f"{builder.info.full_name} {split}",
            builder.info.features[label_key].names,
            (image_key, label_key),
            image_size,
        ),
        batch_size=batch_size,
        shuffle=shuffle,
        augmentation=augmentation,
        strict=strict,
        seed=seed,
        workers=workers,
    )


class _TFDSSource:
    def __init__(
        self,
        examples: Any,
        title: str,
        class_names: list[str],
        keys: tuple[str, str],
        image_size: tuple[int, int],
    ):
        self.class_names = class_names
        self._examples = examples
        self._title = title
        self._image_key, self._label_key = keys
        self._image_size = image_size

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
        example = self._examples[index]
        label = self._label(index, example)
        # Pillow raises whatever its decoders raise for a damaged file.
        try:
            image = read_image(
                io.BytesIO(example[self._image_key]), self._image_size
            )
        except Exception as error:
            raise UnreadableImageError(self.name(index), error) from error
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
    try:
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise ImportError(
            "`from_tfds` needs tensorflow_datasets. Install it with "
            f"`pip install keras-aib[data]`. ({error})"
        ) from error


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
    features = builder.info.features
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    labels = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.ClassLabel)
    ]
    supervised = builder.info.supervised_keys
    if supervised is not None and len(supervised) == 2:
        image, label = supervised
        if image in images and label in labels:
            return image, label
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(
            f"TFDS dataset {builder.info.full_name!r} must have one image and "
            f"one class label. Received: images {images}, class labels "
            f"{labels} among {list(features)}. Read it with "
            "`tfds.data_source` and pass the arrays to `from_arrays`."
        )
    return images[0], labels[0]
