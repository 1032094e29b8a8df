import keras
import numpy as np
import pytest
from gradients import gradients

from keras_aib import ops


def to_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_kl_is_zero_at_the_prior_and_positive_elsewhere():
    assert to_numpy(ops.kl_to_standard_normal(0.0, 1.0)) == 0.0
    mean = np.random.normal(size=100)
    stddev = np.random.uniform(0.05, 3.0, size=100)
    assert (to_numpy(ops.kl_to_standard_normal(mean, stddev)) > 0).all()


def test_kl_equals_the_integral():
    mean, stddev = 0.7, 0.3
    x = np.linspace(-5, 5, 200_001)
    log_p = -0.5 * ((x - mean) / stddev) ** 2 - np.log(stddev)
    log_q = -0.5 * x**2
    density = np.exp(log_p) / np.sqrt(2 * np.pi)
    integral = np.trapezoid(density * (log_p - log_q), x)
    kl = to_numpy(ops.kl_to_standard_normal(mean, stddev))
    np.testing.assert_allclose(kl, integral, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_kl_of_half_precision_is_computed_in_float32(dtype):
    stddev = keras.ops.cast([0.0067], dtype)
    mean = keras.ops.zeros((1,), dtype)
    kl = ops.kl_to_standard_normal(mean, stddev)
    assert keras.backend.standardize_dtype(kl.dtype) == "float32"
    exact = -np.log(to_numpy(keras.ops.cast(stddev, "float32"))) - 0.5
    np.testing.assert_allclose(to_numpy(kl), exact, rtol=1e-3)


def test_reparameterize_has_the_moments_it_says():
    noise = keras.random.normal((20_000, 2), seed=3)
    draws = to_numpy(ops.reparameterize([1.0, -2.0], [0.5, 3.0], noise))
    np.testing.assert_allclose(draws.mean(0), [1.0, -2.0], atol=0.1)
    np.testing.assert_allclose(draws.std(0), [0.5, 3.0], rtol=0.03)


def test_nearest_anchor_takes_the_lower_index_on_a_tie():
    scores = [0.5, 0.25, 0.75, -3.0, 9.0]
    indices = ops.nearest_anchor(scores, [0.0, 0.5, 1.0])
    assert keras.backend.standardize_dtype(indices.dtype) == "int32"
    assert to_numpy(indices).tolist() == [1, 0, 1, 0, 2]
    equal_anchors = ops.nearest_anchor([0.4], [0.4, 0.4, 0.4])
    assert to_numpy(equal_anchors).tolist() == [0]


def test_nearest_anchor_equals_argmin_for_unsorted_anchors():
    scores = np.random.normal(size=(3, 5, 4)).astype("float32")
    anchors = np.random.normal(size=17).astype("float32")
    expected = np.abs(scores[..., None] - anchors).argmin(-1)
    assert (to_numpy(ops.nearest_anchor(scores, anchors)) == expected).all()
    chosen = ops.select_anchors(anchors, expected)
    np.testing.assert_array_equal(to_numpy(chosen), anchors[expected])


def test_nan_is_near_to_no_anchor():
    assert to_numpy(ops.nearest_anchor([np.nan], [0.0, 1.0])).tolist() == [2]


def test_straight_through_has_value_of_outputs_and_gradient_of_inputs():
    scores = keras.Variable(np.float32([0.1, 0.123456789, 0.9]))
    target = np.float32([1 / 3, 0.0, 7.7])
    value = ops.straight_through(scores.value, target)
    np.testing.assert_array_equal(to_numpy(value), target)
    slopes = np.float32([1.0, -2.0, 3.0])

    def loss():
        outputs = keras.ops.round(scores.value)
        passed = ops.straight_through(scores.value, outputs)
        return keras.ops.sum(keras.ops.multiply(slopes, passed))

    np.testing.assert_array_equal(gradients(loss, [scores])[0], slopes)
