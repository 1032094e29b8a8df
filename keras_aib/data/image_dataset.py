"""Batches of labelled images for any Keras backend."""

import math
import multiprocessing
import os
import warnings
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from typing import Protocol

import keras
import numpy as np

from keras_aib.data.augmentation import Augmentation
from keras_aib.data.augmentation import BatchAugmentation
from keras_aib.data.decoding import Failure
from keras_aib.data.decoding import UnreadableImageError
from keras_aib.data.decoding import printable
from keras_aib.utils.checks import check_integer

_MAX_NAMES = 20


class ImageSource(Protocol):
    """What an `ImageDataset` reads: a length, and image `index` with label."""

    class_names: list[str]

    @property
    def labels(self) -> np.ndarray:
        """Class of each image, int32 [N]."""

    def __len__(self) -> int:
        """Count of images."""

    def name(self, index: int) -> str:
        """What to call image `index` in a message, say its path."""

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Pixels [H, W, 3], 0..255, and class; or `UnreadableImageError`."""


class _Sample:
    """Some images of a source, as a source."""

    def __init__(self, source: ImageSource, chosen: np.ndarray):
        self.class_names = source.class_names
        self._source = source
        self._chosen = chosen

    @property
    def labels(self) -> np.ndarray:
        return self._source.labels[self._chosen]

    def __len__(self) -> int:
        return len(self._chosen)

    def name(self, index: int) -> str:
        return self._source.name(int(self._chosen[index]))

    def read(self, index: int) -> tuple[np.ndarray, int]:
        return self._source.read(int(self._chosen[index]))


class ImageDataset(keras.utils.PyDataset):
    """Batches of labelled images for `fit`, `evaluate` and `predict`.

    Made by `from_folder`, `from_tfds`, `from_published`, `from_arrays` and
    `from_spec`. It feeds Keras on every backend without TensorFlow; `workers`
    threads read the images of a batch.

    Each batch is `(images, labels)`: float32 pixels 0..255 [B, H, W, 3], or
    [B, 3, H, W] if `keras.config.image_data_format()` is `"channels_first"`,
    and int32 classes [B]. The last batch may be short.

    Order and augmentation of batch `i` in pass `e` follow from `seed`, `e` and
    `i` alone, whatever the number of threads. Two things lie outside of that:
    `fit` itself shuffles the order of whole batches unless called with
    `fit(shuffle=False)`, and an augmentation layer is reproducible only if it
    draws from a `keras.random.SeedGenerator` of its own, as Keras's do.

    Unreadable images are left out of their batch, which gets smaller, and are
    named in one warning at the end of the pass. In place of a batch of which
    nothing can be read, one image of another is served. A pass ends when Keras
    says so; after a loop of your own, call `on_epoch_end()`.

    It can be copied and pickled, and read in other processes, say those of a
    torch `DataLoader(dataset, batch_size=None, num_workers=2)`. What is found
    unreadable there is named at once, and `labels` and `unreadable` here do
    not know of it.

    Args:
        source: Where the images come from.
        batch_size: Images per batch.
        shuffle: Whether to draw a new order for each pass.
        augmentation: Keras layer, or list of layers, applied to every batch
            with `training=True`. Leave it out of validation data.
        strict: Whether an unreadable image is an error.
        seed: Non-negative integer.
        workers: Threads that read the images of a batch.

    Attributes:
        class_names: Names of the classes, in the order of the labels.
        num_classes: Count of classes.
        num_images: Count of images, without those found unreadable so far.
        labels: Their classes, int32, in the order of the source. After
            `predict` they line up with its result if the dataset was made
            with `shuffle=False`, as validation and test sets are by default;
            a pass over a shuffled one goes through another order.
        unreadable: Names of the images found unreadable so far.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    ```python
    import numpy as np
    from keras_aib import data

    images = np.random.randint(0, 256, (10, 8, 8, 3), "uint8")
    train = data.from_arrays(images, np.arange(10) % 2, batch_size=4)
    for batch, labels in train:
        print(batch.shape, labels)
    ```
    """

    def __init__(
        self,
        source: ImageSource,
        batch_size: int = 32,
        shuffle: bool = True,
        augmentation: Augmentation | None = None,
        strict: bool = False,
        seed: int = 0,
        workers: int = 2,
    ):
        # The threads are our own: with more than one worker, Keras 3.15 keeps
        # the batches it had queued when a pass is cut short (a first batch
        # read to build a model, `steps_per_epoch`) and serves them in the next
        # pass, so that predictions lose their order and images repeat.
        super().__init__(workers=1)
        check_integer("batch_size", batch_size, 1)
        check_integer("seed", seed, 0)
        check_integer("workers", workers, 1)
        self.class_names = list(source.class_names)
        self.num_classes = len(self.class_names)
        self._source = source
        self._settings: dict[str, Any] = {
            "batch_size": batch_size,
            "shuffle": shuffle,
            "augmentation": augmentation,
            "strict": strict,
            "seed": seed,
            "workers": workers,
        }
        self._batch_size = int(batch_size)
        self._shuffle = shuffle
        self._augmentation = (
            None if augmentation is None else BatchAugmentation(augmentation)
        )
        self._strict = strict
        self._seed = int(seed)
        self._channels_first = (
            keras.config.image_data_format() == "channels_first"
        )
        self._unreadable: dict[int, Failure] = {}
        self._num_warned = 0
        self._num_threads = int(workers)
        self._threads: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._epoch = 0
        self._order = self._draw_order()

    @property
    def num_images(self) -> int:
        return len(self._source) - len(self._unreadable)

    @property
    def labels(self) -> np.ndarray:
        return np.delete(self._source.labels, sorted(self._unreadable))

    @property
    def unreadable(self) -> list[str]:
        return [self._source.name(i) for i in sorted(self._unreadable)]

    def __getstate__(self) -> dict[str, Any]:
        # Threads belong to one process.
        return {**self.__dict__, "_threads": None}

    def __len__(self) -> int:
        return math.ceil(len(self._source) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return batch `index` of the current pass."""
        if not 0 <= index < len(self):
            raise IndexError(
                f"There are {len(self)} batches. Received: index={index}"
            )
        start = index * self._batch_size
        images, labels = self._read(
            self._order[start : start + self._batch_size]
        )
        if self._channels_first:
            images = np.ascontiguousarray(np.moveaxis(images, -1, 1))
        if self._augmentation is not None:
            images = self._augmentation(
                images, (self._seed, self._epoch, index)
            )
        if multiprocessing.parent_process() is not None:
            # Nothing tells a worker process that a pass has ended.
            self._warn_of_unreadable()
        return images, labels

    def on_epoch_end(self) -> None:
        """Name the images newly found unreadable and draw the next order."""
        self._epoch += 1
        self._order = self._draw_order()
        self._warn_of_unreadable()

    def start_at(self, epoch: int) -> None:
        """Make the next pass the one an uninterrupted run would come to.

        For training that goes on from a checkpoint: order and augmentation
        are those of pass `epoch`. `fit` must be called with `shuffle=False`
        in both runs, because its own shuffling does not follow.

        Args:
            epoch: Passes that are done, the `initial_epoch` of `fit`.

        Raises:
            ValueError: If `epoch` is no integer of at least 0.

        Example:

        ```python
        import numpy as np
        from keras_aib import data

        images = np.random.randint(0, 256, (10, 8, 8, 3), "uint8")
        train = data.from_arrays(images, np.arange(10) % 2)
        train.start_at(2)  # then model.fit(train, initial_epoch=2, ...)
        ```
        """
        self._epoch = check_integer("epoch", epoch, 0)
        self._order = self._draw_order()

    def sample(self, num_images: int, seed: int = 0) -> "ImageDataset":
        """Return a dataset of some of these images, drawn at random.

        Args:
            num_images: How many.
            seed: Non-negative integer. The draw depends on nothing else, so
                runs of several seeds can share one choice of images.

        Returns:
            A new `ImageDataset` with the same settings.

        Raises:
            ValueError: If there are fewer images, or an argument is out of
                range.

        Example:

        ```python
        import numpy as np
        from keras_aib import data

        images = np.random.randint(0, 256, (10, 8, 8, 3), "uint8")
        few = data.from_arrays(images, np.arange(10) % 2).sample(4)
        ```
        """
        check_integer("num_images", num_images, 1)
        check_integer("seed", seed, 0)
        total = len(self._source)
        if num_images > total:
            raise ValueError(
                f"There are {total} images. Received: num_images={num_images}"
            )
        order = np.random.default_rng(seed).permutation(total)
        return self.select(np.sort(order[:num_images]))

    def list_images(self) -> list[tuple[str, int]]:
        """Name and class of every image, readable or not, as `select` counts.

        Images from files are called by their paths.
        """
        labels = self._source.labels.tolist()
        return [(self._source.name(i), x) for i, x in enumerate(labels)]

    def select(self, chosen: Sequence[int] | np.ndarray) -> "ImageDataset":
        """Return a dataset of some of these images, with the same settings.

        Args:
            chosen: Their positions in `list_images()`.
        """
        source = _Sample(self._source, np.asarray(chosen, int))
        return ImageDataset(source, **self._settings)

    def _draw_order(self) -> np.ndarray:
        if not self._shuffle:
            return np.arange(len(self._source))
        generator = np.random.default_rng((self._seed, self._epoch))
        return generator.permutation(len(self._source))

    def _warn_of_unreadable(self) -> None:
        found = list(self._unreadable.items())[self._num_warned :]
        self._num_warned += len(found)
        if found:
            warnings.warn(
                f"{len(found)} of {len(self._source)} images cannot be read "
                f"and are left out: {self._describe(found)} `unreadable` lists "
                "all names.",
                stacklevel=3,
            )

    def _read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._map(chosen.tolist())
        items = [item for item in found if item is not None]
        if not items:
            items = [self._any_readable()]
        images, labels = zip(*items, strict=True)
        return (
            np.stack(images).astype("float32", copy=False),
            np.asarray(labels, "int32"),
        )

    def _map(
        self, indices: list[int]
    ) -> Iterable[tuple[np.ndarray, int] | None]:
        if self._num_threads == 1:
            return map(self._read_one, indices)
        if self._threads is None or self._process != os.getpid():
            # A forked process has the pool, but none of its threads.
            self._process = os.getpid()
            self._threads = ThreadPoolExecutor(self._num_threads)
        return self._threads.map(self._read_one, indices)

    def _any_readable(self) -> tuple[np.ndarray, int]:
        """Stand in for a batch of which nothing can be read."""
        for index in self._order.tolist():
            item = self._read_one(index)
            if item is not None:
                return item
        raise ValueError(
            f"None of {len(self._source)} images can be read: "
            f"{self._describe(list(self._unreadable.items()))}"
        )

    def _read_one(self, index: int) -> tuple[np.ndarray, int] | None:
        if index in self._unreadable:
            return None
        try:
            return self._source.read(index)
        except UnreadableImageError as error:
            if self._strict:
                raise
            self._unreadable[index] = error.failure
            return None

    def _describe(self, found: list[tuple[int, Failure]]) -> str:
        lines = [
            f"{printable(self._source.name(index))} ({failure.reason})"
            for index, failure in found[:_MAX_NAMES]
        ]
        if len(found) > _MAX_NAMES:
            lines.append(f"and {len(found) - _MAX_NAMES} more")
        remedies = dict.fromkeys(failure.remedy for _, failure in found)
        return f"{', '.join(lines)}. {' '.join(remedies)}"
