"""What a model makes of images, batch by batch."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_aib.utils.image_batches import ImageBatches
from keras_aib.utils.image_batches import fill_up


def map_batches(
    function: Callable[[np.ndarray], Any],
    images: Any,
    batch_size: int,
    input_shape: tuple[int | None, ...],
    check: Callable[[np.ndarray], None],
    axis: int = 0,
) -> Any:
    """Call `function` with all images, in batches that a model takes.

    Args:
        function: From a batch to an array, or several in a structure.
        images: What `ImageBatches` reads; it must end.
        batch_size: Images at once.
        input_shape: Of the model. If that has a fixed batch size, this is
            taken, and the last batch filled up.
        check: Called with `images`, so that its errors count from the first
            image of an array, and then with each batch.
        axis: Axis of the images in what `function` gives.

    Returns:
        What `function` gives, for all images.
    """
    check(images)
    fixed = input_shape[0]
    parts = []
    source = ImageBatches(images, fixed or batch_size, len(input_shape))
    for batch in source.first():
        check(batch)
        outputs = function(fill_up(batch, fixed or len(batch)))
        parts.append(_cut(outputs, len(batch), axis))
    return keras.tree.map_structure(lambda *x: np.concatenate(x, axis), *parts)


def _cut(outputs: Any, count: int, axis: int) -> Any:
    part = (slice(None),) * axis + (slice(count),)
    return keras.tree.map_structure(lambda x: x[part], outputs)
