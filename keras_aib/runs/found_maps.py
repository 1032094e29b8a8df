"""The maps of a batch of images, and what else explaining them told."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class FoundMaps(NamedTuple):
    """What a kind of map makes of images.

    Attributes:
        maps: `[N, h, w]`.
        notes: Of each image what its colours would not tell.
        predicted: Most probable class of each image and its probability,
            where explaining it told.
    """

    maps: np.ndarray
    notes: Sequence[str]
    predicted: Sequence[tuple[int, float]] | None = None
