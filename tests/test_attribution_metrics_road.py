"""ROAD: pixels that are filled in, and models known by hand."""

import sys

import numpy as np
import pytest
from judged_models import linear_model

from keras_aib.attribution import metrics
from keras_aib.attribution.metrics.imputation import impute


def filled(image, removed, noise_stddev=0.0):
    return impute(image, removed, noise_stddev, np.random.default_rng(0))


def inner_pixels(size=8):
    removed = np.zeros((size, size), bool)
    removed[2:-2, 1:-1] = True
    return removed


def test_a_ramp_is_filled_in_as_it_was():
    down, right = np.mgrid[:8, :8].astype("float64")
    image = np.stack([down, 10 + 3 * down - 2 * right], axis=-1)
    removed = inner_pixels()
    hidden = np.where(removed[..., None], -99.0, image)
    np.testing.assert_allclose(filled(hidden, removed), image, rtol=1e-9)


def test_one_pixel_becomes_the_weighted_mean_of_its_eight_neighbours():
    image = np.arange(9.0).reshape(3, 3, 1) ** 2
    removed = np.zeros((3, 3), bool)
    removed[1, 1] = True
    expected = (1 + 9 + 25 + 49) / 6 + (0 + 4 + 36 + 64) / 12
    np.testing.assert_allclose(filled(image, removed)[1, 1, 0], expected)


def test_at_a_corner_the_neighbours_that_exist_share_the_weight():
    image = np.arange(9.0).reshape(3, 3, 1) ** 2
    removed = np.zeros((3, 3), bool)
    removed[0, 0] = True
    expected = ((1 + 9) / 6 + 16 / 12) / (2 / 6 + 1 / 12)
    np.testing.assert_allclose(filled(image, removed)[0, 0, 0], expected)


def test_one_pixel_left_fills_the_whole_image():
    image = np.random.uniform(0, 255, (6, 5, 3))
    removed = np.ones((6, 5), bool)
    removed[4, 1] = False
    expected = np.broadcast_to(image[4, 1], image.shape)
    np.testing.assert_allclose(filled(image, removed), expected)


def test_nothing_removed_changes_nothing():
    image = np.random.uniform(size=(4, 4, 3))
    nothing = np.zeros((4, 4), bool)
    np.testing.assert_array_equal(filled(image, nothing, 5.0), image)


def test_the_noise_has_its_size_and_stays_off_the_known_pixels():
    removed = inner_pixels(64)
    noise = filled(np.full((64, 64, 3), 9.0), removed, noise_stddev=2.0) - 9
    np.testing.assert_array_equal(noise[~removed], 0)
    np.testing.assert_allclose(noise[removed].std(), 2.0, rtol=0.05)
    assert abs(np.corrcoef(noise[removed].T)[0, 1]) < 0.05


def bright_patch():
    """An image with a bright patch, and a model that looks for it."""
    patch = np.zeros((8, 8))
    patch[2:4, 2:4] = 1.0
    model = linear_model(patch[..., None], bias=-2.0)
    return model, patch[None, ..., None], patch[None]


def test_without_its_patch_a_model_is_wrong():
    model, images, maps = bright_patch()
    result = metrics.road(model, images, maps, [1], noise_stddev=0.0)
    np.testing.assert_array_equal(result.curves, np.zeros((1, 9)))
    assert result.mean == 0.0


def test_without_all_but_its_patch_a_model_is_right():
    model, images, maps = bright_patch()
    result = metrics.road(
        model, images, maps, [1], order="lerf", noise_stddev=0.0
    )
    np.testing.assert_array_equal(result.curves, np.ones((1, 9)))
    np.testing.assert_allclose(result.shares, np.arange(1, 10) / 10)
    assert result.options["order"] == "lerf"


def test_a_reversed_map_hides_the_patch_only_at_the_end():
    # 60 of 64 pixels go before the patch; its last pixel stays.
    model, images, maps = bright_patch()
    result = metrics.road(
        model,
        np.repeat(images, 2, axis=0),
        np.concatenate([maps, 1 - maps]),
        [1, 1],
        shares=(0.1, 60 / 64),
        noise_stddev=0.0,
    )
    np.testing.assert_array_equal(result.curves, [[0, 0], [1, 1]])
    np.testing.assert_array_equal(result.mean_curve, [0.5, 0.5])
    np.testing.assert_array_equal(result.values, [0.0, 1.0])


def test_the_noise_depends_on_the_seed_and_not_on_the_batch_size():
    # A model that reads nothing but the sign of one filled pixel.
    weights = np.zeros((6, 6, 1))
    weights[0, 0] = 1.0
    model = linear_model(weights)
    images = np.zeros((40, 6, 6, 1))
    maps = np.repeat(weights[None, ..., 0], 40, axis=0)
    first, second, other = (
        metrics.road(
            model,
            images,
            maps,
            np.ones(40, int),
            shares=(0.1, 0.5),
            seed=seed,
            batch_size=batch_size,
        ).curves
        for seed, batch_size in ((0, 80), (0, 3 * 13), (1, 80))
    )
    np.testing.assert_array_equal(first, second)
    assert np.any(first != other)
    assert 0.2 < first.mean() < 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "best"}, "'morf', 'lerf'"),
        ({"shares": (0.5, 1.0)}, "between 0 and 1"),
        ({"shares": ()}, "between 0 and 1"),
        ({"noise_stddev": -1.0}, "0 or more"),
    ],
)
def test_bad_options_are_refused(options, message):
    model, images, maps = bright_patch()
    with pytest.raises(ValueError, match=message):
        metrics.road(model, images, maps, [1], **options)


def test_without_scipy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        metrics.road(*bright_patch(), [1])
