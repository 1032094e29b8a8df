"""The comparison of file and model, on numbers chosen by hand."""

import numpy as np
import pytest

from keras_aib.export import ExportError
from keras_aib.export.model_outputs import batch_indices
from keras_aib.export.parity import check_parity
from keras_aib.export.parity import compare
from keras_aib.export.parity import find_limits
from keras_aib.export.parity import generated_images
from keras_aib.models.output_head import OutputHead

CLASSES = OutputHead("probabilities", 2)
LABELS = OutputHead("label_probabilities", 3)
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
        CLASSES,
    )
    assert parity.max_difference["probabilities"] == pytest.approx(0.2)
    assert parity.mean_difference["probabilities"] == pytest.approx(0.1)
    assert parity.agreement == 0.5
    assert parity.total_variation == pytest.approx(0.1)
    assert parity.contradicted == 0.5
    assert (parity.num_images, parity.num_ties) == (2, 0)


def test_a_tied_score_may_take_either_anchor():
    expected = outputs([[[0.0, 1.0]], [[0.5, 1.0]]])
    received = outputs([[[0.5, 1.0]], [[0.5, 1.0]]])
    # Another tenth of probability follows from it, and is not held against it.
    received["probabilities"][0] = (0.8, 0.2)
    scores = np.array([[[0.25, 1.0]], [[0.5, 1.0]]])
    parity = compare(expected, received, CLASSES, ANCHORS, scores)
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
        CLASSES,
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
            CLASSES,
            ANCHORS,
            np.array([[[0.25]]]),
        )


def of_one_class(chosen, sure=0.9, count=100):
    """Probabilities of images, each `sure` to be of class `chosen`."""
    array = np.full((len(chosen), count), (1 - sure) / (count - 1))
    array[np.arange(len(chosen)), chosen] = sure
    return {"probabilities": array}


@pytest.mark.parametrize(
    "received, wrong",
    [
        (of_one_class(range(20)), None),
        (of_one_class(range(20), 0.8), None),
        # Of a hundred classes, the mean difference is below 0.02 for these.
        (of_one_class([5] * 20), "mean total variation 0.8.*another one 0.95"),
        (of_one_class(range(20), 0.3), "mean total variation 0.6"),
        (of_one_class([*range(17), 0, 0, 0]), "another one 0.15"),
        ({"probabilities": np.full((20, 100), np.nan)}, "is not finite"),
    ],
)
def test_integers_are_judged_by_classes_and_total_variation(received, wrong):
    def judge():
        expected = of_one_class(range(20))
        parity = compare(expected, received, OutputHead("probabilities", 100))
        check_parity(parity, find_limits("int8"))

    if wrong is None:
        judge()
        return
    with pytest.raises(ExportError, match=wrong):
        judge()


def test_images_between_two_classes_may_fall_to_either():
    expected = {"probabilities": np.array([[0.52, 0.48], [0.9, 0.1]])}
    received = {"probabilities": np.array([[0.49, 0.51], [0.9, 0.1]])}
    parity = compare(expected, received, CLASSES)
    assert parity.agreement == 0.5
    assert parity.contradicted == 0
    check_parity(parity, find_limits("int8"))
    with pytest.raises(ExportError, match="largest difference"):
        check_parity(parity, find_limits(None))


def test_labels_are_judged_one_by_one():
    expected = np.array([[0.9, 0.1, 0.9]] * 9 + [[0.9, 0.9, 0.9]])
    received = expected.copy()
    # The second label is never found: 97 % of all labels are right.
    received[:, 1] = 0.1
    parity = compare(
        {"probabilities": expected}, {"probabilities": received}, LABELS
    )
    assert parity.agreement == pytest.approx(29 / 30)
    assert parity.contradicted == pytest.approx(0.1)
    assert parity.total_variation == pytest.approx(0.08)
    with pytest.raises(ExportError, match="clearly in another"):
        check_parity(parity, find_limits("dynamic_range"))


@pytest.mark.parametrize("kind", ["logits", "label_logits"])
def test_logits_are_judged_by_their_probabilities(kind):
    expected = {"logits": np.array([[9.0, -9.0]])}
    near = {"logits": np.array([[19.0, -19.0]])}
    parity = compare(expected, near, OutputHead(kind, 2))
    assert parity.max_difference["logits"] == 10
    check_parity(parity, find_limits("int8"))
    far = compare(expected, {"logits": -near["logits"]}, OutputHead(kind, 2))
    with pytest.raises(ExportError, match="mean total variation 1"):
        check_parity(far, find_limits("int8"))


def test_a_single_output_tells_two_classes_apart():
    parity = compare(
        {"probabilities": np.array([[0.1], [0.9]])},
        {"probabilities": np.array([[0.2], [0.4]])},
        OutputHead("label_probabilities", 1),
    )
    assert parity.agreement == 0.5
    assert parity.total_variation == pytest.approx(0.3)


def test_half_precision_is_given_room_by_what_it_rounds():
    parity = compare(
        {"probabilities": np.array([[0.6, 0.4]])},
        {"probabilities": np.array([[0.55, 0.45]])},
        CLASSES,
    )
    check_parity(parity, find_limits(None, "bfloat16"))
    with pytest.raises(ExportError, match=r"0\.05, accepted is 0\.016"):
        check_parity(parity, find_limits(None, "float16"))
    with pytest.raises(ExportError, match="largest difference"):
        check_parity(parity, find_limits(None, "float32"))


def test_large_values_may_differ_in_proportion():
    parity = compare(
        {"logits": np.array([[500.0, 3.0]])},
        {"logits": np.array([[500.01, 3.0]])},
        OutputHead("logits", 2),
    )
    check_parity(parity, find_limits(None))
    with pytest.raises(ExportError, match="largest difference"):
        check_parity(parity, find_limits(None), tolerance=1e-4)


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
    indices = batch_indices(count, batch_size)
    assert [len(batch) for batch in indices] == sizes
    assert set(np.concatenate(indices)) == set(range(count))
