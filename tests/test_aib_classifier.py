"""The classifier on a small backbone: training, maps, samples, bad input."""

import keras
import numpy as np
import pytest
from small_classifier import NUM_CLASSES
from small_classifier import make_backbone
from small_classifier import make_images
from small_classifier import make_model

from keras_aib.layers import GaussianBottleneck
from keras_aib.models import AIBClassifier

RATES = {
    "task_loss",
    "kl_bits",
    "attention_mean",
    "attention_spread",
    "anchors_used",
    "anchor_distance",
}


def test_rates_show_in_the_history_of_training_and_validation():
    images, labels = make_images()
    history = make_model().fit(
        images, labels, validation_data=(images, labels), epochs=2, verbose=0
    )
    expected = RATES | {"loss", "accuracy"}
    expected |= {f"val_{name}" for name in expected}
    assert set(history.history) == expected
    assert np.isfinite(list(history.history.values())).all()
    assert 1 / 5 <= history.history["anchors_used"][-1] <= 1


def test_kl_bits_is_the_rate_of_the_latent():
    images, labels = make_images()
    model = make_model(num_anchors=None)
    pooled = keras.Model(model.input, model.bottleneck.input)(images)
    mean, stddev = model.bottleneck.encode(pooled)
    bits = keras.ops.convert_to_numpy(model.bottleneck.kl(mean, stddev))
    expected = bits.mean() / np.log(2)
    results = model.evaluate(images, labels, verbose=0, return_dict=True)
    np.testing.assert_allclose(results["kl_bits"], expected, rtol=1e-4)
    assert set(results) == {"loss", "accuracy"} | (
        RATES - {"anchors_used", "anchor_distance"}
    )


def test_beta_weighs_the_rate_in_the_loss():
    images, labels = make_images()
    model = make_model(beta=0.0)
    free = model.evaluate(images, labels, verbose=0, return_dict=True)
    model.bottleneck.beta.assign(0.01)
    priced = model.evaluate(images, labels, verbose=0, return_dict=True)
    nats = free["kl_bits"] * np.log(2)
    difference = priced["loss"] - free["loss"]
    np.testing.assert_allclose(difference, 0.01 * nats, rtol=1e-3)


def test_it_learns_where_to_look():
    """The class is a coloured patch; its place is random."""
    random = np.random.default_rng(0)
    images = random.uniform(0, 40, size=(192, 16, 16, 3)).astype("float32")
    labels = random.integers(0, NUM_CLASSES, size=192)
    places = random.integers(0, 3, size=(192, 2)) * 5
    for image, label, (row, column) in zip(images, labels, places, strict=True):
        image[row : row + 6, column : column + 6, label] = 250.0
    model = make_model(beta=1e-5)
    model.optimizer.learning_rate = 5e-3
    history = model.fit(images, labels, epochs=12, batch_size=32, verbose=0)
    assert history.history["accuracy"][-1] > 0.9
    assert model.evaluate(images, labels, verbose=0)[1] > 0.9


def test_uint8_and_float_pixels_agree_and_inference_is_deterministic():
    images, _ = make_images()
    model = make_model()
    once = model.predict(images, verbose=0)
    np.testing.assert_array_equal(once, model.predict(images, verbose=0))
    floats = model.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(once, floats, atol=1e-6)


@pytest.mark.parametrize("num_anchors", [5, None])
def test_attention_maps(num_anchors):
    images, _ = make_images(count=5)
    model = make_model(num_anchors=num_anchors)
    maps = model.attention(images, batch_size=2)
    expected = {"mean", "stddev"} | ({"quantized"} if num_anchors else set())
    assert set(maps) == expected
    for scores in maps.values():
        assert isinstance(scores, np.ndarray)
        assert scores.shape == (5, 8, 8)
    if num_anchors:
        on_anchors = maps["quantized"][..., None] == np.linspace(
            0, 1, 5, dtype="float32"
        )
        assert on_anchors.any(-1).all()
    assert ((maps["mean"] > 0) & (maps["mean"] < 1)).all()
    assert (maps["stddev"] > 0).all()


@pytest.mark.parametrize("with_skip", [False, True])
def test_samples_scatter_around_the_prediction(with_skip):
    images, _ = make_images(count=3)
    model = make_model(make_backbone(with_skip=with_skip), stddev_offset=-2.0)
    samples = model.predict_samples(images, 64, batch_size=2, seed=7)
    assert samples.shape == (64, 3, NUM_CLASSES)
    again = model.predict_samples(images, 64, batch_size=2, seed=7)
    np.testing.assert_allclose(samples, again, atol=1e-6)
    spread = samples.std(axis=0)
    assert (spread > 0).all()
    error = np.abs(samples.mean(axis=0) - model.predict(images, verbose=0))
    assert (error < 6 * spread / np.sqrt(64) + 0.05).all()
    assert model._derived.monte_carlo.runs_trunk_once is (not with_skip)


def test_samples_equal_both_ways_of_computing_them():
    """Trunk once, or everything again: the same draws, the same logits."""
    images, _ = make_images(count=2)
    model = make_model()
    samples = model.predict_samples(images, 2, seed=3)
    derived = model._derived
    random = np.random.default_rng(np.random.SeedSequence(3).spawn(1)[0])
    start = derived.wiring.images()
    noise = keras.Input((None, None, 1))
    latent = keras.Input((6,))
    pooled = derived.wiring.connect(start, noise).pooled
    logits = model.decoder(model.bottleneck(pooled, noise=latent))
    whole = keras.Model([start, noise, latent], logits)
    for sample in samples:
        draws = [
            random.standard_normal(shape).astype("float32")
            for shape in ((2, 8, 8, 1), (2, 6))
        ]
        expected = whole.predict_on_batch([images, *draws])
        np.testing.assert_allclose(sample, expected, atol=1e-5)


