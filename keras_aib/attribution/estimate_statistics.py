"""Statistics of a model's features, in one pass over images."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aib.attribution.explained_model import ExplainedModel
from keras_aib.attribution.feature_statistics import FeatureStatistics
from keras_aib.attribution.fill_up import fill_up
from keras_aib.attribution.interception import recorded
from keras_aib.attribution.layer_tree import find_layer
from keras_aib.checks import check_images
from keras_aib.checks import check_positive_integer
from keras_aib.compilation import compile_function


def estimate_statistics(
    model: keras.Model,
    layers: Sequence[str],
    images: Any,
    batch_size: int = 32,
    verbose: int = 1,
) -> FeatureStatistics:
    """Mean and standard deviation of features, in one pass over images.

    IBA's authors use 10,000 images. They should be what the model is meant
    for: what the noise looks like follows from them.

    Args:
        model: A functional or sequential model of images.
        layers: Paths of layers, as `list_layers` shows them.
        images: An array `[N, ...]`, or anything that gives batches: a dataset
            of `keras_aib.data`, a `keras.utils.PyDataset`, a `tf.data.Dataset`,
            a torch `DataLoader`, a generator. Of a batch with labels the
            first element is taken.
        batch_size: Images at once, for arrays.
        verbose: Whether to show a progress bar.

    Returns:
        A `FeatureStatistics`, which tells how many images it saw.

    Raises:
        TypeError: If `images` is neither an array nor gives batches.
        ValueError: If a layer does not exist, or images or features are not
            finite or of a wrong shape, or there are none.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib import attribution

    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(images)
    model = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))

    pixels = np.random.uniform(size=(20, 8, 8, 3))
    statistics = attribution.estimate_statistics(model, ["conv"], pixels)
    print(statistics.count, statistics.stddev("conv").shape)
    ```
    """
    check_positive_integer("batch_size", batch_size)
    if isinstance(layers, str):
        layers = [layers]
    explained = ExplainedModel(model)
    places = [find_layer(model, name) for name in layers]

    def record(batch: Any) -> list[Any]:
        with recorded(places) as features:
            explained(batch)
        return [features[place.path] for place in places]

    run = compile_function(record, model)
    statistics = FeatureStatistics()
    batches, total = _batches(images, batch_size)
    progress = keras.utils.Progbar(total, verbose=verbose, unit_name="batch")
    largest = 0
    for batch in batches:
        check_images(
            batch, explained.input_shape, 1 if explained.channels_first else -1
        )
        # Compiled for one size: a smaller batch is filled up.
        count, largest = len(batch), max(largest, len(batch))
        filled = fill_up(batch, largest)
        features = run(ops.convert_to_tensor(filled, explained.input_dtype))
        statistics.update(
            {
                place.path: ops.convert_to_numpy(
                    ops.cast(values[:count], "float32")
                )
                for place, values in zip(places, features, strict=True)
            }
        )
        progress.add(1)
    if not statistics.count:
        raise ValueError(
            "`images` gave no batch. Pass an array [N, ...], or a dataset "
            "that is not empty or used up."
        )
    return statistics


def _batches(
    images: Any, batch_size: int
) -> tuple[Iterator[np.ndarray], int | None]:
    """Batches as arrays, and how many, if that is known."""
    if hasattr(images, "shape"):
        array = np.asarray(ops.convert_to_numpy(images))
        starts = range(0, len(array), batch_size)
        return (array[i : i + batch_size] for i in starts), len(starts)
    if isinstance(images, keras.utils.PyDataset):
        numbers = range(images.num_batches or 0)
        return (_pixels(images[i]) for i in numbers), len(numbers)
    if not hasattr(images, "__iter__"):
        raise TypeError(
            "`images` must be an array, or something that gives batches of "
            f"images. Received: {images!r} of type {type(images).__name__}."
        )
    total = len(images) if hasattr(images, "__len__") else None
    return (_pixels(batch) for batch in images), total


def _pixels(batch: Any) -> np.ndarray:
    if isinstance(batch, (tuple, list)):
        batch = batch[0]
    return np.asarray(ops.convert_to_numpy(batch))
