"""Parameter groups and weight decay, against the formulas by hand."""

import keras
import numpy as np
import pytest

from keras_aib.layers import AnchorQuantizer
from keras_aib.models import BottleneckModel
from keras_aib.optimizers import GroupedAdam
from keras_aib.optimizers import GroupedSGD

SCALE = 1e-2


def make_model(optimizer):
    keras.utils.set_random_seed(0)
    images = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(1, 3, padding="same", name="score")(images)
    x = AnchorQuantizer(
        num_anchors=5, anchor_gradient_scale=1.0, name="quantizer"
    )(x)
    x = keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(x))
    model = BottleneckModel(images, x)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return model


def moves(optimizer):
    """How far each weight moves in one step of `fit`, by its path."""
    model = make_model(optimizer)
    before = [np.array(weight) for weight in model.trainable_weights]
    images = np.random.default_rng(0).normal(size=(4, 4, 4, 3))
    model.fit(images.astype("float32"), np.array([0, 1, 0, 1]), verbose=0)
    return {
        weight.path: np.array(weight) - start
        for weight, start in zip(model.trainable_weights, before, strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [GroupedSGD, GroupedAdam])
def test_only_the_anchors_move_less(optimizer):
    scaled = moves(optimizer(0.05, learning_rate_scales={"anchors": SCALE}))
    plain = moves(optimizer(0.05))
    assert len(plain) == 5
    for name, move in plain.items():
        assert np.abs(move).max() > 1e-4
        factor = SCALE if name == "quantizer/anchors" else 1.0
        # Differences of numbers near 1 in float32.
        np.testing.assert_allclose(scaled[name], factor * move, atol=2e-7)


@pytest.mark.parametrize(
    ("grouped", "keras_own"),
    [
        (GroupedSGD(0.05, momentum=0.9), keras.optimizers.SGD(0.05, 0.9)),
        (GroupedAdam(0.05), keras.optimizers.Adam(0.05)),
    ],
)
def test_without_groups_it_is_kerass_own(grouped, keras_own):
    expected = moves(keras_own)
    for name, move in moves(grouped).items():
        np.testing.assert_allclose(move, expected[name], atol=1e-6)


def apply(optimizer, start, gradients):
    weight = keras.Variable(start, name="weight")
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    return keras.ops.convert_to_numpy(weight)


def test_coupled_weight_decay_by_hand():
    start, gradients = 2.0, (0.5, -1.0, 0.25)
    rate, momentum, decay = 0.1, 0.9, 0.05
    weight, velocity = start, 0.0
    for gradient in gradients:
        velocity = momentum * velocity + gradient + decay * weight
        weight -= rate * velocity
    optimizer = GroupedSGD(rate, momentum, coupled_weight_decay=decay)
    np.testing.assert_allclose(
        apply(optimizer, [start], gradients_of(gradients)), [weight], rtol=1e-6
    )


def gradients_of(values):
    return [np.array([value], "float32") for value in values]


def test_coupled_weight_decay_goes_through_adam_by_hand():
    weight, first, second = 2.0, 0.0, 0.0
    for step, gradient in enumerate((0.5, -1.0, 0.25), start=1):
        gradient += 0.05 * weight
        first = 0.5 * first + 0.5 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        mean, square = first / (1 - 0.5**step), second / (1 - 0.999**step)
        weight -= 0.1 * mean / np.sqrt(square)
    optimizer = GroupedAdam(0.1, beta_1=0.5, coupled_weight_decay=0.05)
    received = apply(optimizer, [2.0], gradients_of((0.5, -1.0, 0.25)))
    np.testing.assert_allclose(received, [weight], rtol=1e-5)


@pytest.mark.parametrize("optimizer", [GroupedSGD, GroupedAdam])
def test_round_trip(optimizer):
    original = optimizer(
        keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
        learning_rate_scales={"anchors": 1e-4},
        coupled_weight_decay=5e-4,
        use_ema=True,
    )
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(original))
    assert type(copy) is optimizer
    assert copy.get_config() == original.get_config()
    assert copy.learning_rate_scales == {"anchors": 1e-4}


def test_a_compiled_model_comes_back_with_its_groups(tmp_path):
    model = make_model(GroupedSGD(0.1, learning_rate_scales={"anchors": 0.0}))
    images = np.ones((2, 4, 4, 3), "float32")
    model.fit(images, np.array([0, 1]), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.fit(images, np.array([0, 1]), verbose=0)
    anchors = next(w for w in loaded.weights if w.name == "anchors")
    np.testing.assert_allclose(np.array(anchors), np.linspace(0, 1, 5))
    assert int(loaded.optimizer.iterations) == 2


def test_a_layer_names_a_group_and_factors_multiply():
    optimizer = GroupedSGD(1.0, learning_rate_scales={"score": 0.5, "bias": 0})
    plain, scaled = moves(GroupedSGD(1.0)), moves(optimizer)
    factors = {"score/kernel": 0.5, "score/bias": 0, "logits/bias": 0}
    for name, move in plain.items():
        np.testing.assert_allclose(
            scaled[name], factors.get(name, 1) * move, atol=1e-6
        )


def test_unknown_name():
    optimizer = GroupedSGD(learning_rate_scales={"anchor": 1e-4})
    with pytest.raises(ValueError, match="'anchor', but no trainable"):
        apply(optimizer, [1.0], gradients_of([1.0]))


@pytest.mark.parametrize("scale", [-1.0, float("nan"), float("inf")])
def test_bad_scale(scale):
    with pytest.raises(ValueError, match="learning_rate_scales"):
        GroupedAdam(learning_rate_scales={"anchors": scale})


def test_bad_weight_decay():
    with pytest.raises(ValueError, match="coupled_weight_decay=-1"):
        GroupedSGD(coupled_weight_decay=-1)
    with pytest.raises(ValueError, match="either `coupled_weight_decay`"):
        GroupedSGD(coupled_weight_decay=5e-4, weight_decay=5e-4)
