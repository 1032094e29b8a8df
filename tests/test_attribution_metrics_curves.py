"""Insertion, deletion and degradation of models known by hand."""

import itertools

import keras
import numpy as np
import pytest
from judged_models import linear_model
from judged_models import sigmoid
from scipy.ndimage import gaussian_filter

from keras_aib.attribution import metrics
from keras_aib.attribution.metrics.ranking import pixel_ranks
from keras_aib.attribution.metrics.ranking import tile_ranks
from keras_aib.attribution.metrics.substrates import blur

WEIGHTS = np.array([[2.0, -1.0], [0.5, 1.0]])[..., None]
ONES = np.ones((1, 2, 2, 1), "float32")


def test_deletion_of_a_linear_model_is_known_at_every_step():
    model = linear_model(WEIGHTS)
    result = metrics.deletion(model, ONES, WEIGHTS[None, ..., 0], [1], steps=4)
    # The weights fall as 2, 1, 0.5, -1: each step takes one from the logit.
    expected = sigmoid([2.5, 0.5, -0.5, -1.0, 0.0])
    np.testing.assert_allclose(result.curves, [expected], rtol=1e-5)
    np.testing.assert_allclose(result.shares, [0, 0.25, 0.5, 0.75, 1])
    area = expected[1:-1].sum() + (expected[0] + expected[-1]) / 2
    np.testing.assert_allclose(result.values, [area / 4], rtol=1e-5)
    assert result.options["steps"] == 4
    assert result.options["substrate"] == "zeros"


def test_insertion_starts_at_the_substrate_and_ends_at_the_image():
    model = linear_model(WEIGHTS)
    maps = WEIGHTS[None, ..., 0]
    result = metrics.insertion(model, ONES, maps, [1], 4, substrate=3.0)
    # Three times the image turns into the image: each step takes two weights.
    expected = sigmoid([7.5, 3.5, 1.5, 0.5, 2.5])
    np.testing.assert_allclose(result.curves, [expected], rtol=1e-5)


def test_the_probability_of_the_other_class_is_the_rest():
    model, maps = linear_model(WEIGHTS), WEIGHTS[None, ..., 0]
    first = metrics.deletion(model, ONES, maps, [0], steps=4)
    second = metrics.deletion(model, ONES, maps, [1], steps=4)
    np.testing.assert_allclose(first.curves + second.curves, 1, rtol=1e-5)


def test_a_model_with_a_softmax_scores_the_same():
    maps = WEIGHTS[None, ..., 0]
    plain, softmax = (
        metrics.deletion(
            linear_model(WEIGHTS, softmax=with_softmax), ONES, maps, [1], 4
        )
        for with_softmax in (False, True)
    )
    np.testing.assert_allclose(plain.curves, softmax.curves, rtol=1e-5)


@pytest.mark.parametrize("metric", ["insertion", "deletion"])
def test_a_constant_model_scores_its_constant(metric):
    model = linear_model(np.zeros((6, 6, 1)), bias=np.log(3.0))
    images, maps = np.ones((2, 6, 6, 1)), np.random.uniform(size=(2, 6, 6))
    result = getattr(metrics, metric)(model, images, maps, [1, 0])
    assert result.curves.shape == (2, 29)
    np.testing.assert_allclose(result.values, [0.75, 0.25], rtol=1e-5)


def test_the_true_map_is_the_best_and_its_reverse_the_worst():
    # All orders of four pixels at once, an image each.
    maps = np.array(list(itertools.permutations(range(4))), "float64")
    maps = maps.reshape(24, 2, 2)
    images = np.repeat(ONES, 24, axis=0)
    truth = pixel_ranks(WEIGHTS[None, ..., 0], highest_first=False)[0]
    best = np.flatnonzero((maps == truth).all(axis=(1, 2)))
    worst = np.flatnonzero((maps == 3 - truth).all(axis=(1, 2)))
    arguments = linear_model(WEIGHTS), images, maps, np.ones(24, int), 4
    deletion = metrics.deletion(*arguments).values
    insertion = metrics.insertion(*arguments, substrate="zeros").values
    assert [deletion.argmin()] == best == [insertion.argmax()]
    assert [deletion.argmax()] == worst == [insertion.argmin()]


def test_the_result_does_not_depend_on_the_batch_size():
    model = linear_model(np.random.normal(size=(6, 6, 3)))
    images = np.random.randint(0, 9, (3, 6, 6, 3)).astype("uint8")
    maps = np.random.uniform(size=(3, 6, 6))
    small, large = (
        metrics.insertion(model, images, maps, [0, 1, 1], 5, batch_size=size)
        for size in (4, 18)
    )
    np.testing.assert_allclose(small.curves, large.curves, rtol=1e-4)


def test_channels_first_scores_the_same():
    weights = np.random.normal(size=(6, 6, 3))
    images = np.random.uniform(size=(1, 6, 6, 3))
    maps = np.random.uniform(size=(1, 6, 6))
    seen = []

    def darker(images):
        seen.append(images.shape)
        return images / 2

    last, first = (
        metrics.insertion(
            linear_model(np.moveaxis(weights, -1, axis)),
            np.moveaxis(images, -1, axis if axis == -1 else 1),
            maps,
            [1],
            steps=4,
            substrate=darker,
            data_format=data_format,
        )
        for axis, data_format in ((-1, "channels_last"), (0, "channels_first"))
    )
    np.testing.assert_allclose(last.curves, first.curves, rtol=1e-5)
    assert seen == [(1, 6, 6, 3), (1, 3, 6, 6)]


