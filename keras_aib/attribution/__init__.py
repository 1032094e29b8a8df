"""What a trained model's decision rests on, in bits, and how to judge maps."""

from keras_aib.attribution import metrics as metrics
from keras_aib.attribution.attribution_result import (
    AttributionResult as AttributionResult,
)
from keras_aib.attribution.coiba import CoIBA as CoIBA
from keras_aib.attribution.estimate_statistics import (
    estimate_statistics as estimate_statistics,
)
from keras_aib.attribution.feature_statistics import (
    FeatureStatistics as FeatureStatistics,
)
from keras_aib.attribution.iba import IBA as IBA
from keras_aib.attribution.list_layers import list_layers as list_layers
