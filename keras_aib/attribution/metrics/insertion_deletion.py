"""Probability of the target while pixels come and go."""

from typing import Any

import keras

from keras_aib.attribution.metrics.curve_result import CurveResult
from keras_aib.attribution.metrics.judged_maps import JudgedMaps
from keras_aib.attribution.metrics.ranking import pixel_ranks
from keras_aib.attribution.metrics.ranking import step_counts
from keras_aib.attribution.metrics.replacement import area_under
from keras_aib.attribution.metrics.replacement import replacement_curves
from keras_aib.utils.checks import check_positive_integer


def insertion(
    model: keras.Model,
    images: Any,
    maps: Any,
    targets: Any,
    steps: int = 28,
    substrate: Any = "blur",
    batch_size: int = 32,
    data_format: str | None = None,
    output_kind: str | None = None,
) -> CurveResult:
    """Area under the probability while the highest pixels are put in.

    A good map brings the probability up with few pixels: higher is better.
    The start is blurred, because pixels on black make edges that no
    photograph has.

    Paper: Petsiuk et al., "RISE", BMVC 2018.

    Args:
        model: Classifier from pixels to logits or probabilities.
        images: Images as the model takes them, `[images, height, width,
            channels]`.
        maps: `[images, height, width]`, of the size of the images. Of equal
            pixels the one that is read first, row by row, goes first.
        targets: One class an image; of a model of labels one label, of a model
            with a single output 0 or 1.
        steps: Steps of equal pixel counts, up to rounding.
        substrate: Where to start, in the units of the images: `"blur"`
            (Gaussian, 51 x 51, sigma 50), `"zeros"`, an array (one value, one a
            channel, one image, or one image each), or a callable from images
            to such images, which may meet an image more than once.
        batch_size: Images the model sees at once.
        data_format: Of `images`; `keras.config.image_data_format()` by
            default.
        output_kind: What the model gives, where it does not tell itself: one
            of `keras_aib.models.output_head.OUTPUT_KINDS`.

    Returns:
        `CurveResult` with `steps + 1` points; `values` is the trapezoid
        divided by `steps`, 0 to 1.

    Raises:
        TypeError: If `model` is no Keras model, or images are no numbers.
        ValueError: For shapes that do not belong together, values that are
            not finite, targets out of range or an unknown substrate.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib.attribution import metrics

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    images = np.random.uniform(0, 255, (1, 8, 8, 3))
    maps = np.random.uniform(size=(1, 8, 8))
    result = metrics.insertion(model, images, maps, targets=[1], steps=4)
    result.mean, result.curves
    ```
    """
    judged = JudgedMaps(
        model, images, maps, targets, batch_size, data_format, output_kind
    )
    return _replace("insertion", judged, steps, substrate)


def deletion(
    model: keras.Model,
    images: Any,
    maps: Any,
    targets: Any,
    steps: int = 28,
    substrate: Any = "zeros",
    batch_size: int = 32,
    data_format: str | None = None,
    output_kind: str | None = None,
) -> CurveResult:
    """Area under the probability while the highest pixels are taken out.

    A good map brings the probability down with few pixels: lower is better.

    Paper: Petsiuk et al., "RISE", BMVC 2018.

    Args:
        model: As in `insertion`.
        images: As in `insertion`.
        maps: As in `insertion`.
        targets: As in `insertion`.
        steps: As in `insertion`.
        substrate: What stands where pixels were, as in `insertion`.
        batch_size: As in `insertion`.
        data_format: As in `insertion`.
        output_kind: As in `insertion`.

    Returns:
        As in `insertion`.

    Raises:
        TypeError: As in `insertion`.
        ValueError: As in `insertion`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib.attribution import metrics

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    images = np.random.uniform(0, 255, (1, 8, 8, 3))
    maps = np.random.uniform(size=(1, 8, 8))
    print(metrics.deletion(model, images, maps, targets=[1], steps=4))
    ```
    """
    judged = JudgedMaps(
        model, images, maps, targets, batch_size, data_format, output_kind
    )
    return _replace("deletion", judged, steps, substrate)


def _replace(
    metric: str, judged: JudgedMaps, steps: int, substrate: Any
) -> CurveResult:
    check_positive_integer("steps", steps)
    counts = step_counts(judged.num_pixels, steps)
    curves = replacement_curves(
        judged,
        pixel_ranks(judged.maps),
        counts,
        substrate,
        insert=metric == "insertion",
    )
    return CurveResult(
        metric,
        area_under(curves),
        {"steps": steps, "substrate": substrate, **judged.options},
        counts / judged.num_pixels,
        curves,
    )
