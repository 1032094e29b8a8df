"""What must hold for every layer, and the mathematics of each."""

import json
import math

import keras
import numpy as np
import pytest
from gradients import gradients

from keras_aib import layers
from keras_aib.models import BottleneckModel

MAPS = (2, 6, 5, 3)
SCORES = (2, 6, 5, 1)
LATENT = {"latent_dim": 4, "beta": 0.01, "seed": 1}
QUANTIZED = {"num_anchors": 4, "stddev_offset": -1.0}
CONTINUOUS = {"num_anchors": None, "stddev_offset": -1.0}
# class, arguments, input shape, number of seeds, number of losses
LAYERS = {
    "attention": (layers.VariationalSpatialAttention, {"seed": 1}, MAPS, 1, 0),
    "quantizer": (layers.AnchorQuantizer, {"num_anchors": 5}, SCORES, 0, 2),
    "bottleneck": (layers.GaussianBottleneck, LATENT, (3, 7), 1, 1),
    "block": (layers.BottleneckAttention, QUANTIZED, MAPS, 1, 2),
    "continuous_block": (layers.BottleneckAttention, CONTINUOUS, MAPS, 1, 0),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def to_numpy(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def first(outputs):
    return outputs[0] if isinstance(outputs, tuple) else outputs


def make(name, **changes):
    cls, arguments, shape, _, _ = LAYERS[name]
    inputs = np.random.normal(size=shape).astype("float32")
    layer = cls(**{**arguments, **changes})
    if changes.get("data_format") != "channels_first":
        layer.build(shape)
        scatter_scores(layer)
    return layer, inputs


def scatter_scores(layer):
    """Scores start flat; a test of maps wants some that differ."""
    attention = getattr(layer, "attention", layer)
    if isinstance(attention, layers.VariationalSpatialAttention):
        kernel, bias = attention.score_network.get_weights()
        kernel = np.random.normal(scale=0.4, size=kernel.shape)
        attention.score_network.set_weights([kernel, bias])


@every_layer
def test_configuration_survives_json(name):
    layer, inputs = make(name)
    expected = to_numpy(first(layer(inputs)))
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    again(inputs)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(first(again(inputs))), expected)


@every_layer
def test_counts_of_losses_and_seeds(name):
    layer, inputs = make(name)
    layer(inputs, **training(layer))
    _, _, _, num_seeds, num_losses = LAYERS[name]
    assert len(layer.losses) == num_losses
    assert all(loss.shape == () for loss in layer.losses)
    seeds = [w for w in layer.non_trainable_variables if "seed" in w.path]
    assert len(seeds) == num_seeds
    assert layer.non_trainable_weights == []


def training(layer):
    if isinstance(layer, layers.AnchorQuantizer):
        return {}
    return {"training": True}


@every_layer
def test_trains_a_compiled_step_and_reloads(name, tmp_path):
    layer, inputs = make(name)
    images = keras.Input(inputs.shape[1:])
    outputs = first(layer(images))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(outputs))
    model = BottleneckModel(images, outputs)
    model.compile("adam", "mse")
    before = [np.array(v) for v in layer.trainable_variables]
    targets = np.ones((len(inputs), 2))
    history = model.fit(inputs, targets, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for old, new in zip(before, layer.trainable_variables, strict=True):
        if "anchors" not in new.path and "stddev" not in new.path:
            assert np.abs(old - np.array(new)).max() > 0, new.path
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict(inputs, verbose=0),
        model.predict(inputs, verbose=0),
        atol=1e-6,
    )


@every_layer
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_rates_in_float32(name, dtype):
    layer, inputs = make(name, dtype=dtype)
    outputs = layer(inputs, **training(layer))
    half = dtype.removeprefix("mixed_")
    kept = (layers.AnchorQuantizer, layers.VariationalSpatialAttention)
    expected = "float32" if isinstance(layer, kept) else half
    assert keras.backend.standardize_dtype(first(outputs).dtype) == expected
    for loss in layer.losses:
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert all(
        keras.backend.standardize_dtype(w.dtype) == "float32"
        for w in layer.trainable_variables
    )


@every_layer
def test_inference_is_deterministic_and_training_is_not(name):
    layer, inputs = make(name)
    once, twice = (to_numpy(first(layer(inputs))) for _ in range(2))
    np.testing.assert_array_equal(once, twice)
    if training(layer):
        once, twice = (
            to_numpy(first(layer(inputs, training=True))) for _ in range(2)
        )
        assert np.abs(once - twice).max() > 0


@pytest.mark.parametrize("name", ["attention", "block", "continuous_block"])
def test_both_data_formats_agree(name):
    last, inputs = make(name, data_format="channels_last")
    expected = to_numpy(first(last(inputs)))
    other, _ = make(name, data_format="channels_first")
    other.build((2, 3, 6, 5))
    other.set_weights(last.get_weights())
    outputs = to_numpy(first(other(np.moveaxis(inputs, -1, 1))))
    np.testing.assert_allclose(np.moveaxis(outputs, 1, -1), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["attention", "bottleneck", "block"])
