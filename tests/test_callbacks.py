"""Beta rises batch by batch as it says, on every backend."""

import math
import warnings

import keras
import numpy as np
import pytest

from keras_aib.callbacks import BetaWarmup
from keras_aib.layers import GaussianBottleneck
from keras_aib.layers import PricedLayer
from keras_aib.models import BottleneckModel


class ConstantRate(PricedLayer):
    """A bottleneck whose rate is one nat, so that its loss is its beta."""

    def __init__(self, beta=0.5, **kwargs):
        super().__init__(beta=beta, **kwargs)
        self.calls = 0

    def call(self, inputs):
        self.calls += 1
        self.add_rate(1.0)
        return inputs


class LossOfEachBatch(keras.callbacks.Callback):
    """The loss of each batch, from the running mean in the logs."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.losses = []
        self.stop_after = stop_after

    def on_train_batch_end(self, batch, logs=None):
        total = logs["loss"] * (batch + 1)
        self.losses.append(total - (self.sum_before if batch else 0.0))
        self.sum_before = total
        if len(self.losses) == self.stop_after:
            raise KeyboardInterrupt


def build(*bottlenecks):
    """A model whose predictions are right, so that it has no other loss."""
    model = keras.Sequential(
        [
            keras.Input((2,)),
            *(bottlenecks or (ConstantRate(),)),
            # It has a `beta` too, which must be left alone.
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1, kernel_initializer="zeros"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    return model


def fit(model, warmup, epochs=2, steps=5, data=None, **kwargs):
    losses = LossOfEachBatch(kwargs.pop("stop_after", None))
    inputs, labels = np.ones((2 * steps, 2)), np.zeros((2 * steps, 1))
    callbacks = [warmup, losses, *kwargs.pop("callbacks", ())]
    options = {"epochs": epochs, "verbose": 0, "callbacks": callbacks}
    try:
        if data is None:
            history = model.fit(
                inputs, labels, batch_size=2, **options, **kwargs
            )
        else:
            history = model.fit(data, shuffle=False, **options, **kwargs)
    except KeyboardInterrupt:
        return losses.losses, None
    return losses.losses, history.history


def value(layer):
    return float(keras.ops.convert_to_numpy(layer.beta))


def test_the_loss_of_every_batch_follows_a_linear_warmup():
    model = build()
    losses, history = fit(model, BetaWarmup(warmup_epochs=1.6))
    expected = [0.5 * min(1.0, step / 8) for step in range(10)]
    np.testing.assert_allclose(losses, expected, atol=1e-5)
    np.testing.assert_allclose(history["beta"], [0.25, 0.5], rtol=1e-6)
    assert value(model.layers[0]) == 0.5


def test_the_loss_of_every_batch_follows_the_tanh_warmup():
    losses, _ = fit(build(), BetaWarmup(warmup_steps=8, schedule="tanh"))

    def flank(step):
        return math.tanh(2.2 * min(1.0, step / 8) - 4.5)

    expected = [
        0.5 * (flank(step) - flank(0)) / (flank(8) - flank(0))
        for step in range(10)
    ]
    np.testing.assert_allclose(losses, expected, atol=1e-5)
    assert losses[4] < 0.25 * losses[8]


def test_the_tanh_warmup_is_the_references_curve():
    # Theirs at step t: (tanh((t - 4500) / 1000) + 1) / 2, left at 1e-2.
    from keras_aib.callbacks.beta_warmup import SCHEDULES

    for step in (500, 1000, 2000, 2200):
        theirs = (math.tanh((step - 4500) / 1000) + 1) / 2
        ours = 1e-2 * SCHEDULES["tanh"](step / 2200)
        assert abs(ours - theirs) < 0.015 * 1e-2


def test_beta_may_be_given_and_start_above_zero():
    warmup = BetaWarmup(warmup_steps=4, beta=3.0, initial_beta=1.0)
    losses, _ = fit(build(), warmup, epochs=1)
    np.testing.assert_allclose(losses, [1.0, 1.5, 2.0, 2.5, 3.0], rtol=1e-5)


def test_beta_may_fall():
    warmup = BetaWarmup(warmup_steps=2, beta=0.0, initial_beta=1.0)
    losses, _ = fit(build(), warmup, epochs=1, steps=3)
    np.testing.assert_allclose(losses, [1.0, 0.5, 0.0], atol=1e-6)


def test_the_train_step_is_not_traced_again():
    plain, warm = ConstantRate(), ConstantRate()
    fit(build(plain), keras.callbacks.Callback())
    fit(build(warm), BetaWarmup(warmup_epochs=2))
    assert warm.calls == plain.calls


def test_other_weights_learn_as_without_the_warmup():
    # On JAX the warm-up passes the whole state through the variables.
    weights = []
    for callback in (keras.callbacks.Callback(), BetaWarmup(warmup_epochs=2)):
        keras.utils.set_random_seed(1)
        model = build()
        model.compile(keras.optimizers.Adam(0.1), loss="mse")
        inputs = np.random.default_rng(0).normal(size=(10, 2))
        model.fit(
            inputs,
            inputs.sum(axis=1),
            batch_size=2,
            epochs=2,
            verbose=0,
            shuffle=False,
            callbacks=[callback],
        )
        weights.append(model.get_weights())
        iterations = model.optimizer.iterations
        assert int(keras.ops.convert_to_numpy(iterations)) == 10
    for plain, warm in zip(*weights, strict=True):
        np.testing.assert_allclose(plain, warm, rtol=1e-6)


def test_the_target_is_in_place_after_a_short_training():
    model = build()
    losses, history = fit(model, BetaWarmup(warmup_epochs=10), epochs=1)
    assert max(losses) < 0.05
    assert history["beta"][0] < 0.05
    assert value(model.layers[0]) == 0.5


def test_training_that_was_broken_off_warms_up_to_the_same_target():
    model = build()
    _, history = fit(model, BetaWarmup(warmup_steps=8), stop_after=5)
    assert history is None
    assert value(model.layers[0]) == pytest.approx(0.25)
    losses, _ = fit(model, BetaWarmup(warmup_steps=8))
    assert losses[0] == pytest.approx(0.0, abs=1e-6)
    assert losses[-1] == pytest.approx(0.5)


def test_a_resumed_training_resumes_the_warmup():
    losses, _ = fit(
        build(), BetaWarmup(warmup_epochs=2), epochs=3, initial_epoch=1
    )
    expected = [0.5 * min(1.0, step / 10) for step in range(5, 15)]
    np.testing.assert_allclose(losses, expected, atol=1e-5)


def test_validation_within_the_warmup_does_not_disturb_it():
    validation = np.ones((4, 2)), np.zeros((4, 1))
    losses, history = fit(
        build(), BetaWarmup(warmup_epochs=2), validation_data=validation
    )
    expected = [0.5 * step / 10 for step in range(10)]
    np.testing.assert_allclose(losses, expected, atol=1e-5)
    np.testing.assert_allclose(history["val_loss"], history["beta"], rtol=1e-5)


def test_bottlenecks_inside_models_and_layers_warm_up_each_to_its_own():
    class Head(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.bottleneck = ConstantRate(0.25, name="inner")

        def call(self, inputs):
            return self.bottleneck(inputs)

    nested = keras.Sequential([keras.Input((2,)), ConstantRate(1.0, name="a")])
    head = Head()
    losses, history = fit(build(nested, head), BetaWarmup(warmup_epochs=1))
    np.testing.assert_allclose(
        losses, [1.25 * min(1.0, step / 5) for step in range(10)], atol=1e-5
    )
    assert history["beta_a"][-1] == 1.0
    assert history["beta_inner"][-1] == 0.25


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_without_a_length_needs_steps():
    def batches():
        for _ in range(10):
            yield np.ones((2, 2)), np.zeros((2, 1))

    with pytest.raises(ValueError, match="Give `warmup_steps`"):
        fit(build(), BetaWarmup(warmup_epochs=1), data=batches(), epochs=1)
    losses, _ = fit(
        build(), BetaWarmup(warmup_steps=8), data=batches(), epochs=1
    )
    expected = [0.5 * min(1.0, step / 8) for step in range(10)]
    np.testing.assert_allclose(losses, expected, atol=1e-5)


def test_epochs_of_unknown_length_are_counted_on():
    layer = ConstantRate()
    warmup = BetaWarmup(warmup_steps=8)
    warmup.set_model(build(layer))
    warmup.set_params({"steps": None})
    warmup.on_train_begin()
    values = []
    for epoch, length in enumerate((3, 2, 5)):
        warmup.on_epoch_begin(epoch)
        for batch in range(length):
            warmup.on_train_batch_begin(batch)
            values.append(value(layer))
    expected = [0.5 * min(1.0, step / 8) for step in range(10)]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_the_real_bottleneck_warms_up():
    bottleneck = GaussianBottleneck(latent_dim=4, beta=0.5)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            bottleneck,
            keras.layers.Dense(1, kernel_initializer="zeros"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    losses, history = fit(model, BetaWarmup(warmup_steps=8))
    rate = losses[-1] / 0.5
    assert rate > 1
    expected = [0.5 * rate * min(1.0, step / 8) for step in range(10)]
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-5)
    assert history["beta"][-1] == 0.5


def test_a_model_without_a_beta_is_refused():
    model = build(keras.layers.Dense(2))
    with pytest.raises(ValueError, match="no layer with a price"):
        fit(model, BetaWarmup(warmup_epochs=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "as `warmup_epochs` or as `warmup_steps`"),
        ({"warmup_epochs": 1, "warmup_steps": 5}, "warmup_steps=5"),
        ({"warmup_epochs": 0}, "`warmup_epochs` must be positive"),
        ({"warmup_steps": -1}, "`warmup_steps` must be positive"),
        ({"warmup_epochs": 1, "beta": -0.1}, "`beta` must be finite and not"),
        ({"warmup_epochs": 1, "beta": math.nan}, "`beta` must be finite"),
        ({"warmup_epochs": 1, "initial_beta": math.inf}, "`initial_beta` must"),
        ({"warmup_epochs": 1, "schedule": "cosine"}, "`schedule` must be one"),
    ],
)
def test_bad_warmup_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BetaWarmup(**options)


def bottleneck_model():
    inputs = keras.Input((2,))
    latent = GaussianBottleneck(latent_dim=4, beta=0.5, seed=0)(inputs)
    model = BottleneckModel(inputs, keras.layers.Dense(1)(latent))
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    return model


def test_the_task_loss_is_the_loss_without_the_price():
    inputs, labels = np.ones((6, 2)), np.zeros((6, 1))
    history = bottleneck_model().fit(
        inputs,
        labels,
        # The last batch is smaller, and counts less.
        batch_size=4,
        validation_data=(inputs, labels),
        epochs=3,
        verbose=0,
        callbacks=[BetaWarmup(warmup_epochs=2)],
    )
    logs = history.history
    nats = np.array(logs["val_kl_bits"]) * math.log(2)
    price = np.array(logs["beta"]) * nats
    rising = np.array(logs["val_loss"]) - np.array(logs["val_task_loss"])
    np.testing.assert_allclose(rising, price, rtol=1e-4)
    assert price[0] < price[-1]
    np.testing.assert_allclose(
        logs["val_task_loss"], logs["val_task_loss"][0], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("callback", "warns"),
    [
        (keras.callbacks.EarlyStopping(), True),
        (keras.callbacks.EarlyStopping("loss"), True),
        (keras.callbacks.ReduceLROnPlateau(), True),
        (keras.callbacks.EarlyStopping(start_from_epoch=2), False),
        (keras.callbacks.EarlyStopping("val_task_loss", mode="min"), False),
        (keras.callbacks.ModelCheckpoint("x.keras"), False),
        (keras.callbacks.ModelCheckpoint("x.keras", save_best_only=True), True),
    ],
)
def test_who_watches_the_rising_loss_is_warned(callback, warns):
    callbacks = [callback, BetaWarmup(warmup_epochs=2)]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        # Nothing is trained: the data is of no kind that Keras knows.
        with pytest.raises(ValueError, match="Unrecognized"):
            bottleneck_model().fit(object(), callbacks=callbacks)
    said = [str(w.message) for w in heard if "task_loss" in str(w.message)]
    assert len(said) == warns
    if warns:
        assert (
            f"monitor='{callback.monitor.replace('loss', 'task_loss')}'"
            in (said[0])
        )


def test_a_model_saved_in_the_warmup_resumes_it(tmp_path):
    model = bottleneck_model()
    fit(model, BetaWarmup(warmup_steps=8), epochs=1, stop_after=5)
    model.save(tmp_path / "half.keras")
    again = keras.saving.load_model(tmp_path / "half.keras")
    assert value(again.layers[1]) == pytest.approx(0.25)
    fit(again, BetaWarmup(warmup_steps=8))
    assert value(again.layers[1]) == pytest.approx(0.5)
