"""Does a map lie on the region that is known to matter?

Every function takes maps `[images, height, width]` and masks of the same
shape, true inside the region, and gives one figure an image.
"""

from typing import Any

import numpy as np

from keras_aib.attribution.metrics.metric_result import MetricResult
from keras_aib.utils.checks import check_finite

FAINT_HEAT = 0.1
LARGEST_THRESHOLD = 0.99


def mass_inside(maps: Any, masks: Any) -> MetricResult:
    """Share of a map's sum that lies inside the region.

    A map that is the same everywhere gives the region's share of the area.

    Args:
        maps: Maps without negative values.
        masks: Regions.

    Returns:
        `MetricResult`, 0 to 1; 0 for a map of zeros.

    Raises:
        ValueError: If shapes differ, a region is empty, or maps are negative or
            not finite.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution import metrics

    masks = np.zeros((1, 4, 4), bool)
    masks[:, :2, :2] = True
    metrics.mass_inside(np.ones((1, 4, 4)), masks).values  # [0.25]
    ```
    """
    maps, masks = _checked(maps, masks)
    if maps.min() < 0:
        raise ValueError(
            "A share needs maps without negative values. Received: a minimum "
            f"of {maps.min():.4g}. Clip them, or subtract the minimum."
        )
    inside = np.sum(maps * masks, axis=(1, 2))
    total = np.sum(maps, axis=(1, 2))
    share = np.divide(inside, total, out=np.zeros_like(inside), where=total > 0)
    return MetricResult("mass_inside", share, {})


def top_share(maps: Any, masks: Any) -> MetricResult:
    """Share of the n highest points that lie inside the region of n points.

    A map that ranks the whole region above everything else gives 1, however
    it spreads its heat. Points as high as the lowest of the n count with the
    share of them inside, so that a flat map scores as a random one does.

    Paper: Schulz et al., "Restricting the Flow", ICLR 2020.

    Args:
        maps: Maps.
        masks: Regions.

    Returns:
        `MetricResult`, 0 to 1.

    Raises:
        ValueError: If shapes differ, a region is empty, or maps are not
            finite.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution import metrics

    masks = np.zeros((1, 4, 4), bool)
    masks[:, :2, :2] = True
    maps = np.arange(16.0).reshape(1, 4, 4)
    metrics.top_share(maps, masks).values  # [0.0]
    ```
    """
    maps, masks = _checked(maps, masks)
    sizes = masks.sum(axis=(1, 2))
    descending = -np.sort(-maps.reshape(len(maps), -1), axis=1)
    lowest = np.take_along_axis(descending, sizes[:, None] - 1, axis=1)
    above = maps > lowest[..., None]
    level = maps == lowest[..., None]
    inside, tied, tied_inside = (
        points.sum(axis=(1, 2))
        for points in (above & masks, level, level & masks)
    )
    places_left = sizes - above.sum(axis=(1, 2))
    share = (inside + places_left * tied_inside / tied) / sizes
    return MetricResult("top_share", share, {})


def pointing_game(maps: Any, masks: Any) -> MetricResult:
    """Whether the highest point of a map lies inside the region.

    Where several points are equally high, the share of them inside counts, so
    that a flat map scores as a random point does.

    Args:
        maps: Maps.
        masks: Regions.

    Returns:
        `MetricResult`, 0 to 1.

    Raises:
        ValueError: If shapes differ, a region is empty, or maps are not
            finite.
    """
    maps, masks = _checked(maps, masks)
    highest = maps == maps.max(axis=(1, 2), keepdims=True)
    share = np.sum(highest & masks, axis=(1, 2)) / highest.sum(axis=(1, 2))
    return MetricResult("pointing_game", share, {})


def effective_heat_ratio(maps: Any, masks: Any) -> MetricResult:
    """Heat inside the region against the size of the hot area.

    Every map is stretched to 0..1, and heat below 0.1 counts as none. For ten
    steps of a quantile of what is left the heat inside the region is divided
    by the size of the area above it; the trapezoid over the quantiles is the
    figure.

    Args:
        maps: Maps.
        masks: Regions.

    Returns:
        `MetricResult`, 0 to 1; 0 for a map that is the same everywhere.

    Raises:
        ValueError: If shapes differ, a region is empty, or maps are not
            finite.
    """
    maps, masks = _checked(maps, masks)
    ratios = np.array([*map(_heat_ratio, maps, masks)])
    return MetricResult("effective_heat_ratio", ratios, {})


def _heat_ratio(heat: np.ndarray, mask: np.ndarray) -> float:
    span = heat.max() - heat.min()
    if span == 0:
        return 0.0
    heat = (heat - heat.min()) / span
    heat = np.where(heat < FAINT_HEAT, 0.0, heat)
    quantiles = np.linspace(0, 1, 11)
    ratios = []
    for quantile in quantiles:
        threshold = min(
            np.quantile(heat[heat >= FAINT_HEAT], quantile), LARGEST_THRESHOLD
        )
        hot = heat >= threshold
        ratios.append(np.sum(heat[hot & mask]) / np.sum(hot))
    return float(np.trapezoid(ratios, quantiles))


def _checked(maps: Any, masks: Any) -> tuple[np.ndarray, np.ndarray]:
    maps = np.asarray(maps, "float64")
    masks = np.asarray(masks, bool)
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise ValueError(
            "Expected maps and masks of the same shape [images, height, "
            f"width]. Received: shapes {maps.shape} and {masks.shape}."
        )
    check_finite(maps, "maps")
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if len(empty):
        raise ValueError(
            "Every mask needs a point inside its region. Received: empty "
            f"masks at index {empty[:10].tolist()}. Leave these images out."
        )
    return maps, masks
