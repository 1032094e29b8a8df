"""How much of each feature passes, and what that costs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_aib.graph.feature_layout import FeatureLayout

# The smallest normal float32: blurred damping may round to nothing.
SMALLEST = 1.2e-38


@dataclass(frozen=True)
class Damping:
    """Shares of signal and of noise, per feature.

    Attributes:
        passed: Share of the feature that passes, lambda, 0 to 1.
        lost: The rest, 1 - lambda, not rounded to 0 where lambda is near 1.
        log_lost: Its logarithm, finite.
    """

    passed: Any
    lost: Any
    log_lost: Any

    def inject(self, features: Any, mean: Any, stddev: Any, noise: Any) -> Any:
        """Mix features with noise of the features' own distribution.

        Args:
            features: Output of the layer.
            mean: Its mean over images.
            stddev: Its standard deviation over images.
            noise: Standard normal draws.
        """
        return self.passed * features + self.lost * (mean + stddev * noise)

    def information(self, normalized: Any) -> Any:
        """Information that a feature gets through, in nats, an upper bound.

        The Kullback-Leibler divergence of what passes, given the image, from
        what the noise alone would be.

        Args:
            normalized: Features, less their mean, over their standard
                deviation.
        """
        signal = ops.square(self.passed * normalized)
        return 0.5 * (signal + ops.square(self.lost) - 1) - self.log_lost


def damping_of(alpha: Any) -> Damping:
    """Damping with lambda = sigmoid(`alpha`), float32."""
    return Damping(
        ops.sigmoid(alpha), ops.sigmoid(-alpha), -ops.softplus(alpha)
    )


def blurred_damping(
    alpha: Any, layout: FeatureLayout, smoothing_sigma: float
) -> Damping:
    """Damping whose lambda is blurred over the places of a feature map.

    Class tokens have no place and are left as they are.

    Args:
        alpha: Logits of lambda before the blur.
        layout: Their layout.
        smoothing_sigma: Of the Gaussian, in places of the feature map.
    """
    kernel = gaussian_kernel(smoothing_sigma)

    def blur(values: Any) -> Any:
        folded = _blur_axis(
            _blur_axis(layout.fold(values), kernel, 1), kernel, 2
        )
        return layout.unfold(folded, values)

    # The kernel sums to 1, so what is lost can be blurred by itself.
    lost = blur(ops.sigmoid(-alpha))
    return Damping(
        blur(ops.sigmoid(alpha)), lost, ops.log(ops.maximum(lost, SMALLEST))
    )


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Weights of a Gaussian, two sigma to each side, which sum to 1."""
    reach = round(2 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


def _blur_axis(values: Any, kernel: np.ndarray, axis: int) -> Any:
    reach = len(kernel) // 2
    size = values.shape[axis]
    padding = [(0, 0)] * 4
    padding[axis] = (reach, reach)
    padded = ops.pad(values, padding, mode="reflect")
    total = 0.0
    for start, weight in enumerate(kernel):
        window = [slice(None)] * 4
        window[axis] = slice(start, start + size)
        total = total + float(weight) * padded[tuple(window)]
    return total
