"""How the maps of a page of explanations are made."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_aib.runs.found_maps import FoundMaps


@dataclass(frozen=True)
class MapKind:
    """One kind of map.

    Attributes:
        name: Stands above the overlays on the page.
        explain: From images `[N, H, W, 3]`, pixels 0..255, to their maps.
        is_in_bits: Whether the maps are bits per pixel, at the size of the
            images.
    """

    name: str
    explain: Callable[[np.ndarray], FoundMaps]
    is_in_bits: bool = False
