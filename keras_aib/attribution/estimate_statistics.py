"""Statistics of a model's features, in one pass over images."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_aib.attribution.feature_statistics import FeatureStatistics
from keras_aib.attribution.fingerprint import fingerprint_of
from keras_aib.graph.explained_model import ExplainedModel
from keras_aib.graph.interception import recorded
from keras_aib.graph.layer_tree import find_layer
from keras_aib.graph.traced_layers import trace_layers
from keras_aib.utils.checks import check_images
from keras_aib.utils.checks import check_positive_integer
from keras_aib.utils.compilation import compile_function
from keras_aib.utils.image_batches import ImageBatches
from keras_aib.utils.image_batches import fill_up

# As many as IBA's authors use.
MOST_OF_UNKNOWN_LENGTH = 10_000


def estimate_statistics(
    model: keras.Model,
    layers: Sequence[str],
    images: Any,
    batch_size: int = 32,
    verbose: int = 1,
    num_images: int | None = None,
) -> FeatureStatistics:
    """Mean and standard deviation of features, in one pass over images.

    IBA's authors use 10,000 images. They should be what the model is meant
    for: what the noise looks like follows from them.

    Args:
        model: A functional or sequential model of images.
        layers: Paths of layers, as `list_layers` shows them.
        images: An array `[N, ...]`, a list of images, `(images, labels)`, or
            anything that gives images or batches of them: a dataset of
            `keras_aib.data`, a `keras.utils.PyDataset`, a `tf.data.Dataset`,
            a torch `Dataset` or `DataLoader`, a generator. Labels are left
            out: images come first in a tuple, and in a dictionary as
            `"image"`, `"images"` or the only entry of that rank.
        batch_size: Images at once; a model of a fixed batch size takes that.
        verbose: Whether to show a progress bar: 0, 1, or 2 for one line.
        num_images: Most images to take, the first ones. `None` takes them
            all, but of a generator or dataset that does not tell its length,
            and so may have no end, 10,000.

    Returns:
        A `FeatureStatistics`, which tells how many images it saw.

    Raises:
        TypeError: If `images` gives no images.
        ValueError: If a layer does not exist, or images or features are not
            finite or of a wrong shape or several sizes, or there are none.

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
    if num_images is not None:
        check_positive_integer("num_images", num_images)
    if isinstance(layers, str):
        layers = [layers]
    explained = ExplainedModel(model)
    model = explained.model
    places = [find_layer(model, name) for name in layers]

    def record(batch: Any) -> list[Any]:
        with recorded(places) as features:
            explained(batch)
        return [features[place.path] for place in places]

    run = compile_function(record, model)
    statistics = FeatureStatistics()
    fixed, *shape = explained.input_shape
    batch_size = fixed or batch_size
    source = ImageBatches(images, batch_size, rank=1 + len(shape))
    limit = num_images
    if limit is None and not source.ends:
        limit = MOST_OF_UNKNOWN_LENGTH
    progress = keras.utils.Progbar(None, verbose=verbose, unit_name="image")
    # Compiled for one size: a smaller batch is filled up.
    size = fixed or 0
    for batch in source.first(limit):
        check_images(
            batch, (None, *shape), 1 if explained.channels_first else -1
        )
        size = max(size, len(batch))
        filled = fill_up(batch, size)
        features = run(ops.convert_to_tensor(filled, explained.input_dtype))
        statistics.update_pixels(batch)
        statistics.update(
            {
                place.path: ops.convert_to_numpy(
                    ops.cast(values[: len(batch)], "float32")
                )
                for place, values in zip(places, features, strict=True)
            }
        )
        known = [n for n in (source.num_images, num_images) if n is not None]
        progress.target = min(known, default=None)
        progress.update(statistics.count, finalize=False)
    traced = trace_layers(explained, batch.shape[1:])
    statistics.fingerprints = {
        place.path: fingerprint_of(place, traced) for place in places
    }
    progress.target = statistics.count
    progress.update(statistics.count, finalize=True)
    if num_images is None and statistics.count == limit:
        warnings.warn(
            f"Only the first {limit} images were read: `images` does not tell "
            "its length, and may have no end. For another number, pass "
            "`num_images`.",
            stacklevel=2,
        )
    return statistics
