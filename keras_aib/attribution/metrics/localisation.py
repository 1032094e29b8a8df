"""Does a map lie on the region that is known to matter?

Every function takes maps `[images, height, width]` and masks of the same
shape, true inside the region, and returns one figure an image.
"""

from typing import Any

import numpy as np

FAINT_HEAT = 0.1
LARGEST_THRESHOLD = 0.99


def mass_inside(maps: Any, masks: Any) -> np.ndarray:
    """Share of a map's sum that lies inside the region.

    A map that is the same everywhere gives the region's share of the area.

    Args:
        maps: Maps without negative values.
        masks: Regions.

    Returns:
        `[images]`, 0 to 1; 0 for a map of zeros.

    Raises:
        ValueError: If shapes differ, or maps are negative or not finite.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution import metrics

    masks = np.zeros((1, 4, 4), bool)
    masks[:, :2, :2] = True
    metrics.mass_inside(np.ones((1, 4, 4)), masks)  # [0.25]
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
    return np.divide(inside, total, out=np.zeros_like(inside), where=total > 0)


def pointing_game(maps: Any, masks: Any) -> np.ndarray:
    """Whether the highest point of a map lies inside the region.

    Where several points are equally high, the share of them inside counts, so
    that a flat map scores as a random point does.

    Args:
        maps: Maps.
        masks: Regions.

    Returns:
        `[images]`, 0 to 1.

    Raises:
        ValueError: If shapes differ, or maps are not finite.
    """
    maps, masks = _checked(maps, masks)
    highest = maps == maps.max(axis=(1, 2), keepdims=True)
    return np.sum(highest & masks, axis=(1, 2)) / highest.sum(axis=(1, 2))


def effective_heat_ratio(maps: Any, masks: Any) -> np.ndarray:
    """Heat inside the region against the size of the hot area.

    Every map is stretched to 0..1, and heat below 0.1 counts as none. For ten
    steps of a quantile of what is left the heat inside the region is divided
    by the size of the area above it; the trapezoid over the quantiles is the
    figure.

    Args:
        maps: Maps.
        masks: Regions.

    Returns:
        `[images]`, 0 to 1; 0 for a map that is the same everywhere.

    Raises:
        ValueError: If shapes differ, or maps are not finite.
    """
    maps, masks = _checked(maps, masks)
    return np.array(
        [
            _heat_ratio(heat, mask)
            for heat, mask in zip(maps, masks, strict=True)
        ]
    )


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
    if not np.isfinite(maps).all():
        raise ValueError("Maps hold NaN or infinity.")
    return maps, masks
