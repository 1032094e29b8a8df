"""How the maps of a page of explanations are made."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MapKind:
    """One kind of map.

    Attributes:
        name: Stands above the overlays on the page.
        explain: From images `[N, H, W, 3]`, pixels 0..255, to maps
            `[N, h, w]`.
        is_in_bits: Whether the maps are bits per pixel, at the size of the
            images.
    """

    name: str
    explain: Callable[[np.ndarray], np.ndarray]
    is_in_bits: bool = False

    def describe(self, one_map: np.ndarray) -> str:
        """What the colours of a map's overlay would not tell."""
        if not self.is_in_bits:
            return ""
        total, highest = one_map.sum(), one_map.max()
        return f"{total:,.1f} bits, at most {highest:.2g} per pixel"
