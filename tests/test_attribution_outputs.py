"""What is kept is what the model means: logits, classes, labels, any dtype."""

import keras
import numpy as np
import pytest
from explained_models import pixels
from explained_models import residual_model
from explained_models import statistics_of
from keras import ops

from keras_aib import attribution


@pytest.fixture(scope="module")
def pooled():
    keras.utils.set_random_seed(1)
    model = residual_model()
    return keras.Model(model.input, model.get_layer("pooling").output)


@pytest.fixture(scope="module")
def statistics(pooled):
    return statistics_of(pooled, ["stem"])


def headed(pooled, units, activation=None, scale=3.0, dtype=None):
    """The same head, whatever comes behind it."""
    head = keras.layers.Dense(units, activation=activation, dtype=dtype)
    model = keras.Model(pooled.input, head(pooled.output))
    kernel = np.random.default_rng(0).normal(0, scale, (4, units))
    head.set_weights([kernel, np.zeros(units)])
    return model


def bits(model, statistics, targets=None, **options):
    method = attribution.IBA(model, "stem", statistics, **options)
    return method(pixels(3), targets, verbose=0).bits


@pytest.mark.parametrize("ending", ["activation", "layer", "operation"])
@pytest.mark.parametrize("target", [0, 2])
def test_a_softmax_that_rounds_to_nothing_changes_nothing(
    pooled, statistics, ending, target
):
    scale = 1000.0  # The other classes have probability 0 in float32.
    logits = headed(pooled, 3, scale=scale)
    if ending == "activation":
        model = headed(pooled, 3, "softmax", scale)
    elif ending == "layer":
        model = keras.Model(logits.input, keras.layers.Softmax()(logits.output))
    else:
        model = keras.Model(logits.input, ops.softmax(logits.output))
    expected = bits(logits, statistics, [target] * 3)
    found = bits(model, statistics, [target] * 3)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("units", [1, 3])
def test_a_sigmoid_head_keeps_the_label_alone(pooled, statistics, units, label):
    model = headed(pooled, units, "sigmoid")

    def own_loss(outputs):
        chosen = outputs[:, label if units > 1 else 0]
        return -ops.log(chosen if units > 1 or label else 1 - chosen)

    expected = bits(model, statistics, own_loss)
    for asked in (
        model,
        headed(pooled, units),  # logits: said by the argument or the loss
    ):
        kind = None if asked is model else "label_logits"
        found = bits(asked, statistics, [label] * 3, output_kind=kind)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_the_most_probable_label_is_explained_and_others_are_refused(
    pooled, statistics
):
    model = headed(pooled, 3, "sigmoid")
    explain = attribution.IBA(model, "stem", statistics, steps=1)
    images = pixels(3)
    found = explain(images, verbose=0)
    said = model.predict(images, verbose=0)
    np.testing.assert_array_equal(found.targets, said.argmax(-1))
    np.testing.assert_allclose(found.probability, said.max(-1), atol=1e-5)
    binary = attribution.IBA(headed(pooled, 1), "stem", statistics, steps=1)
    found = binary(images, [0, 1, 1], verbose=0)
    np.testing.assert_allclose(
        (found.probability[0] < 0.5, found.targets[0]),
        (binary(images, verbose=0).targets[0] == 1, 0),
    )
    with pytest.raises(ValueError, match=r"0\.\.1.*0 to 2"):
        binary(images, [0, 1, 2], verbose=0)


def test_outputs_of_bfloat16(pooled, statistics):
    for activation in (None, "softmax", "sigmoid"):
        found, expected = (
            bits(headed(pooled, 3, activation, dtype=dtype), statistics)
            for dtype in ("bfloat16", "float32")
        )
        np.testing.assert_allclose(
            found.sum(axis=(1, 2)), expected.sum(axis=(1, 2)), rtol=0.1
        )


def test_what_nothing_tells_is_asked_for(pooled, statistics):
    logits = headed(pooled, 3)
    model = keras.Model(logits.input, ops.abs(logits.output) / 10)
    with pytest.raises(ValueError, match="Pass `output_kind`"):
        bits(model, statistics)
    assert bits(model, statistics, output_kind="logits").max() > 0
