"""What a classifier's probabilities are worth."""

from keras_aib.metrics.classification import accuracy as accuracy
from keras_aib.metrics.classification import (
    class_probabilities as class_probabilities,
)
from keras_aib.metrics.classification import (
    expected_calibration_error as expected_calibration_error,
)
from keras_aib.metrics.classification import (
    negative_log_likelihood as negative_log_likelihood,
)
