"""Accuracy while pixels are taken out without leaving a hole."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_aib.attribution.metrics.curve_result import CurveResult
from keras_aib.attribution.metrics.imputation import impute
from keras_aib.attribution.metrics.judged_maps import JudgedMaps
from keras_aib.attribution.metrics.ranking import pixel_ranks

ORDERS = ("morf", "lerf")
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def road(
    model: keras.Model,
    images: Any,
    maps: Any,
    targets: Any,
    order: str = "morf",
    shares: Sequence[float] = SHARES,
    noise_stddev: float = 2.55,
    seed: int = 0,
    batch_size: int = 32,
    data_format: str | None = None,
    output_kind: str | None = None,
) -> CurveResult:
    """Remove and debias: accuracy while pixels are removed and filled in.

    A hole tells a model its shape, which is the map's; filled from their
    neighbours, pixels are gone without a trace. Every removed pixel becomes
    the mean of its eight neighbours, weighted 1/6 beside and 1/12 across, all
    solved at once, plus noise.

    Paper: Rong et al., "A Consistent and Efficient Evaluation Strategy for
    Attribution Methods", ICML 2022.

    Args:
        model: Classifier from pixels to logits or probabilities.
        images: Images as the model takes them, `[images, height, width,
            channels]`.
        maps: `[images, height, width]`, of the size of the images. Of equal
            pixels the one that is read first goes first, in either order.
        targets: One class an image, the true or the predicted one; of a model
            of labels one label, of a model with a single output 0 or 1.
        order: `"morf"` removes the most relevant first, a good map has a low
            accuracy; `"lerf"` the least relevant, a good map has a high one.
        shares: Shares of the pixels to remove, each between 0 and 1.
        noise_stddev: In the units of the images. The paper's 0.01 for pixels
            0..1 is 2.55 for pixels 0..255.
        seed: Of the noise.
        batch_size: Images the model sees at once.
        data_format: Of `images`; `keras.config.image_data_format()` by
            default.
        output_kind: What the model gives, where it does not tell itself: one
            of `keras_aib.models.output_head.OUTPUT_KINDS`.

    Returns:
        `CurveResult`; `curves` is 1 where the model still says the target and
        0 elsewhere, so that `mean_curve` is the accuracy at each share;
        `values` is the mean over the shares.

    Raises:
        TypeError: If `model` is no Keras model, or images are no numbers.
        ValueError: For shapes that do not belong together, values that are
            not finite, targets out of range or an unknown option.
        ImportError: If SciPy is missing.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib.attribution import metrics

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    images = np.random.uniform(0, 255, (1, 8, 8, 3))
    maps = np.random.uniform(size=(1, 8, 8))
    result = metrics.road(model, images, maps, targets=[1], shares=(0.2, 0.5))
    result.mean_curve
    ```
    """
    if order not in ORDERS:
        raise ValueError(
            f"`order` must be one of {ORDERS}. Received: {order!r}."
        )
    removed_shares = np.asarray(shares, "float64")
    if removed_shares.size == 0 or not np.all(
        (removed_shares > 0) & (removed_shares < 1)
    ):
        raise ValueError(
            "`shares` must lie between 0 and 1, ends left out: something must "
            f"stay to fill in from. Received: {shares}."
        )
    if not noise_stddev >= 0:
        raise ValueError(
            f"`noise_stddev` must be 0 or more. Received: {noise_stddev}."
        )
    judged = JudgedMaps(
        model, images, maps, targets, batch_size, data_format, output_kind
    )
    ranks = pixel_ranks(judged.maps, highest_first=order == "morf")
    counts = np.rint(removed_shares * judged.num_pixels).astype(int)
    counts = np.minimum(counts, judged.num_pixels - 1)
    curves = np.empty((len(judged), len(counts)))
    for rows, points in judged.batches(len(counts)):
        changed = [
            impute(
                judged.images[row],
                ranks[row] < counts[point],
                noise_stddev,
                np.random.default_rng([seed, row, point]),
            )
            for row, point in zip(rows, points, strict=True)
        ]
        curves[rows, points] = judged.says_targets(np.stack(changed), rows)
    return CurveResult(
        metric="road",
        values=curves.mean(axis=1),
        options={
            "order": order,
            "shares": tuple(shares),
            "noise_stddev": noise_stddev,
            "seed": seed,
            **judged.options,
        },
        shares=removed_shares,
        curves=curves,
    )
