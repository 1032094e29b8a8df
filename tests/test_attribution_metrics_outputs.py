"""Metrics judge by the probability that a model means, whatever it gives."""

import keras
import numpy as np
import pytest
from judged_models import sigmoid

from keras_aib.attribution import metrics

SHAPE = (8, 8, 3)
BIAS = [2.0, 0.5, -1.0]


def labelled(activation, units=3, dtype=None, batch_size=None):
    inputs = keras.Input(SHAPE, batch_size=batch_size)
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = keras.layers.Dense(
        units, activation=activation, name="labels", dtype=dtype
    )(x)
    model = keras.Model(inputs, outputs)
    kernel = np.diag([3.0, -2.0, 1.0])[:, :units]
    model.get_layer("labels").set_weights([kernel, np.array(BIAS[:units])])
    return model


@pytest.fixture
def case():
    random = np.random.default_rng(0)
    images = random.uniform(size=(3, *SHAPE)).astype("float32")
    return images, random.uniform(size=(3, 8, 8))


def starts(model, case, targets, **options):
    images, maps = case
    result = metrics.deletion(model, images, maps, targets, steps=2, **options)
    return result.curves[:, 0]


def logits_of(images):
    return images.mean(axis=(1, 2)) @ np.diag([3.0, -2.0, 1.0]) + BIAS


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_label_is_judged_by_itself(case, activation, dtype):
    model = labelled(activation, dtype=dtype)
    options = {} if activation else {"output_kind": "label_logits"}
    expected = sigmoid(logits_of(case[0]))
    for label in range(3):
        np.testing.assert_allclose(
            starts(model, case, [label] * 3, **options),
            expected[:, label],
            atol=0.02 if dtype == "bfloat16" else 1e-5,
        )


def test_the_loss_says_that_they_are_labels(case):
    model = labelled(None)
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    expected = sigmoid(logits_of(case[0]))[:, 1]
    np.testing.assert_allclose(
        starts(model, case, [1] * 3), expected, atol=1e-5
    )


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_output_tells_two_classes_apart(case, activation):
    model = labelled(activation, units=1)
    expected = sigmoid(logits_of(case[0])[:, 0])
    np.testing.assert_allclose(
        starts(model, case, [1, 0, 1]),
        [expected[0], 1 - expected[1], expected[2]],
        atol=1e-5,
    )
    with pytest.raises(ValueError, match=r"lie in 0\.\.1"):
        starts(model, case, [2, 0, 0])


def test_accuracy_of_labels_is_that_of_each_label(case):
    images, maps = case
    model = labelled("sigmoid")
    said = sigmoid(logits_of(images)) > 0.5
    for label in range(3):
        result = metrics.road(
            model, images, maps, [label] * 3, shares=[0.01], noise_stddev=0
        )
        np.testing.assert_array_equal(result.curves[:, 0], said[:, label])


def test_the_output_of_class_0_is_the_other_ones_opposite(case):
    images, maps = case
    model = labelled(None, units=1)
    of_one, of_zero = (
        metrics.sensitivity_n(
            model, images, maps, [target] * 3, num_subsets=5, sizes=[8]
        ).values
        for target in (1, 0)
    )
    np.testing.assert_allclose(of_one, -of_zero, atol=1e-6)


def test_a_model_of_fixed_batches(case):
    model = labelled("softmax", batch_size=2)
    free = labelled("softmax")
    np.testing.assert_allclose(
        starts(model, case, [0, 1, 2]), starts(free, case, [0, 1, 2]), atol=1e-6
    )


def test_what_does_not_tell_asks(case):
    model = labelled("relu")
    with pytest.raises(ValueError, match="Pass `output_kind`"):
        starts(model, case, [0] * 3)
    given = starts(model, case, [0] * 3, output_kind="probabilities")
    np.testing.assert_allclose(given, logits_of(case[0])[:, 0], atol=1e-5)
