"""Images that are already in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_aib.data.augmentation import Augmentation
from keras_aib.data.decoding import require_pillow
from keras_aib.data.decoding import resize_array
from keras_aib.data.image_dataset import ImageDataset
from keras_aib.utils.checks import ImageSize
from keras_aib.utils.checks import check_finite
from keras_aib.utils.checks import check_image_size


def from_arrays(
    images: Any,
    labels: Any,
    image_size: ImageSize | None = None,
    batch_size: int = 32,
    shuffle: bool = True,
    augmentation: Augmentation | None = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    workers: int = 2,
) -> ImageDataset:
    """Serve arrays of images and labels in batches.

    What cannot be right (scaled pixels, one-hot labels, NaN) is refused here,
    where the message can say which image, instead of training badly.

    Args:
        images: Pixels 0..255, integer or float, [N, H, W, 3]; grey images
            [N, H, W] or [N, H, W, 1] are repeated to three channels.
        labels: Integer classes 0..num_classes-1, [N] or [N, 1].
        image_size: (height, width) in pixels to resize to, one integer for a
            square, or `None` to keep the size. The aspect ratio is not kept.
        batch_size: Images per batch.
        shuffle: Whether to draw a new order for each pass.
        augmentation: Keras layer or list of layers for training.
        class_names: One name per class. Without them there are as many
            classes as the largest label says, named by their number.
        seed: Non-negative integer.
        workers: Threads that resize the images of a batch.

    Returns:
        An `ImageDataset`.

    Raises:
        ImportError: If `image_size` is given and Pillow is missing.
        TypeError: If `images` or `labels` are not numbers of a fitting kind.
        ValueError: If shapes, pixel values or labels do not fit.

    Example:

    ```python
    import numpy as np
    from keras_aib import data

    images = np.random.randint(0, 256, (10, 8, 8, 3), "uint8")
    labels = np.arange(10) % 2
    train = data.from_arrays(images, labels, class_names=["even", "odd"])
    ```
    """
    images = _check_images(images)
    labels = _check_labels(labels)
    if len(images) != len(labels):
        raise ValueError(
            "`images` and `labels` must have the same length. Received: "
            f"{len(images)} images and {len(labels)} labels. If this is a "
            "single image, add the batch axis with `images[None]`."
        )
    names = _check_class_names(class_names, labels)
    if image_size is not None:
        require_pillow()
        image_size = check_image_size(image_size)
    return ImageDataset(
        _ArraySource(images, labels, names, image_size),
        batch_size=batch_size,
        shuffle=shuffle,
        augmentation=augmentation,
        seed=seed,
        workers=workers,
    )


class _ArraySource:
    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        class_names: list[str],
        image_size: tuple[int, int] | None,
    ):
        self.class_names = class_names
        self.labels = labels
        self._images = images
        self._image_size = image_size

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        return f"images[{index}]"

    def read(self, index: int) -> tuple[np.ndarray, int]:
        image = self._images[index]
        if image.dtype.kind != "f":
            image = image.astype("uint8", copy=False)
        image = np.broadcast_to(image, (*image.shape[:2], 3))
        if self._image_size is not None:
            image = resize_array(image, self._image_size)
        return image, int(self.labels[index])


def _check_images(images: Any) -> np.ndarray:
    try:
        images = np.asarray(images)
    except ValueError as error:
        raise ValueError(
            "`images` must be one array [N, H, W, 3]. Received images of "
            f"different shapes ({error}). Resize them first, or read them from "
            "files with `from_folder`."
        ) from error
    if images.dtype.kind not in "uif":
        raise TypeError(
            "`images` must hold integer or float pixels 0..255. Received: "
            f"dtype {images.dtype}. Convert them, e.g. "
            "`images.astype('uint8')`."
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            "`images` must be [N, H, W, 3], or grey [N, H, W] or [N, H, W, 1]. "
            f"Received: shape {images.shape}. Drop an alpha channel with "
            "`images[..., :3]`; move channels to the end with "
            "`np.moveaxis(images, 1, -1)`."
        )
    if 0 in images.shape:
        raise ValueError(
            f"`images` has no pixels. Received: shape {images.shape}. Check "
            "how it was selected."
        )
    _check_pixels(images)
    return images


def _check_pixels(images: np.ndarray) -> None:
    check_finite(images)
    least, most = images.min(), images.max()
    if least < 0 or most > 255:
        raise ValueError(
            "`images` must hold pixels 0..255. Received: values from "
            f"{least} to {most}. Undo the normalisation, or limit them with "
            "`np.clip(images, 0, 255)`."
        )
    if images.dtype.kind == "f" and 0 < most <= 1:
        raise ValueError(
            "`images` must hold pixels 0..255. Received: floats from "
            f"{least} to {most}, which look scaled to 0..1. Multiply them by "
            "255."
        )


def _check_labels(labels: Any) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        raise ValueError(
            "`labels` must be integer classes [N]. Received: shape "
            f"{labels.shape}, which looks one-hot. Convert them with "
            "`np.argmax(labels, axis=-1)`."
        )
    if labels.ndim != 1:
        raise ValueError(
            "`labels` must be integer classes [N], one per image. Received: "
            f"shape {labels.shape}. Flatten them with `np.ravel(labels)`."
        )
    if labels.dtype.kind not in "ui":
        raise TypeError(
            "`labels` must be integer classes. Received: dtype "
            f"{labels.dtype}. Convert whole numbers with "
            "`labels.astype('int32')`, and names with `names, labels = "
            "np.unique(labels, return_inverse=True)`."
        )
    if labels.size and labels.min() < 0:
        raise ValueError(
            "`labels` must be 0 or more. Received: "
            f"{labels.min()} at index {labels.argmin()}. Leave out images "
            "without a label."
        )
    return labels.astype("int32")


def _check_class_names(
    class_names: Sequence[str] | None, labels: np.ndarray
) -> list[str]:
    largest = int(labels.max())
    if class_names is None:
        names = [str(index) for index in range(largest + 1)]
    else:
        names = list(class_names)
    if len(names) < 2:
        raise ValueError(
            f"A classifier needs at least two classes. Received: {names}. "
            "Pass `class_names` if these images are all of one class out of "
            "several."
        )
    if len(set(names)) != len(names):
        raise ValueError(
            "`class_names` must differ from each other. Received: "
            f"class_names={names}"
        )
    if largest >= len(names):
        raise ValueError(
            f"`labels` must be below {len(names)}, the count of class_names "
            f"{names}. Received: {largest} at index {labels.argmax()}. Labels "
            "count from 0: subtract 1 if yours count from 1."
        )
    return names
