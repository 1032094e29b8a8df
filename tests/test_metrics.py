"""Accuracy, surprise and calibration, against figures worked out by hand."""

import keras
import numpy as np
import pytest

from keras_aib.metrics import accuracy
from keras_aib.metrics import class_probabilities
from keras_aib.metrics import expected_calibration_error
from keras_aib.metrics import negative_log_likelihood

PROBABILITIES = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]]
LABELS = [0, 1, 1, 1]


def test_accuracy():
    assert accuracy(PROBABILITIES, LABELS) == 0.75


def test_negative_log_likelihood():
    expected = -np.log([0.9, 0.3, 0.8, 0.6]).mean()
    received = negative_log_likelihood(PROBABILITIES, LABELS)
    assert received == pytest.approx(expected)
    hopeless = negative_log_likelihood([[1.0, 0.0]], [1])
    assert hopeless == pytest.approx(-np.log(1e-12))


def test_calibration_error():
    # Bins of a tenth: 0.9 right, 0.7 wrong, 0.8 right, 0.6 right.
    received = expected_calibration_error(PROBABILITIES, LABELS, num_bins=10)
    assert received == pytest.approx((0.1 + 0.7 + 0.2 + 0.4) / 4)
    # One bin: mean confidence 0.75, accuracy 0.75.
    received = expected_calibration_error(PROBABILITIES, LABELS, num_bins=1)
    assert received == pytest.approx(0.0)
    # Within a bin errors cancel: 0.9 twice, right once.
    received = expected_calibration_error([[0.9, 0.1]] * 2, [0, 1])
    assert received == pytest.approx(0.4)
    assert expected_calibration_error([[1.0, 0.0]], [0]) == 0.0


def test_calibration_error_is_that_of_a_loop_over_bins():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(5), 500)
    labels = generator.integers(0, 5, 500)
    confidence, chosen = probabilities.max(axis=1), probabilities.argmax(axis=1)
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            gap = (chosen == labels)[inside].mean() - confidence[inside].mean()
            expected += inside.mean() * abs(gap)
    received = expected_calibration_error(probabilities, labels)
    assert received == pytest.approx(expected)


@pytest.mark.parametrize(
    ("units", "activation", "outputs", "expected"),
    [
        (2, None, [[0.0, np.log(3)]], [[0.25, 0.75]]),
        (2, None, [[1000.0, 0.0]], [[1.0, 0.0]]),
        (2, "softmax", [[0.9, 0.1]], [[0.9, 0.1]]),
        (2, "sigmoid", [[0.9, 0.8]], [[0.9, 0.8]]),
        (1, "sigmoid", [[0.9]], [[0.1, 0.9]]),
        (1, None, [[np.log(3)], [-1000.0]], [[0.25, 0.75], [1.0, 0.0]]),
    ],
)
def test_probabilities_of_outputs(units, activation, outputs, expected):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(units, activation=activation)]
    )
    received = class_probabilities(model, outputs)
    np.testing.assert_allclose(received, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([0.5, 0.5], [0, 1], "Expected probabilities"),
        (PROBABILITIES, [0, 1], "one label per image"),
        (PROBABILITIES, [0, 1, 1, 2], "integers from 0 to 1"),
        (PROBABILITIES, [0, 1, 1, -1], "integers from 0 to 1"),
        (PROBABILITIES, [0.0, 1.0, 1.0, 1.0], "must be integers"),
        ([[2.0, -1.0]], [0], "apply a softmax"),
        ([[np.nan, 1.0]], [0], "apply a softmax"),
        (np.zeros((0, 2)), [], "at least one image"),
    ],
)
def test_what_is_no_prediction_is_refused(probabilities, labels, message):
    for metric in (
        accuracy,
        negative_log_likelihood,
        expected_calibration_error,
    ):
        with pytest.raises(ValueError, match=message):
            metric(probabilities, labels)


def test_a_number_of_bins_that_is_none():
    with pytest.raises(ValueError, match="num_bins"):
        expected_calibration_error(PROBABILITIES, LABELS, num_bins=0)