def test_several_samples_equal_one_by_one(name):
    layer, inputs = make(name)
    shape = (len(inputs), 4) if name == "bottleneck" else (2, 6, 5, 1)
    noise = np.random.normal(size=(3, *shape)).astype("float32")
    together = to_numpy(first(layer(inputs, noise=noise)))
    assert together.shape[0] == 3
    for sample, draw in zip(together, noise, strict=True):
        alone = to_numpy(first(layer(inputs, noise=draw)))
        np.testing.assert_allclose(sample, alone, atol=1e-6)
    drawn = to_numpy(first(layer(inputs, num_samples=3)))
    assert drawn.shape == together.shape
    assert np.abs(drawn[0] - drawn[1]).max() > 0


def test_quantizer_losses_over_samples_are_means_over_all_scores():
    layer = layers.AnchorQuantizer(num_anchors=3)
    scores = np.random.uniform(size=(4, 2, 3, 3, 1)).astype("float32")
    nearest = np.round(scores * 2) / 2
    np.testing.assert_allclose(to_numpy(layer(scores)), nearest, atol=1e-6)
    mean_square = np.mean((scores - nearest) ** 2)
    codebook, commitment = (to_numpy(loss) for loss in layer.losses)
    np.testing.assert_allclose(codebook, 0.4 * mean_square, rtol=1e-5)
    np.testing.assert_allclose(commitment, 0.1 * mean_square, rtol=1e-5)


def test_quantizer_gradients():
    scores = keras.Variable(np.float32([[0.1], [0.2], [0.9]]))
    layer = layers.AnchorQuantizer(
        num_anchors=2, commitment_weight=0.0, anchor_gradient_scale=0.5
    )
    slopes = np.float32([[1.0], [2.0], [-3.0]])

    def through():
        return keras.ops.sum(keras.ops.multiply(slopes, layer(scores.value)))

    score_gradient, anchor_gradient = gradients(
        through, [scores, layer.anchors]
    )
    np.testing.assert_array_equal(score_gradient, slopes)
    np.testing.assert_array_equal(anchor_gradient, [0.0, 0.0])

    def codebook():
        layer(scores.value)
        return sum(layer.losses)

    score_gradient, anchor_gradient = gradients(
        codebook, [scores, layer.anchors]
    )
    np.testing.assert_array_equal(score_gradient, np.zeros((3, 1)))
    expected = 0.5 * 0.4 * 2 / 3 * np.array([-0.1 - 0.2, 1.0 - 0.9])
    np.testing.assert_allclose(anchor_gradient, expected, rtol=1e-5)


def test_codes_name_the_anchor_that_is_used():
    layer = layers.AnchorQuantizer(num_anchors=20)
    scores = np.random.uniform(size=(2, 4, 4, 1)).astype("float32")
    codes = to_numpy(layer.codes(scores)).astype(int)
    assert codes.shape == scores.shape
    anchors = to_numpy(layer.anchors)
    np.testing.assert_allclose(anchors, np.linspace(0, 1, 20), atol=1e-7)
    np.testing.assert_allclose(
        to_numpy(layer(scores)), anchors[codes], atol=1e-7
    )


def test_rate_is_zero_at_the_prior_and_counted_in_nats():
    layer = layers.GaussianBottleneck(latent_dim=3, beta=0.5, stddev_offset=0.0)
    layer.build((None, 2))
    kernel, bias = np.zeros((2, 6)), np.zeros(6)
    bias[3:] = math.log(math.e - 1)  # softplus of it is 1
    layer.encoder.set_weights([kernel, bias])
    layer(np.ones((5, 2)))
    np.testing.assert_allclose(to_numpy(layer.losses[0]), 0.0, atol=1e-6)
    bias[:3] = 2.0
    layer.encoder.set_weights([kernel, bias])
    layer(np.ones((5, 2)))
    np.testing.assert_allclose(to_numpy(layer.losses[0]), 0.5 * 6.0, rtol=1e-5)
    bits = float(layer.take_rates()["kl_bits"])
    np.testing.assert_allclose(bits, 6.0 / math.log(2), rtol=1e-5)


def test_rate_stays_finite_for_wild_features():
    layer = layers.GaussianBottleneck(latent_dim=16)
    layer(1e4 * np.random.normal(size=(4, 8)))
    assert np.isfinite(to_numpy(layer.losses[0]))


def test_beta_can_change_after_building():
    layer = layers.GaussianBottleneck(latent_dim=3, beta=0.5)
    inputs = np.ones((5, 2))
    layer(inputs)
    full = to_numpy(layer.losses[0])
    layer.beta.assign(0.05)
    layer(inputs)
    np.testing.assert_allclose(to_numpy(layer.losses[0]), 0.1 * full, rtol=1e-5)
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias])
    np.testing.assert_allclose(to_numpy(layer.beta), 0.05)


