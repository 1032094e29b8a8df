"""Sensitivity-n of linear models, whose attribution is known exactly."""

import numpy as np
import pytest
from judged_models import linear_model

from keras_aib.attribution import metrics


def linear_case(baseline=0.0, count=2):
    weights = np.random.normal(size=(8, 8, 3))
    images = np.random.uniform(0, 255, (count, 8, 8, 3)).astype("float32")
    truth = np.sum(weights * (images - baseline), axis=-1)
    return linear_model(weights), images, truth, np.ones(count, int)


@pytest.mark.parametrize("baseline", [0.0, 127.0, np.array([10.0, 20.0, 30.0])])
def test_gradient_times_input_of_a_linear_model_scores_one(baseline):
    case = linear_case(baseline)
    result = metrics.sensitivity_n(*case, num_subsets=20, baseline=baseline)
    np.testing.assert_allclose(result.curves, 1.0, atol=1e-4)
    assert result.curves.shape == (2, len(result.options["sizes"]))


def test_the_negative_of_the_truth_scores_minus_one():
    model, images, truth, targets = linear_case()
    result = metrics.sensitivity_n(
        model, images, -truth, targets, num_subsets=20
    )
    np.testing.assert_allclose(result.values, -1.0, atol=1e-4)


def test_a_map_of_something_else_scores_about_zero():
    model, images, truth, targets = linear_case(count=4)
    shuffled = np.random.permutation(truth.ravel()).reshape(truth.shape)
    result = metrics.sensitivity_n(
        model, images, shuffled, targets, num_subsets=50
    )
    assert abs(result.mean) < 0.3


def test_the_correlation_is_pearsons():
    # Single pixels: the fall of the logit is the weight, the sum the map.
    weights = np.array([[1.0, 2.0], [3.0, 4.0]])
    maps = np.array([[[1.0, 2.0], [3.0, 9.0]]])
    result = metrics.sensitivity_n(
        linear_model(weights[..., None]),
        np.ones((1, 2, 2, 1)),
        maps,
        [1],
        num_subsets=4000,
        sizes=[1],
        batch_size=4000,
    )
    expected = np.corrcoef(weights.ravel(), maps.ravel())[0, 1]
    np.testing.assert_allclose(result.values, [expected], atol=0.02)


@pytest.mark.parametrize("flat", ["map", "model"])
def test_what_does_not_vary_scores_zero(flat):
    model, images, truth, targets = linear_case()
    if flat == "map":
        truth = np.full_like(truth, 0.1)
    else:
        model = linear_model(np.zeros((8, 8, 3)), bias=0.3)
    result = metrics.sensitivity_n(model, images, truth, targets, num_subsets=5)
    np.testing.assert_array_equal(result.curves, 0.0)


def test_default_sizes_are_equally_spaced_in_their_logarithm():
    result = metrics.sensitivity_n(*linear_case(), num_subsets=3)
    sizes = result.options["sizes"]
    assert sizes[0] == 1
    assert sizes[-1] == round(0.8 * 64)
    assert len(sizes) == len(set(sizes)) <= 10
    expected = np.rint(np.geomspace(1, 51.2, 10)).astype(int)
    assert set(sizes) == set(expected.tolist())
    np.testing.assert_allclose(result.shares, np.array(sizes) / 64)


def test_subsets_depend_on_the_seed_and_not_on_the_batch_size():
    model, images, truth, targets = linear_case()
    noisy = truth + np.random.normal(size=truth.shape) * truth.std()
    first, second, other = (
        metrics.sensitivity_n(
            model,
            images,
            noisy,
            targets,
            num_subsets=8,
            sizes=(4, 16),
            seed=seed,
            batch_size=batch_size,
        ).curves
        for seed, batch_size in ((3, 32), (3, 5), (4, 32))
    )
    np.testing.assert_allclose(first, second, atol=1e-4)
    assert np.abs(first - other).max() > 1e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_subsets": 2}, "3 or more"),
        ({"num_subsets": 5.0}, "3 or more"),
        ({"sizes": [64]}, "from 1 to 63"),
        ({"sizes": [0]}, "from 1 to 63"),
        ({"sizes": [0.5]}, "integers"),
        ({"sizes": []}, "integers"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        metrics.sensitivity_n(*linear_case(), **options)
