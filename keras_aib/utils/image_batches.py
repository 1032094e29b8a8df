"""Batches of images out of whatever a user has."""

import contextlib
import numbers
import os
import reprlib
import sys
from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

IMAGE_KEYS = ("image", "images")
ACCEPTED = (
    "an array of images [N, ...], one image, a list of images, (images, "
    "labels), or what gives images or batches of them, alone, with labels or "
    "in dictionaries: a `keras.utils.PyDataset`, a `tf.data.Dataset`, a torch "
    "`Dataset` or `DataLoader`, a generator"
)


def fill_up(batch: np.ndarray, size: int) -> np.ndarray:
    """Repeat the last entry of `batch` until there are `size` entries.

    So what is compiled for batches of one size serves them all.
    """
    return batch[np.minimum(np.arange(size), len(batch) - 1)]


class ImageBatches:
    """Reads images as NumPy batches of one size; labels are left out.

    For work without `fit`, on any backend: what is passed need not belong to
    the backend in use, and nothing is imported to read it. Images that come
    one by one are gathered, and batches of another size are cut anew.

    Args:
        images: An array or tensor `[N, ...]`, one image, a list of images or
            of batches, `(images, labels)`, or anything that gives images or
            batches, alone, first in a tuple or list, or in a dictionary as
            `"image"`, `"images"` or its only entry of that rank.
        batch_size: Images per batch; the last may be short.
        rank: Number of axes of a batch.
        name: What to call `images` in errors.

    Attributes:
        ends: Whether it is known to end, because it has a length.
        num_images: How many images there are, or `None` if that is not known.
            For batches it is known after the first, but for a short last one.

    Raises:
        TypeError: If `images` holds or gives something else.
        ValueError: If images have another rank or several sizes; if there are
            none, once they are read.

    Example:

    ```python
    import numpy as np
    from keras_aib.utils.image_batches import ImageBatches

    pairs = ((np.zeros((8, 8, 3)), label) for label in range(10))
    batches = ImageBatches(pairs, batch_size=4, rank=4)
    print([len(batch) for batch in batches.first(6)])  # [4, 2]
    ```
    """

    def __init__(
        self,
        images: Any,
        batch_size: int,
        rank: int = 4,
        name: str = "images",
    ) -> None:
        self._name = name
        self._rank = rank
        self._batch_size = batch_size
        self._source = source = self._without_labels(images)
        self._array = _as_array(source)
        self._shape: tuple[int, ...] | None = None
        self.num_images: int | None = None
        self._length: int | None
        if self._array is not None:
            if hasattr(self._array, "__dlpack__"):
                # In memory: JAX compiles each slice of its own arrays.
                self._array = self._numpy(self._array)
            self._array = self._as_batch(self._array)
            self._length = self.num_images = self._array.shape[0]
        elif isinstance(source, (str, bytes, os.PathLike)) or not (
            hasattr(source, "__iter__") or hasattr(source, "__getitem__")
        ):
            raise self._no_images("Received", source)
        else:
            self._length = _length(source)
        self.ends = self._length is not None

    def first(self, num_images: int | None = None) -> Iterator[np.ndarray]:
        """Batches of the first `num_images` images, or of them all.

        No more is read than that.
        """
        left = sys.maxsize if num_images is None else num_images
        held: list[np.ndarray] = []
        size = self._batch_size
        with contextlib.closing(self._pieces()) as pieces:
            while left and (piece := next(pieces, None)) is not None:
                if not len(piece):
                    continue
                self._check_size(piece.shape[1:])
                piece = piece[:left]
                left -= len(piece)
                held.append(piece)
                count = sum(map(len, held))
                if count < size:
                    continue
                joined = held[0] if len(held) == 1 else np.concatenate(held)
                whole = count - count % size
                for start in range(0, whole, size):
                    yield joined[start : start + size]
                held = [joined[whole:]]
        if sum(map(len, held)):
            yield np.concatenate(held)
        elif self._shape is None:
            raise ValueError(
                f"`{self._name}` gave no images. Pass an array [N, ...], or a "
                "dataset that is not empty or used up."
            )

    def _pieces(self) -> Generator[np.ndarray]:
        """Any numbers of images, in the order in which they come."""
        if self._array is not None:
            # Piece by piece: it may be a file.
            for start in range(0, self._array.shape[0], self._batch_size):
                stop = start + self._batch_size
                yield self._numpy(self._array[start:stop])
            return
        source = self._source
        elements = source
        if not hasattr(source, "__iter__") and self._length is not None:
            # A torch `Dataset` need not tell its end by an IndexError.
            elements = (source[index] for index in range(self._length))
        has_passes = isinstance(source, keras.utils.PyDataset)
        if has_passes:
            source.on_epoch_begin()
        try:
            for element in elements:
                piece = self._images_of(element)
                if self._length is not None and self.num_images is None:
                    self.num_images = self._length * len(piece)
                yield piece
        finally:
            if has_passes:
                source.on_epoch_end()

    def _without_labels(self, images: Any) -> Any:
        """The images of `(images, labels)` or of a dictionary of arrays."""
        if isinstance(images, Mapping):
            return self._without_labels(self._entry(images))
        if not isinstance(images, (list, tuple)) or len(images) not in (2, 3):
            return images
        first, *others = images
        sample = first
        if isinstance(first, list) and first and not _is_numbers(first):
            sample = first[0]
        rank = _rank(sample)
        if rank not in (self._rank, self._rank - 1):
            return images
        count = None if sample is first and rank < self._rank else len(first)
        shape = tuple(_as_array(sample).shape[1 - self._rank :])
        is_pair = all(self._is_labels(x, count, shape) for x in others)
        return first if is_pair else images

    def _is_labels(
        self, other: Any, count: int | None, shape: tuple[int, ...]
    ) -> bool:
        """Whether it goes with `count` images of a shape, and is none."""
        rank = _rank(other)
        if rank is None:
            if isinstance(other, (list, tuple)) and other:
                return self._is_labels(other[0], None, shape)
            return other is None
        if rank == self._rank - 1:
            # Masks [N, H, W], and no image [H, W, C].
            other_shape = tuple(_as_array(other).shape)
            return other_shape[0] == count and other_shape != shape
        return rank != self._rank

    def _images_of(self, element: Any) -> np.ndarray:
        fields = getattr(element, "_fields", ())
        if isinstance(element, tuple) and {*fields} & {*IMAGE_KEYS}:
            element = dict(zip(fields, element, strict=True))
        if isinstance(element, Mapping):
            return self._images_of(self._entry(element))
        array = _as_array(element)
        if array is not None:
            return self._numpy(self._as_batch(array))
        if isinstance(element, (list, tuple)) and len(element):
            ranks = {_rank(item) for item in element}
            if isinstance(element, list) and ranks == {self._rank - 1}:
                images = [self._numpy(_as_array(image)) for image in element]
                for image in images:
                    self._check_size(image.shape)
                return np.stack(images)
            return self._images_of(element[0])
        raise self._no_images("It gave", element)

    def _entry(self, element: Mapping[Any, Any]) -> Any:
        for key in IMAGE_KEYS:
            if key in element:
                return element[key]
        fitting = [
            key
            for key, value in element.items()
            if _rank(value) in (self._rank, self._rank - 1)
        ]
        if len(fitting) == 1:
            return element[fitting[0]]
        received = {
            key: tuple(value.shape)
            if hasattr(value, "shape")
            else type(value).__name__
            for key, value in element.items()
        }
        raise ValueError(
            f"`{self._name}` is or gives a dictionary in which the images "
            f"cannot be told: {received}. Pass only that entry, or name it "
            "'image'."
        )

    def _as_batch(self, array: Any) -> Any:
        rank = len(array.shape)
        if rank == self._rank:
            return array
        if rank == self._rank - 1:
            return self._numpy(array)[None]
        raise ValueError(
            f"`{self._name}` must hold images of {self._rank - 1} axes, or "
            f"batches of {self._rank}. Received: an array of shape "
            f"{tuple(array.shape)} and dtype {array.dtype}. Give grey images "
            "an axis of channels, and read images from their files first, "
            "as `keras_aib.data.from_folder` does."
        )

    def _numpy(self, array: Any) -> np.ndarray:
        try:
            array = _to_numpy(array)
        except Exception as error:
            raise TypeError(
                f"`{self._name}` must be {ACCEPTED}. What it holds cannot be "
                f"read as an array: {type(array).__name__} ({error})."
            ) from error
        if array.dtype == object:
            raise self._several_sizes("ragged arrays")
        return array

    def _check_size(self, shape: tuple[int, ...]) -> None:
        self._shape = self._shape or shape
        if shape != self._shape:
            raise self._several_sizes(f"shapes {self._shape} and {shape}")

    def _no_images(self, received: str, value: Any) -> TypeError:
        hint = " Call it, and pass what it gives." * callable(value)
        if isinstance(value, (str, bytes, os.PathLike)):
            hint = (
                " Read images from their files first: "
                "`keras_aib.data.from_folder`."
            )
        return TypeError(
            f"`{self._name}` must be {ACCEPTED}. {received}: "
            f"{reprlib.repr(value)} of type {type(value).__name__}.{hint}"
        )

    def _several_sizes(self, received: str) -> ValueError:
        return ValueError(
            f"`{self._name}` must hold images of one size. Received: "
            f"{received}. Resize them, for example with `keras.ops.image."
            "resize`; of (images, masks), pass the images alone."
        )