def test_reference_kl_is_computed_with_the_exponential():
    inputs = np.random.normal(size=(4, 6)).astype("float32")
    layer = layers.GaussianBottleneck(latent_dim=3, kl_scale="exp_stddev")
    mean, stddev = (to_numpy(x).astype(float) for x in layer.encode(inputs))
    scale = np.exp(stddev)
    expected = (0.5 * (scale**2 + mean**2 - 1) - np.log(scale)).sum(-1)
    np.testing.assert_allclose(
        to_numpy(layer.kl(mean, stddev)), expected, rtol=1e-4
    )


def test_a_zero_score_map_is_the_identity():
    block, features = make("block")
    network = block.attention.score_network
    kernel, bias = network.get_weights()
    network.set_weights([0 * kernel, np.full_like(bias, -1e4)])
    np.testing.assert_array_equal(to_numpy(block(features)), features)


def test_maps_say_what_the_features_were_multiplied_with():
    block, features = make("block")
    attended, maps = block(
        features, return_attention_scores=True, training=True
    )
    assert set(maps) == {"scores", "mean", "stddev", "quantized"}
    scores = to_numpy(maps["quantized"])
    np.testing.assert_array_equal(scores, to_numpy(maps["scores"]))
    np.testing.assert_allclose(
        to_numpy(attended), features * (1 + scores), rtol=1e-5, atol=1e-6
    )


def test_flat_map_and_dead_anchors_are_visible():
    block, features = make("block", num_anchors=10)
    block(np.zeros_like(features))
    spread = block.attention.take_rates()["attention_spread"]
    used = block.quantizer.take_rates()["anchors_used"]
    np.testing.assert_allclose(float(spread), 0.0, atol=1e-6)
    np.testing.assert_allclose(float(used), 0.1, atol=1e-6)


def test_maps_start_flat_at_one_half():
    layer = layers.VariationalSpatialAttention()
    _, mean, _ = layer(100 * np.random.normal(size=MAPS))
    np.testing.assert_array_equal(to_numpy(mean), 0.5)


def test_map_of_one_position():
    block = layers.BottleneckAttention(num_anchors=4)
    attended = block(np.ones((2, 1, 1, 8)), training=True)
    assert attended.shape == (2, 1, 1, 8)
    spread = float(block.attention.take_rates()["attention_spread"])
    assert spread == 0.0


def test_own_score_network():
    network = keras.Sequential(
        [
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(1, 3, padding="same"),
        ]
    )
    layer = layers.VariationalSpatialAttention(score_network=network)
    features = np.random.normal(size=MAPS).astype("float32")
    _, mean, _ = layer(features)
    assert mean.shape == (2, 6, 5, 1)
    again = layers.VariationalSpatialAttention.from_config(layer.get_config())
    again.build(MAPS)
    assert again.count_params() == layer.count_params()


@pytest.mark.parametrize(
    ("make_layer", "message"),
    [
        (lambda: layers.AnchorQuantizer(num_anchors=1), "2 or more"),
        (lambda: layers.AnchorQuantizer(num_anchors=0), "2 or more"),
        (lambda: layers.BottleneckAttention(num_anchors=1), "2 or more"),
        (lambda: layers.AnchorQuantizer(codebook_weight=-1), "0 or more"),
        (lambda: layers.GaussianBottleneck(8, beta=-0.1), "0 or more"),
        (lambda: layers.GaussianBottleneck(8, beta=float("nan")), "finite"),
        (lambda: layers.GaussianBottleneck(0), "positive integer"),
        (lambda: layers.GaussianBottleneck(8, kl_scale="std"), "exp_stddev"),
    ],
)
def test_bad_arguments(make_layer, message):
    with pytest.raises(ValueError, match=message):
        make_layer()


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 5), (2, 5, 5, 4, 1)])
def test_features_of_a_wrong_rank(shape):
    with pytest.raises(ValueError, match="expects a feature map of shape"):
        layers.BottleneckAttention()(np.ones(shape))


def test_score_network_of_a_wrong_shape():
    network = keras.layers.Conv2D(1, 3, strides=2, padding="same")
    layer = layers.VariationalSpatialAttention(score_network=network)
    with pytest.raises(ValueError, match="one logit at every position"):
        layer(np.ones(MAPS))


def test_bad_noise():
    layer, inputs = make("attention")
    with pytest.raises(ValueError, match="`noise` must have shape"):
        layer(inputs, noise=np.ones((1, 2, 6, 5), "float32"))
    noise = np.ones((2, 6, 5, 1), "float32")
    with pytest.raises(ValueError, match="either `noise` or `num_samples`"):
        layer(inputs, noise=noise, num_samples=2)
    with pytest.raises(ValueError, match="positive integer"):
        layer(inputs, num_samples=0)
