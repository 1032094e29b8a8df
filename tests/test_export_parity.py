"""The comparison of file and model, on numbers chosen by hand."""

import numpy as np
import pytest

from keras_aib.export import ExportError
from keras_aib.export.parity import check_parity
from keras_aib.export.parity import compare
from keras_aib.export.parity import generated_images
from keras_aib.export.reference import _batches

ANCHORS = np.array([0.0, 0.5, 1.0], "float32")


def outputs(attention, probabilities=(0.9, 0.1)):
    return {
        "probabilities": np.array([probabilities] * len(attention)),
        "attention": np.array(attention, "float32"),
    }


def test_differences_by_hand():
    parity = compare(
        {"probabilities": np.array([[0.6, 0.4], [0.6, 0.4]])},
        {"probabilities": np.array([[0.6, 0.4], [0.4, 0.6]])},
    )
    assert parity.max_difference["probabilities"] == pytest.approx(0.2)
    assert parity.mean_difference["probabilities"] == pytest.approx(0.1)
    assert parity.agreement == 0.5
    assert (parity.num_images, parity.num_ties) == (2, 0)


def test_a_tied_score_may_take_either_anchor():
    expected = outputs([[[0.0, 1.0]], [[0.5, 1.0]]])
    received = outputs([[[0.5, 1.0]], [[0.5, 1.0]]])
    # Another tenth of probability follows from it, and is not held against it.
    received["probabilities"][0] = (0.8, 0.2)
    scores = np.array([[[0.25, 1.0]], [[0.5, 1.0]]])
    parity = compare(expected, received, ANCHORS, scores)
    assert (parity.num_images, parity.num_ties) == (1, 1)
    assert parity.max_difference == {"probabilities": 0, "attention": 0}


@pytest.mark.parametrize(
    "received, scores",
    [
        # Not half way between the two.
        (0.5, 0.2),
        # Not an anchor at all.
        (0.25, 0.25),
        # Half way, but of other anchors.
        (1.0, 0.25),
    ],
)
def test_what_is_no_tie_counts(received, scores):
    parity = compare(
        outputs([[[0.0]], [[0.5]]]),
        outputs([[[received]], [[0.5]]]),
        ANCHORS,
        np.array([[[scores]], [[0.5]]]),
    )
    assert parity.num_ties == 0
    with pytest.raises(ExportError, match="'attention'"):
        check_parity(parity, None)


def test_nothing_but_ties():
    with pytest.raises(ExportError, match="Pass other `images`"):
        compare(
            outputs([[[0.0]]]),
            outputs([[[0.5]]]),
            ANCHORS,
            np.array([[[0.25]]]),
        )


def test_integers_are_judged_by_the_mean():
    expected = {"probabilities": np.zeros((100, 2))}
    received = {"probabilities": np.zeros((100, 2))}
    received["probabilities"][0] = 0.9
    parity = compare(expected, received)
    check_parity(parity, "int8")
    with pytest.raises(ExportError, match=r"largest difference 0\.9"):
        check_parity(parity, None)
    with pytest.raises(ExportError, match=r"mean difference 0\.009"):
        check_parity(parity, "int8", tolerance=0.001)


def test_generated_images_are_pixels_with_a_picture_in_them():
    images = generated_images((30, 20, 3))
    assert images.shape[1:] == (30, 20, 3)
    assert images.min() >= 0
    assert images.max() <= 255
    assert np.array_equal(images, np.rint(images))
    # Neighbours are alike, as in a photograph.
    rows = np.abs(np.diff(images, axis=1)).mean()
    assert rows < np.abs(images - images[::-1, ::-1]).mean()


@pytest.mark.parametrize(
    "count, batch_size, sizes",
    [
        (1, None, [1, 2]),
        (5, None, [1, 4]),
        (70, None, [1, 32, 32, 5]),
        (5, 2, [2, 2, 2]),
        (1, 3, [3]),
    ],
)
def test_one_image_and_several(count, batch_size, sizes):
    images = np.arange(count * 3.0).reshape(count, 1, 1, 3)
    batches = _batches(images, batch_size)
    assert [len(batch) for batch in batches] == sizes
    assert set(np.concatenate(batches).ravel()) == set(images.ravel())
