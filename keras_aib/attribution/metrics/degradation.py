"""Probability of the target while tiles are replaced, from both ends."""

from typing import Any

import keras

from keras_aib.attribution.metrics.degradation_result import DegradationResult
from keras_aib.attribution.metrics.judged_maps import JudgedMaps
from keras_aib.attribution.metrics.ranking import step_counts
from keras_aib.attribution.metrics.ranking import tile_ranks
from keras_aib.attribution.metrics.replacement import area_under
from keras_aib.attribution.metrics.replacement import replacement_curves
from keras_aib.utils.checks import check_positive_integer


def degradation(
    model: keras.Model,
    images: Any,
    maps: Any,
    targets: Any,
    tile_size: int = 8,
    steps: int | None = None,
    substrate: Any = "zeros",
    batch_size: int = 32,
    data_format: str | None = None,
    output_kind: str | None = None,
) -> DegradationResult:
    """Area between replacing the lowest tiles first and the highest first.

    Taking the difference cancels what replacing anything at all does to the
    model: a flat or random map scores about 0. Higher is better.

    Paper: Schulz et al., "Restricting the Flow", ICLR 2020. It divides the
    area by the mean probability of the whole images, less that of fully
    replaced ones: `result.most_relevant_first[:, 0].mean()` less
    `[:, -1].mean()`. Its substrate is the mean colour of the training images.

    Args:
        model: Classifier from pixels to logits or probabilities.
        images: Images as the model takes them, `[images, height, width,
            channels]`.
        maps: `[images, height, width]`, of the size of the images. A tile
            counts with the mean of its map; of equal tiles the one that is
            read first goes first, in both directions.
        targets: One class an image; of a model of labels one label, of a model
            with a single output 0 or 1.
        tile_size: Side of a tile, in pixels. The paper has 8 and 14.
        steps: Steps of equal tile counts; `None` replaces tile by tile, as
            the paper does: 784 steps for 224 x 224 pixels and tiles of 8.
        substrate: What stands where tiles were, as in `metrics.insertion`.
        batch_size: Images the model sees at once.
        data_format: Of `images`; `keras.config.image_data_format()` by
            default.
        output_kind: What the model gives, where it does not tell itself: one
            of `keras_aib.models.output_head.OUTPUT_KINDS`.

    Returns:
        `DegradationResult`; `values` lies between -1 and 1.

    Raises:
        TypeError: If `model` is no Keras model, or images are no numbers.
        ValueError: For shapes that do not belong together, values that are
            not finite, targets out of range, more steps than tiles or an
            unknown substrate.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib.attribution import metrics

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    images = np.random.uniform(0, 255, (1, 8, 8, 3))
    maps = np.random.uniform(size=(1, 8, 8))
    result = metrics.degradation(model, images, maps, [1], tile_size=4)
    result.most_relevant_first, result.least_relevant_first, result.mean
    ```
    """
    check_positive_integer("tile_size", tile_size)
    judged = JudgedMaps(
        model, images, maps, targets, batch_size, data_format, output_kind
    )
    first = tile_ranks(judged.maps, tile_size)
    num_tiles = int(first[0].max()) + 1
    steps = num_tiles if steps is None else steps
    check_positive_integer("steps", steps)
    counts = step_counts(num_tiles, steps)
    most, least = (
        replacement_curves(judged, ranks, counts, substrate)
        for ranks in (
            first,
            tile_ranks(judged.maps, tile_size, highest_first=False),
        )
    )
    return DegradationResult(
        metric="degradation",
        values=area_under(least - most),
        options={
            "tile_size": tile_size,
            "steps": steps,
            "substrate": substrate,
            **judged.options,
        },
        shares=counts / num_tiles,
        curves=least - most,
        most_relevant_first=most,
        least_relevant_first=least,
    )
