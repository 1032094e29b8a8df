"""Figures that judge a map."""

from keras_aib.attribution.metrics.curve_result import (
    CurveResult as CurveResult,
)
from keras_aib.attribution.metrics.degradation import degradation as degradation
from keras_aib.attribution.metrics.degradation_result import (
    DegradationResult as DegradationResult,
)
from keras_aib.attribution.metrics.grid_pointing import (
    grid_pointing_game as grid_pointing_game,
)
from keras_aib.attribution.metrics.grid_pointing import make_grid as make_grid
from keras_aib.attribution.metrics.insertion_deletion import (
    deletion as deletion,
)
from keras_aib.attribution.metrics.insertion_deletion import (
    insertion as insertion,
)
from keras_aib.attribution.metrics.localisation import (
    effective_heat_ratio as effective_heat_ratio,
)
from keras_aib.attribution.metrics.localisation import (
    mass_inside as mass_inside,
)
from keras_aib.attribution.metrics.localisation import (
    pointing_game as pointing_game,
)
from keras_aib.attribution.metrics.localisation import top_share as top_share
from keras_aib.attribution.metrics.metric_result import (
    MetricResult as MetricResult,
)
from keras_aib.attribution.metrics.mprt import mprt as mprt
from keras_aib.attribution.metrics.randomization_result import (
    RandomizationResult as RandomizationResult,
)
from keras_aib.attribution.metrics.road import road as road
from keras_aib.attribution.metrics.sensitivity import (
    sensitivity_n as sensitivity_n,
)