def test_without_noise_samples_equal_the_prediction():
    images, _ = make_images(count=2)
    model = make_model(stddev_offset=-80.0)
    samples = model.predict_samples(images, 3)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(samples, np.stack([expected] * 3), atol=1e-5)


def test_save_and_reload_continue_training(tmp_path):
    images, labels = make_images()
    model = make_model()
    model.fit(images, labels, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict(images, verbose=0),
        model.predict(images, verbose=0),
        atol=1e-6,
    )
    assert int(again.optimizer.iterations) == 2
    for old, new in zip(
        model.optimizer.variables, again.optimizer.variables, strict=True
    ):
        np.testing.assert_allclose(np.array(new), np.array(old), atol=1e-6)
    assert np.isfinite(again.fit(images, labels, verbose=0).history["loss"][0])


def test_mixed_precision_survives_another_policy(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    images, labels = make_images()
    model = make_model()
    model.fit(images, labels, verbose=0)
    logits = model.predict(images, verbose=0)
    assert logits.dtype == np.float32
    assert model.attention(images)["mean"].dtype == np.float32
    assert model.predict_samples(images, 2).shape == (2, 6, NUM_CLASSES)
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict(images, verbose=0), logits, atol=1e-6
    )


def test_channels_first_backbone_equals_channels_last():
    images, _ = make_images(count=2)
    last = make_model()
    keras.config.set_image_data_format("channels_first")
    inputs = keras.Input((3, None, None))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same")(inputs)
    x = keras.layers.BatchNormalization(axis=1)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(8, 3, padding="same", name="middle")(x)
    x = keras.layers.Conv2D(12, 3, strides=2, padding="same")(x)
    first = make_model(keras.Model(inputs, x))
    first.set_weights(last.get_weights())
    moved = np.moveaxis(images, -1, 1)
    np.testing.assert_allclose(
        first.predict(moved, verbose=0),
        last.predict(images, verbose=0),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        first.attention(moved)["mean"],
        last.attention(images)["mean"],
        atol=1e-5,
    )
    assert first.predict_samples(moved, 2).shape == (2, 2, NUM_CLASSES)


def test_activation_gives_probabilities():
    images, _ = make_images(count=2)
    model = make_model(activation="softmax")
    sums = model.predict(images, verbose=0).sum(axis=-1)
    np.testing.assert_allclose(sums, 1.0, atol=1e-5)


@pytest.mark.parametrize("pooling", ["max", "flatten"])
def test_other_pooling(pooling):
    model = make_model(make_backbone(size=16), pooling=pooling)
    images, _ = make_images(count=2)
    assert model.predict(images, verbose=0).shape == (2, NUM_CLASSES)


def test_beta_is_the_bottlenecks():
    model = make_model(beta=0.125)
    assert isinstance(model.bottleneck, GaussianBottleneck)
    assert float(model.bottleneck.beta.numpy()) == 0.125


def with_value(value):
    images = np.zeros((4, 16, 16, 3), "float32")
    images[2, 3, 4, 1] = value
    return images


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "attention"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_not_finite_are_named(method, value):
    with pytest.raises(ValueError, match=r"1 of 4 images .* index 2"):
        getattr(make_model(), method)(with_value(value))


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((16, 16, 3)), ValueError, "Add the batch axis"),
        (np.zeros((2, 16, 16, 4)), ValueError, "must have 3 channels"),
        (np.zeros((2, 16, 16, 3), bool), TypeError, "integers or floats"),
        (np.full((2, 16, 16, 3), "a"), TypeError, "integers or floats"),
    ],
)
def test_bad_images(images, error, message):
    model = make_model()
    for method in (model.predict, model.attention, model.predict_samples):
        with pytest.raises(error, match=message):
            method(images)


def test_images_of_another_size_than_a_fixed_backbone():
    model = make_model(make_backbone(size=16))
    with pytest.raises(ValueError, match="built for images of shape"):
        model.predict(np.zeros((1, 20, 20, 3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_anchors": 1}, "2 or more"),
        ({"num_anchors": 0}, "2 or more"),
        ({"beta": -1.0}, "0 or more"),
        ({"pooling": "mean"}, "must be one of"),
        ({"latent_dim": 0}, "positive integer"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_model(**arguments)


def test_bad_num_classes_and_preprocessor():
    with pytest.raises(ValueError, match="positive integer"):
        AIBClassifier(make_backbone(), 0)
    with pytest.raises(TypeError, match="must be a Keras layer"):
        make_model(preprocessor=lambda x: x / 255)


@pytest.mark.parametrize("num_samples", [0, -1, 1.5])
def test_bad_num_samples(num_samples):
    with pytest.raises(ValueError, match="positive integer"):
        make_model().predict_samples(make_images()[0], num_samples)


def test_map_of_one_position_trains():
    images, labels = make_images(size=2)
    history = make_model().fit(images, labels, verbose=0)
    assert history.history["attention_spread"] == [0.0]


def test_batches_of_one_image_train():
    images, labels = make_images(count=3)
    history = make_model().fit(images, labels, batch_size=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.large
@pytest.mark.filterwarnings("default")  # torch.compile warns of Keras
def test_trains_compiled_by_the_backend():
    """XLA on TensorFlow and JAX, torch.compile on torch."""
    images, labels = make_images()
    model = make_model()
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    history = model.fit(images, labels, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][0] != history["loss"][1]
    assert (np.array(history["kl_bits"]) > 0).all()