@pytest.mark.parametrize(
    "substrate",
    [
        7.0,
        np.array([7.0, 7.0, 7.0]),
        np.full((6, 6, 3), 7.0),
        np.full((2, 6, 6, 3), 7.0),
        lambda images: np.full_like(images, 7.0),
    ],
    ids=["value", "channels", "image", "images", "callable"],
)
def test_all_ways_to_name_a_substrate_agree(substrate):
    weights = np.random.normal(size=(6, 6, 3)) / 100
    images = np.random.uniform(size=(2, 6, 6, 3))
    maps = np.random.uniform(size=(2, 6, 6))
    model = linear_model(weights)
    result = metrics.deletion(model, images, maps, [1, 1], 2, substrate)
    expected = sigmoid(7 * weights.sum())
    np.testing.assert_allclose(result.curves[:, -1], expected, rtol=1e-4)


def test_the_blur_is_a_mirrored_gaussian_of_51_pixels():
    image = np.random.uniform(0, 255, (40, 60))
    expected = gaussian_filter(image, 50.0, mode="mirror", radius=25)
    received = blur(image[None, ..., None].astype("float32"))
    np.testing.assert_allclose(received[0, ..., 0], expected, rtol=1e-4)


def test_the_first_of_equal_pixels_goes_first_in_both_directions():
    maps = np.array([[[1.0, 2.0], [2.0, 1.0]]])
    down, up = (pixel_ranks(maps, first) for first in (True, False))
    np.testing.assert_array_equal(down, [[[2, 0], [1, 3]]])
    np.testing.assert_array_equal(up, [[[0, 2], [3, 1]]])


def test_tiles_at_the_border_compete_by_their_mean():
    maps = np.ones((1, 3, 3))
    maps[0, 2, 2] = 1.5
    np.testing.assert_array_equal(
        tile_ranks(maps, 2), [[[1, 1, 2], [1, 1, 2], [3, 3, 0]]]
    )


def degraded(maps, **options):
    """A model that looks at the upper left of four tiles, on white."""
    weights = np.zeros((4, 4, 1))
    weights[:2, :2] = 1.0
    model = linear_model(weights, bias=-2.0)
    images = np.ones((len(maps), 4, 4, 1))
    targets = np.ones(len(maps), int)
    return metrics.degradation(model, images, maps, targets, 2, **options)


def test_degradation_of_a_model_that_looks_at_one_tile():
    maps = np.zeros((1, 4, 4))
    maps[0, :2, :2] = 1.0
    high, low = sigmoid([2.0, -2.0])
    result = degraded(maps)
    most, least = result.most_relevant_first, result.least_relevant_first
    np.testing.assert_allclose(most, [[high, low, low, low, low]], rtol=1e-5)
    np.testing.assert_allclose(least, [[high] * 4 + [low]], rtol=1e-5)
    np.testing.assert_allclose(result.values, 0.75 * (high - low), rtol=1e-5)
    np.testing.assert_allclose(result.mean_curve, (least - most)[0])
    worst = degraded(1 - maps)
    np.testing.assert_allclose(worst.values, -result.values, rtol=1e-5)
    halved = degraded(maps, steps=2)
    np.testing.assert_allclose(halved.shares, [0, 0.5, 1])
    np.testing.assert_allclose(halved.values, 0.5 * (high - low), rtol=1e-5)


def test_a_flat_map_has_no_area_between_its_curves():
    assert degraded(np.full((1, 4, 4), 0.1)).values == [0.0]


def call(**changes):
    arguments = {
        "model": linear_model(WEIGHTS),
        "images": ONES,
        "maps": ONES[..., 0],
        "targets": [1],
        "steps": 2,
    }
    return metrics.deletion(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": np.ones((1, 1, 2))}, "Resize the maps"),
        ({"maps": np.full((1, 2, 2), np.nan)}, "NaN"),
        ({"images": np.full((1, 2, 2, 1), np.inf)}, "infinity"),
        ({"images": ONES[0]}, r"images\[None\]"),
        ({"images": ONES[:0], "maps": ONES[:0, ..., 0]}, "At least one"),
        ({"targets": [2]}, r"in 0\.\.1"),
        ({"targets": [-1]}, "0 or more"),
        ({"targets": [1.0]}, "integers"),
        ({"targets": None}, "the predicted"),
        ({"targets": [1, 1]}, "one class an image"),
        ({"steps": 5}, "only 4 places"),
        ({"steps": 0}, "positive integer"),
        ({"batch_size": 0}, "positive integer"),
        ({"substrate": "noise"}, "'zeros', 'blur'"),
        ({"substrate": np.ones(3)}, "one value a channel"),
        ({"substrate": lambda images: images[0]}, "must return images"),
        ({"data_format": "last"}, "channels_first"),
        ({"model": linear_model(WEIGHTS, bias=np.nan)}, "outputs of the model"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        call(**changes)


def test_what_is_no_model_or_no_image_is_refused():
    with pytest.raises(TypeError, match=r"keras\.Model"):
        call(model=lambda images: images)
    with pytest.raises(TypeError, match="integers or floats"):
        call(images=ONES.astype(bool))


def test_a_model_that_gives_maps_is_refused():
    inputs = keras.Input((2, 2, 1))
    with pytest.raises(ValueError, match=r"\[images, classes\]"):
        call(model=keras.Model(inputs, inputs + 0.0))
