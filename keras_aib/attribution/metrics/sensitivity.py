"""Does a map's sum say how much a logit falls?"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_aib.attribution.metrics.correlation import correlate_rows
from keras_aib.attribution.metrics.curve_result import CurveResult
from keras_aib.attribution.metrics.judged_maps import JudgedMaps
from keras_aib.attribution.metrics.substrates import make_substrate

NUM_SIZES = 10
LARGEST_SHARE = 0.8
FEWEST_SUBSETS = 3


def sensitivity_n(
    model: keras.Model,
    images: Any,
    maps: Any,
    targets: Any,
    num_subsets: int = 100,
    sizes: Sequence[int] | None = None,
    baseline: Any = 0.0,
    seed: int = 0,
    batch_size: int = 32,
    data_format: str | None = None,
    output_kind: str | None = None,
) -> CurveResult:
    """Correlation of a subset's sum in the map with the fall of the logit.

    Random subsets of n pixels are masked. Where a map says how much a pixel
    gives the decision, the logit falls by the sum over the subset: 1 is best.

    Paper: Ancona et al., "Towards Better Understanding of Gradient-based
    Attribution Methods", ICLR 2018.

    Args:
        model: Classifier from pixels to logits. Outputs are taken as they
            are: of a model that ends in a softmax, probabilities.
        images: Images as the model takes them, `[images, height, width,
            channels]`.
        maps: `[images, height, width]`, of the size of the images.
        targets: One class an image; of a model of labels one label, of a model
            with a single output 0 or 1.
        num_subsets: Subsets of each size, 3 or more; another draw for every
            image.
        sizes: Pixels in a subset; by default up to 10 sizes from 1 to 80 % of
            the pixels, equally spaced in their logarithm.
        baseline: What a masked pixel becomes, in the units of the images: one
            value, one a channel, or whatever `metrics.insertion` takes as
            substrate. The paper masks with 0 after normalisation; for a model
            that does `(x - 127) / 128` itself that is 127.
        seed: Of the subsets.
        batch_size: Images the model sees at once.
        data_format: Of `images`; `keras.config.image_data_format()` by
            default.
        output_kind: What the model gives, where it does not tell itself: one
            of `keras_aib.models.output_head.OUTPUT_KINDS`.

    Returns:
        `CurveResult`; `curves` is the correlation at every size, -1 to 1, and
        0 where the map's sum or the logit does not vary; `values` is the mean
        over the sizes, `shares` the sizes as shares of the pixels.

    Raises:
        TypeError: If `model` is no Keras model, or images are no numbers.
        ValueError: For shapes that do not belong together, values that are
            not finite, targets out of range or sizes that do not fit.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib.attribution import metrics

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    images = np.random.uniform(0, 255, (1, 8, 8, 3))
    maps = np.random.uniform(size=(1, 8, 8))
    result = metrics.sensitivity_n(model, images, maps, [1], num_subsets=5)
    result.options["sizes"], result.curves
    ```
    """
    if not isinstance(num_subsets, int) or num_subsets < FEWEST_SUBSETS:
        raise ValueError(
            f"`num_subsets` must be an integer of {FEWEST_SUBSETS} or more: "
            "two points always correlate fully. Received: "
            f"num_subsets={num_subsets!r}."
        )
    judged = JudgedMaps(
        model, images, maps, targets, batch_size, data_format, output_kind
    )
    counts = _checked_sizes(sizes, judged.num_pixels)
    substrate_of = make_substrate(baseline, judged)
    sums = np.empty((len(judged), len(counts) * num_subsets))
    scores = np.empty_like(sums)
    for rows, draws in judged.batches(sums.shape[1]):
        masked = np.stack(
            [
                _subset(
                    judged.maps[row],
                    counts[draw // num_subsets],
                    np.random.default_rng([seed, row, draw]),
                )
                for row, draw in zip(rows, draws, strict=True)
            ]
        )
        sums[rows, draws] = judged.maps[rows].sum(axis=(1, 2), where=masked)
        changed = np.where(
            masked[..., None], substrate_of(rows), judged.images[rows]
        )
        scores[rows, draws] = judged.target_outputs(changed, rows)
    by_size = len(judged), len(counts), num_subsets
    curves = correlate_rows(sums.reshape(by_size), -scores.reshape(by_size))
    return CurveResult(
        metric="sensitivity_n",
        values=curves.mean(axis=1),
        options={
            "num_subsets": num_subsets,
            "sizes": tuple(counts.tolist()),
            "baseline": baseline,
            "seed": seed,
            **judged.options,
        },
        shares=counts / judged.num_pixels,
        curves=curves,
    )


def _checked_sizes(sizes: Sequence[int] | None, num_pixels: int) -> np.ndarray:
    if sizes is None:
        largest = max(LARGEST_SHARE * num_pixels, 1)
        return np.unique(np.rint(np.geomspace(1, largest, NUM_SIZES))).astype(
            int
        )
    counts = np.asarray(sizes)
    if (
        counts.ndim != 1
        or counts.size == 0
        or counts.dtype.kind not in "iu"
        or counts.min() < 1
        or counts.max() >= num_pixels
    ):
        raise ValueError(
            f"`sizes` must be integers from 1 to {num_pixels - 1}, fewer than "
            f"the pixels of an image. Received: {sizes}."
        )
    return counts


def _subset(
    values: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    mask = np.zeros(values.size, bool)
    mask[generator.choice(values.size, size, replace=False, shuffle=False)] = 1
    return mask.reshape(values.shape)
