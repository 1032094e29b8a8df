"""The grid pointing game, in cases whose answer is known by hand."""

import numpy as np
import pytest

from keras_aib.attribution import metrics


def test_a_grid_holds_its_images_in_the_order_they_are_read():
    images = np.arange(12, dtype="uint8")[:, None, None, None]
    grids = metrics.make_grid(
        np.broadcast_to(images, (12, 2, 4, 3)), rows=2, columns=3
    )
    assert grids.shape == (2, 4, 12, 3)
    assert grids.dtype == "uint8"
    np.testing.assert_array_equal(grids[0, ::2, ::4, 0], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(grids[1, 2:, 8:], 11)


def test_a_tile_is_the_image_as_it_was():
    images = np.random.uniform(size=(4, 5, 6, 3))
    (grid,) = metrics.make_grid(images, 2, 2)
    np.testing.assert_array_equal(grid[5:, :6], images[2])


def test_the_share_in_the_tile_of_the_target():
    maps = np.zeros((1, 4, 6))
    maps[0, 0, 0] = 1.0
    maps[0, 3, 2:4] = 1.5
    for tile, share in enumerate([0.25, 0, 0, 0, 0.75, 0]):
        result = metrics.grid_pointing_game(maps, [tile], 2, 3)
        assert result.values == [share]
    assert result.options == {"rows": 2, "columns": 3}


def test_a_flat_map_scores_one_tile_and_negative_heat_counts_as_none():
    maps = np.ones((2, 4, 4))
    maps[1, 2:, 2:] = -5.0
    result = metrics.grid_pointing_game(maps, [0, 3], 2, 2)
    np.testing.assert_array_equal(result.values, [0.25, 0.0])
    result = metrics.grid_pointing_game(maps, [0, 0], 2, 2)
    np.testing.assert_allclose(result.values, [0.25, 1 / 3])


@pytest.mark.parametrize(
    ("shape", "tiles", "message"),
    [
        ((1, 5, 4), [0], "whole pixels"),
        ((4, 4), [0], "whole pixels"),
        ((1, 4, 4), [4], r"in 0\.\.3"),
        ((1, 4, 4), [-1], r"in 0\.\.3"),
        ((1, 4, 4), [0, 1], "one a grid"),
        ((1, 4, 4), [0.0], "integers"),
    ],
)
def test_bad_games_are_refused(shape, tiles, message):
    with pytest.raises(ValueError, match=message):
        metrics.grid_pointing_game(np.ones(shape), tiles, 2, 2)


@pytest.mark.parametrize("shape", [(3, 4, 4, 3), (0, 4, 4, 3), (4, 4, 3)])
def test_images_that_fill_no_grid_are_refused(shape):
    with pytest.raises(ValueError, match="4 for every grid"):
        metrics.make_grid(np.zeros(shape), 2, 2)
