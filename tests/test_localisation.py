"""Localisation figures, in cases whose answer is known by hand."""

import numpy as np
import pytest

from keras_aib.attribution import metrics

pytestmark = pytest.mark.once


def quarter_mask():
    masks = np.zeros((1, 4, 4), bool)
    masks[0, :2, :2] = True
    return masks


def test_a_flat_map_scores_the_share_of_the_area():
    maps = np.full((1, 4, 4), 0.5)
    assert metrics.mass_inside(maps, quarter_mask()).values == [0.25]
    assert metrics.pointing_game(maps, quarter_mask()).values == [0.25]
    assert metrics.effective_heat_ratio(maps, quarter_mask()).values == [0.0]


def test_a_map_on_the_region_scores_one():
    maps = quarter_mask().astype(float)
    assert metrics.mass_inside(maps, quarter_mask()).values == [1.0]
    assert metrics.pointing_game(maps, quarter_mask()).values == [1.0]
    assert metrics.effective_heat_ratio(maps, quarter_mask()).values == [1.0]


def test_a_map_beside_the_region_scores_zero():
    maps = 1.0 - quarter_mask()
    assert metrics.mass_inside(maps, quarter_mask()).values == [0.0]
    assert metrics.pointing_game(maps, quarter_mask()).values == [0.0]
    assert metrics.effective_heat_ratio(maps, quarter_mask()).values == [0.0]


def test_the_top_share_counts_ranks_and_not_heat():
    maps = np.arange(16.0).reshape(1, 4, 4)
    # The four highest are the last row.
    assert metrics.top_share(maps, quarter_mask()).values == [0.0]
    assert metrics.top_share(-maps, quarter_mask()).values == [0.5]
    squeezed = quarter_mask() + 1e-9 * maps
    assert metrics.top_share(squeezed, quarter_mask()).values == [1.0]


def test_equal_points_share_the_places_that_are_left():
    flat = np.full((1, 4, 4), 0.5)
    assert metrics.top_share(flat, quarter_mask()).values == [0.25]
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 0] = maps[0, 3, 3] = 1.0
    # One of two sure places inside; 3 of the other 14 points are inside.
    expected = (1 + 2 * 3 / 14) / 4
    received = metrics.top_share(maps, quarter_mask()).values
    np.testing.assert_allclose(received, [expected])


def test_an_empty_region_is_refused():
    masks = np.concatenate([quarter_mask(), np.zeros((1, 4, 4), bool)])
    with pytest.raises(ValueError, match=r"index \[1\]"):
        metrics.top_share(np.ones((2, 4, 4)), masks)


def test_a_result_says_what_it_is():
    result = metrics.mass_inside(np.ones((1, 4, 4)), quarter_mask())
    assert str(result) == "mass_inside: 0.2500, mean of 1 image"


def test_an_empty_map_has_no_mass_anywhere():
    assert metrics.mass_inside(np.zeros((1, 4, 4)), quarter_mask()).values == [
        0.0
    ]


def test_the_heat_ratio_counts_heat_and_area():
    # Two hot cells, of heat 1 inside and heat 0.5 outside the region. At the
    # quantiles 0 both are hot, (1 / 2); above it only the first: the
    # threshold lies between 0.5 and 1.
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 0] = 1.0
    maps[0, 3, 3] = 0.5
    expected = 0.1 * (0.5 + 1.0) / 2 + 0.9 * 1.0
    received = metrics.effective_heat_ratio(maps, quarter_mask()).values
    np.testing.assert_allclose(received, [expected])


def test_faint_heat_is_none():
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 0] = 1.0
    maps[0, 3, 3] = 0.09
    assert metrics.effective_heat_ratio(maps, quarter_mask()).values == [1.0]


def test_each_image_has_its_own_figure():
    maps = np.stack([quarter_mask()[0], ~quarter_mask()[0]]).astype(float)
    masks = np.repeat(quarter_mask(), 2, axis=0)
    received = metrics.mass_inside(maps, masks)
    np.testing.assert_array_equal(received.values, [1, 0])
    assert received.mean == 0.5


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (np.zeros((1, 4, 5)), "same shape"),
        (np.zeros((4, 4)), "same shape"),
        (np.full((1, 4, 4), np.nan), "NaN"),
        (np.full((1, 4, 4), -1.0), "negative"),
    ],
)
def test_bad_maps_are_refused(maps, message):
    with pytest.raises(ValueError, match=message):
        metrics.mass_inside(maps, quarter_mask())
