"""What degradation measures."""

from dataclasses import dataclass
from dataclasses import field

import numpy as np

from keras_aib.attribution.metrics.curve_result import CurveResult


@dataclass(frozen=True, eq=False)
class DegradationResult(CurveResult):
    """Figures of degradation: two curves an image, and the area between them.

    Attributes:
        metric: Name of the function that measured.
        values: Area between the curves, `[images]`.
        options: What the metric was called with, defaults filled in.
        shares: Share of the tiles replaced at each point, `[points]`.
        curves: `least_relevant_first - most_relevant_first`.
        most_relevant_first: Probability of the target while tiles are
            replaced from the highest down, `[images, points]`.
        least_relevant_first: The same from the lowest up.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution.metrics import DegradationResult

    high, low = np.array([[0.9, 0.8, 0.1]]), np.array([[0.9, 0.2, 0.1]])
    shares = np.array([0.0, 0.5, 1.0])
    DegradationResult(
        "degradation", np.array([0.3]), {}, shares, high - low, low, high
    )
    ```
    """

    most_relevant_first: np.ndarray = field(repr=False)
    least_relevant_first: np.ndarray = field(repr=False)
