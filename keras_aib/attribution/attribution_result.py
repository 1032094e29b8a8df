"""What an attribution found."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_aib.visualization import plot_attention
from keras_aib.visualization.table import range_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class AttributionResult:
    """Maps in bits, and how they came about.

    Attributes:
        bits: `[images, height, width]` of the images: bits per pixel that the
            decision was given. An upper bound; 0 means that the place may be
            replaced by noise.
        prefix_bits: `[images]`: bits of class, distillation and register
            tokens, which have no place and are not in `bits`. Where they are
            many, the decision had left the places before that layer: explain
            an earlier one. 0 without such tokens.
        damping: Lambda, the share of the features that passes, 0 to 1:
            `[images, rows, columns]` of the feature map, or with channels
            `[images, rows, columns, channels]`.
        capacity: Path of each layer to its information in bits: `[images,
            rows, columns]`, or with channels where lambda has them. Only the
            first layer's counts in the loss and the map.
        loss_history: `[images, steps]`: loss before each step, in nats.
        targets: Class that was explained, `[images]`; `None` if the loss was
            a function.
        method: `"IBA"` or `"CoIBA"`.
        options: What it was called with.
        probability: `[images]`: what the model says of the class for the image
            as it is; NaN if the loss was a function.
        kept_probability: `[images]`: the same with what passes, mean over the
            draws of the noise. Where it is far below `probability`, the
            decision was lost and the map does not show what it rests on. NaN
            if the loss was a function.
        outside_statistics: `[images]`, 0 to 1: share of the features that are
            unlike any in the statistics. Their bits have no meaning.
    """

    bits: np.ndarray
    prefix_bits: np.ndarray
    damping: np.ndarray
    capacity: dict[str, np.ndarray]
    loss_history: np.ndarray
    targets: np.ndarray | None
    method: str
    options: dict[str, Any]
    probability: np.ndarray
    kept_probability: np.ndarray
    outside_statistics: np.ndarray

    @property
    def total_bits(self) -> np.ndarray:
        """Bits that each image's places gave the decision, `[images]`."""
        return self.bits.sum(axis=(1, 2))

    def plot(
        self,
        images: Any,
        path: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> "Figure":
        """Draw the maps over the images, with a colour bar in bits.

        Args:
            images: The images that were explained, pixels 0..255.
            path: File to write, or `None`.
            **options: Further arguments of
                `keras_aib.visualization.plot_attention`.

        Returns:
            The figure.
        """
        if options.get("scale", "fixed") == "fixed":
            options.setdefault("value_range", range_of(self.bits))
        defaults = {
            "units": "bits per pixel",
            "title": f"{self.method} at {', '.join(self.capacity)}",
        }
        return plot_attention(
            images, self.bits, path=path, **{**defaults, **options}
        )