def _as_array(value: Any) -> Any:
    """What has a shape, or can be given one; `None` for anything else."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        # Objects, as in an array or a column of images of several sizes.
        is_list = getattr(value.dtype, "kind", None) == "O"
        return None if is_list and len(value.shape) == 1 else value
    # Such as an image of Pillow.
    if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
        return np.asarray(value)
    if isinstance(value, (list, tuple)) and _is_numbers(value):
        # Of different lengths they are a list of something.
        with contextlib.suppress(ValueError):
            return np.asarray(value)
    return None


def _rank(value: Any) -> int | None:
    array = _as_array(value)
    return None if array is None else len(array.shape)


def _is_numbers(value: Any) -> bool:
    """Whether it is a number, or lists of numbers to any depth."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, numbers.Number)


def _to_numpy(array: Any) -> np.ndarray:
    if hasattr(array, "detach"):
        # A tensor of torch, maybe on a GPU. NumPy has no bfloat16.
        if "bfloat16" in str(array.dtype):
            array = array.float()
        return array.numpy(force=True)
    if hasattr(array, "numpy"):
        array = array.numpy()
    array = np.asarray(array)
    # NumPy takes the small floats of ml_dtypes for raw bytes.
    if array.dtype.kind == "V":
        array = array.astype("float32")
    return array


def _length(source: Any) -> int | None:
    """How much it gives, or `None` if it does not tell or never ends."""
    try:
        if isinstance(source, keras.utils.PyDataset):
            return source.num_batches
        length = len(source)
    except (TypeError, AttributeError, NotImplementedError):
        return None
    # Grain's way to say that it repeats without end.
    return None if length == sys.maxsize else length
