"""Figures that judge a map."""

from keras_aib.attribution.metrics.localisation import (
    effective_heat_ratio as effective_heat_ratio,
)
from keras_aib.attribution.metrics.localisation import (
    mass_inside as mass_inside,
)
from keras_aib.attribution.metrics.localisation import (
    pointing_game as pointing_game,
)
