"""One curve an image."""

from dataclasses import dataclass
from dataclasses import field

import numpy as np

from keras_aib.attribution.metrics.metric_result import MetricResult


@dataclass(frozen=True, eq=False)
class CurveResult(MetricResult):
    """Figures of a metric that follows a model while its input changes.

    Attributes:
        metric: Name of the function that measured.
        values: One figure an image, `[images]`.
        options: What the metric was called with, defaults filled in.
        shares: How much was changed at each point of a curve, 0 to 1,
            `[points]`.
        curves: `[images, points]`.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution.metrics import CurveResult

    curves = np.array([[0.9, 0.5, 0.1]])
    shares = np.array([0.0, 0.5, 1.0])
    result = CurveResult("deletion", np.array([0.5]), {}, shares, curves)
    result.mean_curve
    ```
    """

    shares: np.ndarray = field(repr=False)
    curves: np.ndarray = field(repr=False)

    @property
    def mean_curve(self) -> np.ndarray:
        """Mean over the images, `[points]`."""
        return self.curves.mean(axis=0)
