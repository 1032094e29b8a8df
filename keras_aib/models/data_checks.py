"""Checks of images and labels before a model is trained on them."""

import copy
import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

import keras
import numpy as np

from keras_aib.utils.checks import check_images


@dataclass(frozen=True)
class DataCheck:
    """Checks what a classifier is given, batch by batch or all at once.

    Attributes:
        input_shape: Shape of a batch of images, `None` where free.
        channel_axis: Axis of the channels.
        num_classes: Number of classes.
        loss: The loss that the model was compiled with, or `None`.
    """

    input_shape: tuple[int | None, ...]
    channel_axis: int
    num_classes: int
    loss: Any

    def images(self, images: Any) -> None:
        """Refuse images of a wrong shape, or that are not finite."""
        check_images(images, self.input_shape, self.channel_axis)

    def labels(self, labels: Any) -> None:
        """Refuse labels that are no class of the model."""
        check_labels(labels, self.num_classes, self.loss)

    def labels_of(self, batch: Any) -> Any:
        """Check the labels in a batch, and return the batch."""
        if isinstance(batch, tuple | list) and len(batch) > 1:
            self.labels(batch[1])
        return batch

    def data(self, images: Any, labels: Any) -> Any:
        """Check arrays now, and a dataset as it is read.

        Args:
            images: Array of images, or a dataset of any kind `fit` takes.
            labels: Labels, if `images` are an array.

        Returns:
            The images, or a dataset of the same kind.
        """
        self.images(images)
        self.labels(labels)
        tensorflow = sys.modules.get("tensorflow")
        torch = sys.modules.get("torch")
        if isinstance(images, keras.utils.PyDataset):
            return _CheckedDataset(images, self)
        if isinstance(images, GeneratorType):
            return (self.labels_of(batch) for batch in images)
        if tensorflow and isinstance(images, tensorflow.data.Dataset):
            check = functools.partial(_check_in_graph, tensorflow, self)
            return images.map(check)
        if torch and isinstance(images, torch.utils.data.DataLoader):
            loader = copy.copy(images)
            collate = functools.partial(_collate, images.collate_fn, self)
            loader.collate_fn = collate
            return loader
        return images

    def fit_options(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The arguments of `fit` by their names, with data that is checked."""
        signature = inspect.signature(keras.Model.fit)
        _, *options = signature.bind(None, *args, **kwargs).arguments.items()
        named = dict(options)
        named["x"] = self.data(named.get("x"), named.get("y"))
        if named.get("validation_data") is not None:
            named["validation_data"] = self.validation(named["validation_data"])
        return named

    def validation(self, data: Any) -> Any:
        """Check what `fit` got as `validation_data`, before it trains.

        Args:
            data: Arrays in a tuple, with weights or not, or a dataset, of which
                the first batch is looked at.

        Returns:
            The data, to be checked as it is read.
        """
        tensorflow = sys.modules.get("tensorflow")
        batches: Any = []
        if isinstance(data, tuple | list):
            batches = [data]
        elif isinstance(data, keras.utils.PyDataset):
            batches = [data[0]] if data.num_batches != 0 else []
        elif tensorflow and isinstance(data, tensorflow.data.Dataset):
            batches = data.take(1).as_numpy_iterator()
        for batch in batches:
            self.images(batch[0] if isinstance(batch, tuple | list) else batch)
            self.labels_of(batch)
        if isinstance(data, tuple | list):
            return data
        return self.data(data, None)


def check_labels(labels: Any, num_classes: int, loss: Any) -> None:
    """Refuse class numbers that are no class of the model.

    TensorFlow and torch fail on some of them within a step, JAX trains on.

    Args:
        labels: What `fit` got. Only class numbers are looked at, one an image.
        num_classes: Number of classes.
        loss: The loss that the model was compiled with. Labels of another than
            the sparse cross-entropy are left alone.

    Raises:
        ValueError: If labels are no whole numbers, or lie outside the classes.
    """
    sparse, ignored = _is_sparse(loss)
    if not sparse or labels is None or num_classes < 2:
        return
    if keras.ops.is_tensor(labels):
        labels = keras.ops.convert_to_numpy(labels)
    labels = np.asarray(labels)
    if labels.ndim == 0 or labels.shape[1:] not in ((), (1,)):
        return
    labels = labels.reshape(-1)
    if labels.dtype.kind not in "biuf":
        raise ValueError(
            "Labels must be class numbers. Received: an array of dtype "
            f"{labels.dtype}, such as {labels[0]!r}. Number them: `names, "
            "labels = np.unique(labels, return_inverse=True)`."
        )
    inside = (labels >= 0) & (labels < num_classes)
    if labels.dtype.kind == "f":
        inside &= labels == np.floor(labels)
    if ignored is not None:
        inside |= labels == ignored
    if inside.all():
        return
    first = int(np.argmin(inside))
    raise ValueError(
        f"Labels must be the class numbers 0..{num_classes - 1} of this model. "
        f"Received: {np.count_nonzero(~inside)} of {len(labels)} labels "
        f"outside, the first at index {first}: {labels[first]}; all lie in "
        f"{labels.min()}..{labels.max()}. Count classes from 0, or build the "
        "model with a larger `num_classes`."
    )


def _is_sparse(loss: Any) -> tuple[bool, int | None]:
    """Whether a loss takes class numbers, and which of them it leaves out."""
    if isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        return True, getattr(loss, "ignore_class", None)
    function = keras.losses.sparse_categorical_crossentropy
    if isinstance(loss, str):
        try:
            return _is_sparse(keras.losses.get(loss))
        except ValueError:
            return False, None
    return loss is function, None


def _collate(
    collate: Callable[[Any], Any], check: DataCheck, samples: Any
) -> Any:
    return check.labels_of(collate(samples))


def _check_in_graph(tensorflow: Any, check: DataCheck, *batch: Any) -> Any:
    if len(batch) < 2 or not tensorflow.is_tensor(batch[1]):
        return batch if len(batch) > 1 else batch[0]

    def look(labels: Any) -> np.bool_:
        check.labels(labels.numpy())
        return np.bool_(True)

    images, labels, *weights = batch
    fine = tensorflow.py_function(look, [labels], "bool")
    with tensorflow.control_dependencies([fine]):
        return (images, tensorflow.identity(labels), *weights)


class _CheckedDataset(keras.utils.PyDataset):
    """A dataset whose labels are checked as they are read."""

    def __init__(
        self, dataset: keras.utils.PyDataset, check: DataCheck
    ) -> None:
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        self._dataset = dataset
        self._check = check

    def __getitem__(self, index: int) -> Any:
        return self._check.labels_of(self._dataset[index])

    @property
    def num_batches(self) -> int | None:
        return self._dataset.num_batches

    def on_epoch_begin(self) -> None:
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._dataset.on_epoch_end()
