"""Do the maps change when the model loses what it learned?"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_aib.attribution.metrics.correlation import correlate_rows
from keras_aib.attribution.metrics.randomization_result import (
    RandomizationResult,
)
from keras_aib.graph.layer_tree import find_layer
from keras_aib.graph.layer_tree import transformer_blocks
from keras_aib.graph.layer_tree import walk_layers
from keras_aib.utils.checks import check_finite
from keras_aib.utils.requirements import require

SMALLEST_MAP = 7


def mprt(
    model: keras.Model,
    explain: Callable[[keras.Model, Any], Any],
    images: Any,
    layers: Sequence[str] | None = None,
    seed: int = 0,
) -> RandomizationResult:
    """Model parameter randomisation test, from the output down.

    A map that stays as it is while the model forgets shows the image, not the
    model. Layer after layer loses its weights, and the maps are made anew:
    lower is better. Each weight is shuffled within itself, which keeps its
    scale, so that no activation overflows, and a variance positive; a weight
    whose values are all equal stays. Afterwards the model is as before.

    Paper: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018,
    cascading randomisation.

    Args:
        model: The explained model.
        explain: Called as `explain(model, images)`, gives maps `[images,
            height, width]`. Called once for the model as it is and once after
            every layer. It must make everything that depends on the weights
            in the call, the feature statistics too, and explain the same
            classes every time.
        images: Handed to `explain`.
        layers: Paths of the layers to randomise, in this order. By default
            every layer with weights from the output down, nested models
            opened and a transformer block taken as one.
        seed: Of the shuffling.

    Returns:
        `RandomizationResult`. Spearman's correlation is 0 where a map is
        flat; for SSIM each map is stretched to 0..1, in windows of 7 x 7.

    Raises:
        TypeError: If `model` is no Keras model, or a path no string.
        ValueError: If a layer does not exist or has no weights, or maps
            change their shape, are smaller than 7 x 7, or not finite.
        ImportError: If SciPy or scikit-image is missing.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib.attribution import metrics

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, name="logits"))

    def explain(model, images):
        kernel = keras.ops.convert_to_numpy(model.get_layer("logits").kernel)
        return images[..., 0] * kernel[:, 1].reshape(8, 8)

    images = np.random.uniform(0, 255, (2, 8, 8, 1))
    result = metrics.mprt(model, explain, images)
    result.layers, result.mean_curve
    ```
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model. Received: {type(model).__name__}."
        )
    chosen = _layers_to_randomize(model, layers)
    generator = np.random.default_rng(seed)
    first = _checked_maps(explain(model, images), None)
    compared = [_compare(first, first)]
    before: dict[int, tuple[Any, np.ndarray]] = {}
    try:
        for layer in chosen.values():
            for weight in layer.weights:
                # A weight that two layers share is randomised once.
                if id(weight) not in before:
                    value = keras.ops.convert_to_numpy(weight)
                    before[id(weight)] = weight, np.array(value)
                    weight.assign(_shuffle(value, generator))
            maps = _checked_maps(explain(model, images), first.shape)
            compared.append(_compare(first, maps))
    finally:
        for weight, value in before.values():
            weight.assign(value)
    correlations, similarities = np.moveaxis(np.array(compared), 0, -1)
    return RandomizationResult(
        metric="mprt",
        values=correlations[:, -1],
        options={"layers": tuple(chosen), "seed": seed},
        shares=np.linspace(0, 1, len(chosen) + 1),
        curves=correlations,
        similarities=similarities,
        layers=tuple(chosen),
    )


def _layers_to_randomize(
    model: keras.Model, paths: Sequence[str] | None
) -> dict[str, keras.layers.Layer]:
    if isinstance(paths, str):
        raise TypeError(
            f"`layers` must be a list of paths. Received: {paths!r}. Write "
            f"`layers=[{paths!r}]`."
        )
    if paths is None:
        places = walk_layers(model)[::-1]
        found = {
            place.path: place.layer
            for place in places
            if place.layer.weights
            and not _is_opened(place.layer)
            and all(map(_is_opened, place.ancestors))
        }
    else:
        found = {path: find_layer(model, path).layer for path in paths}
    bare = [path for path, layer in found.items() if not layer.weights]
    if bare or not found:
        raise ValueError(
            "Only layers with weights can be randomised. Received: "
            f"{bare or 'no layers'}."
        )
    return found


def _is_opened(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.Model) or bool(transformer_blocks(layer))


def _shuffle(value: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.permutation(value.ravel()).reshape(value.shape)


def _checked_maps(maps: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    maps = np.asarray(keras.ops.convert_to_numpy(maps), "float64")
    if maps.ndim != 3 or min(maps.shape[1:]) < SMALLEST_MAP:
        raise ValueError(
            "`explain` must return maps [images, height, width] of "
            f"{SMALLEST_MAP} x {SMALLEST_MAP} pixels or more. Received: shape "
            f"{maps.shape}."
        )
    if shape is not None and maps.shape != shape:
        raise ValueError(
            f"`explain` must return maps of one shape. Received: {maps.shape} "
            f"after {shape}."
        )
    check_finite(maps, "maps")
    return maps


def _compare(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation and SSIM, `[2, images]`."""
    stats = require("scipy.stats", "MPRT", "attribution")
    compared = require("skimage.metrics", "MPRT", "attribution")
    ranks = [
        stats.rankdata(x.reshape(len(x), -1), axis=1) for x in (first, second)
    ]
    similarities = [
        compared.structural_similarity(_stretch(x), _stretch(y), data_range=1.0)
        for x, y in zip(first, second, strict=True)
    ]
    return np.stack([correlate_rows(*ranks), np.array(similarities)])


def _stretch(values: np.ndarray) -> np.ndarray:
    """A map on the scale from 0 to 1; a flat one becomes zeros."""
    lowest, span = values.min(), np.ptp(values)
    return (values - lowest) / (span if span > 0 else 1.0)
