"""One figure an image."""

from dataclasses import dataclass
from dataclasses import field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class MetricResult:
    """Figures of a metric, and the options they were measured with.

    Attributes:
        metric: Name of the function that measured.
        values: One figure an image, `[images]`.
        options: What the metric was called with, defaults filled in.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution.metrics import MetricResult

    result = MetricResult("deletion", np.array([0.1, 0.3]), {"steps": 28})
    print(result)  # deletion: 0.2000, mean of 2 images
    ```
    """

    metric: str
    values: np.ndarray = field(repr=False)
    options: dict[str, Any] = field(repr=False)

    @property
    def mean(self) -> float:
        """Mean over the images."""
        return float(self.values.mean())

    def __str__(self) -> str:
        images = f"{len(self.values)} image" + "s" * (len(self.values) != 1)
        return f"{self.metric}: {self.mean:.4f}, mean of {images}"
