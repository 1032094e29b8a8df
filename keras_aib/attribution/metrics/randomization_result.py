"""What randomising a model does to its maps."""

from dataclasses import dataclass
from dataclasses import field

import numpy as np

from keras_aib.attribution.metrics.curve_result import CurveResult


@dataclass(frozen=True, eq=False)
class RandomizationResult(CurveResult):
    """How like the first maps those of a model are that loses its weights.

    Attributes:
        metric: Name of the function that measured.
        values: Spearman's rank correlation with all layers randomised,
            `[images]`.
        options: What the metric was called with, defaults filled in.
        shares: Share of the layers randomised at each point, `[points]`.
        curves: Spearman's rank correlation, `[images, points]`; the first
            point is the model as it was given.
        similarities: Structural similarity (SSIM), likewise.
        layers: Paths of the layers, in the order they were randomised.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution.metrics import RandomizationResult

    RandomizationResult(
        metric="mprt",
        values=np.array([0.1]),
        options={"seed": 0},
        shares=np.array([0.0, 1.0]),
        curves=np.array([[1.0, 0.1]]),
        similarities=np.array([[1.0, 0.2]]),
        layers=("logits",),
    )
    ```
    """

    similarities: np.ndarray = field(repr=False)
    layers: tuple[str, ...]
