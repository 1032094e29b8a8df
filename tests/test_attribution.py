"""What the maps mean: known answers, on every backend."""

import keras
import numpy as np
import pytest
from explained_models import PATCH
from explained_models import patch_model
from explained_models import pixels
from explained_models import residual_model
from explained_models import statistics_of
from keras import ops

from keras_aib import attribution
from keras_aib.attribution import search_plan
from keras_aib.attribution.bottleneck_search import BottleneckSearch
from keras_aib.attribution.damping import blurred_damping
from keras_aib.attribution.damping import damping_of
from keras_aib.attribution.damping import gaussian_kernel
from keras_aib.attribution.metrics import mass_inside
from keras_aib.attribution.metrics import mprt
from keras_aib.attribution.metrics import pointing_game
from keras_aib.attribution.objective import Objective
from keras_aib.graph.cut import Cut
from keras_aib.graph.feature_layout import FeatureLayout


@pytest.fixture(scope="module")
def patch():
    """A model that looks at a patch, and its statistics."""
    model = patch_model()
    return model, statistics_of(model, ["conv"])


@pytest.fixture(scope="module")
def residual():
    keras.utils.set_random_seed(1)
    model = residual_model()
    layers = ["stem", "inside", "block_1", "block_2"]
    return model, statistics_of(model, layers)


def explain(method, images, targets=None, **options):
    return method(images, targets, verbose=0, **options)


def first_logits(method, images, alpha):
    """Mean first logit over the copies, with one damping everywhere."""
    search: BottleneckSearch = method._search
    plan = search._plan(images.shape[1:])
    _, cut, features = plan.forward(ops.convert_to_tensor(images))
    objective = Objective(lambda outputs: outputs[:, 0], len(images))
    shape = (len(images), *plan.alpha_shape)
    losses, _ = plan.step(
        objective,
        ops.full(shape, alpha, "float32"),
        0.0,
        cut,
        features[0],
        ops.zeros((len(images),), "int32"),
        plan.draw(keras.random.SeedGenerator(0)),
    )
    return ops.convert_to_numpy(losses)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (5.0, [4.506738, 5.000067, 6.480056]),
        (0.0, [0.318147, 0.443147, 0.818147]),
    ],
)
def test_information_of_the_specification(alpha, expected):
    alphas = ops.full((3,), alpha, "float32")
    found = damping_of(alphas).information(
        ops.convert_to_tensor([0.0, 1.0, -2.0])
    )
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, 1e-5)


def test_information_is_finite_and_never_negative():
    alphas = np.array([-3e38, -200, -88, -20, 20, 88, 200, 3e38], "float32")
    found = ops.convert_to_numpy(
        damping_of(ops.convert_to_tensor(alphas)).information(0.5)
    )
    assert np.isfinite(found).all()
    assert found.min() >= -1e-6


def test_blur_keeps_a_constant_and_the_kernel_has_five_weights():
    kernel = gaussian_kernel(1.0)
    assert len(kernel) == 5
    assert kernel[2] / kernel[1] == pytest.approx(np.exp(0.5))
    layout = FeatureLayout((6, 6, 2), -1, None)
    alphas = ops.full((1, 6, 6, 2), 1.5, "float32")
    plain, blurred = damping_of(alphas), blurred_damping(alphas, layout, 1.0)
    for name in ("passed", "lost", "log_lost"):
        np.testing.assert_allclose(
            ops.convert_to_numpy(getattr(blurred, name)),
            ops.convert_to_numpy(getattr(plain, name)),
            rtol=1e-5,
        )


def test_blur_spreads_one_place_as_a_gaussian():
    layout = FeatureLayout((7, 7, 1), -1, None)
    alphas = np.full((1, 7, 7, 1), -100.0, "float32")
    alphas[0, 3, 3] = 100.0
    passed = blurred_damping(ops.convert_to_tensor(alphas), layout, 1.0).passed
    kernel = gaussian_kernel(1.0)
    np.testing.assert_allclose(
        ops.convert_to_numpy(passed)[0, 1:6, 1:6, 0],
        np.outer(kernel, kernel),
        atol=1e-6,
    )


def test_all_passed_gives_the_clean_logits(residual):
    model, statistics = residual
    images = pixels(4)
    for method in (
        attribution.IBA(model, "inside", statistics, smoothing_sigma=None),
        attribution.CoIBA(model, ["inside", "block_2"], statistics),
    ):
        np.testing.assert_allclose(
            first_logits(method, images, 100.0),
            model.predict(images, verbose=0)[:, 0],
            rtol=1e-4,
            atol=1e-5,
        )


def test_nothing_passed_gives_logits_of_no_image(residual):
    model, statistics = residual
    method = attribution.IBA(model, "block_1", statistics)
    found = first_logits(method, pixels(4), -100.0)
    assert np.ptp(model.predict(pixels(4), verbose=0)[:, 0]) > 0.05
    np.testing.assert_allclose(found, found[0], atol=1e-5)


def test_one_layer_of_coiba_is_iba_with_uniform_channels(residual):
    model, statistics = residual
    images = pixels(2)
    shared = attribution.IBA(
        model,
        "block_1",
        statistics,
        beta=1.0,
        smoothing_sigma=None,
        per_channel=False,
    )
    one_layer = attribution.CoIBA(model, ["block_1"], statistics)
    expected, found = explain(shared, images), explain(one_layer, images)
    np.testing.assert_allclose(found.bits, expected.bits, rtol=1e-5)
    np.testing.assert_allclose(found.damping, expected.damping, rtol=1e-5)


def test_maps_fall_on_the_patch_that_the_model_looks_at(patch):
    model, statistics = patch
    masks = np.stack([PATCH] * 4)
    options = {"statistics": statistics, "steps": 20}
    for method, least in (
        (attribution.IBA(model, "conv", smoothing_sigma=None, **options), 0.9),
        (attribution.CoIBA(model, ["conv"], beta=10.0, **options), 0.9),
        (attribution.IBA(model, "conv", **options), 0.4),
    ):
        bits = explain(method, pixels(4)).bits
        assert mass_inside(bits, masks).mean > least
        assert pointing_game(bits, masks).mean >= 0.75


def test_maps_of_a_trained_model_fall_on_what_decides():
    random = np.random.default_rng(0)
    images, labels = pixels(1000), random.integers(0, 2, 1000)
    images[:, PATCH] += np.where(labels, 1.5, -1.5)[:, None, None]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(
                8, 3, padding="same", activation="relu", name="conv"
            ),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(images, labels, batch_size=50, epochs=6, verbose=0)
    assert model.evaluate(images, labels, verbose=0)[1] > 0.95
    # A feature beside the patch sees some of it.
    seen = np.zeros_like(PATCH)
    seen[:5, 3:] = True
    masks = np.stack([seen] * 8)

    def maps(model):
        statistics = attribution.estimate_statistics(
            model, ["conv"], images, 250, verbose=0
        )
        iba = attribution.IBA(model, "conv", statistics, beta=1.0)
        return explain(iba, images[:8], labels[:8]).bits

    bits = maps(model)
    assert mass_inside(bits, masks).mean > 1.5 * seen.mean()
    assert pointing_game(bits, masks).mean >= 0.75
    randomized = mprt(model, lambda m, _: maps(m), images[:8])
    assert randomized.mean < 0.8


def test_total_bits_fall_as_beta_rises(patch):
    model, statistics = patch
    totals = [
        explain(
            attribution.IBA(model, "conv", statistics, beta=beta), pixels(4)
        ).total_bits.mean()
        for beta in (0.1, 1.0, 10.0, 100.0)
    ]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > 2 * totals[-1]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_give_what_the_loop_gives(residual, batch_size):
    model, statistics = residual
    images = pixels(5)
    method = attribution.IBA(model, "block_1", statistics)
    whole = explain(method, images, batch_size=16)
    batched = explain(method, images, batch_size=batch_size)
    for name in ("bits", "damping", "loss_history", "targets"):
        np.testing.assert_allclose(
            getattr(batched, name), getattr(whole, name), rtol=1e-3, atol=1e-4
        )


def test_seed_decides_the_noise(patch):
    model, statistics = patch
    one, again, other = (
        explain(
            attribution.IBA(model, "conv", statistics, seed=seed), pixels(1)
        ).bits
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0


def test_bits_survive_the_resize(residual):
    model, _ = residual
    pooled = keras.layers.AveragePooling2D(2, name="pool")(
        model.get_layer("block_2").output
    )
    logits = keras.layers.Dense(2)(
        keras.layers.GlobalAveragePooling2D()(pooled)
    )
    small = keras.Model(model.input, logits)
    method = attribution.CoIBA(small, ["pool"], statistics_of(small, ["pool"]))
    result = explain(method, pixels(3))
    assert result.capacity["pool"].shape == (3, 4, 4)
    expected = result.capacity["pool"].sum(axis=(1, 2))
    np.testing.assert_allclose(result.total_bits, expected, rtol=0.01)


def test_result_holds_what_it_says(residual):
    model, statistics = residual
    images = pixels(3)
    iba = explain(attribution.IBA(model, "inside", statistics, steps=4), images)
    assert iba.bits.shape == (3, 8, 8)
    assert iba.damping.shape == iba.capacity["inside"].shape == (3, 8, 8, 4)
    assert iba.loss_history.shape == (3, 4)
    assert iba.prefix_bits.tolist() == [0, 0, 0]
    assert iba.damping.min() >= 0 and iba.damping.max() <= 1
    assert iba.options["beta"] == 10.0
    assert iba.options["statistics_count"] == 1000
    layers = ["inside", "block_2"]
    coiba = explain(attribution.CoIBA(model, layers, statistics), images)
    assert list(coiba.capacity) == layers
    assert coiba.capacity["block_2"].shape == (3, 8, 8)
    np.testing.assert_array_equal(
        iba.targets, model.predict(images, verbose=0).argmax(-1)
    )


def test_targets_may_be_classes_or_a_loss(patch):
    model, statistics = patch
    method = attribution.IBA(model, "conv", statistics)
    images = pixels(3)
    by_class = explain(method, images, [1, 1, 1])
    assert by_class.targets.tolist() == [1, 1, 1]

    def loss(outputs):
        return -ops.log_softmax(outputs)[:, 1]

    by_loss = explain(method, images, loss)
    assert by_loss.targets is None
    np.testing.assert_allclose(by_loss.bits, by_class.bits, rtol=1e-4)
    predicted = explain(method, images)
    assert np.abs(predicted.bits - by_class.bits).max() > 1e-3


def test_a_softmax_at_the_end_changes_nothing(patch):
    model, statistics = patch
    certain = patch_model("softmax")
    images = pixels(3)
    expected = explain(attribution.IBA(model, "conv", statistics), images)
    found = explain(attribution.IBA(certain, "conv", statistics), images)
    np.testing.assert_allclose(found.bits, expected.bits, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layer", ["stem", "inside", "branch", "block_2"])
def test_running_the_trunk_once_changes_nothing(residual, monkeypatch, layer):
    model, _ = residual
    statistics = statistics_of(model, [layer])
    images = pixels(2)
    fast = explain(attribution.IBA(model, layer, statistics), images)
    monkeypatch.setattr(search_plan, "find_cut", lambda *_: Cut(None))
    slow = explain(attribution.IBA(model, layer, statistics), images)
    np.testing.assert_allclose(fast.bits, slow.bits, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "cut", "is_input"),
    [
        ("stem", "stem", False),
        ("inside", "stem", False),
        ("branch", "block_1", False),
        ("block_2", "block_2", False),
    ],
)
def test_cut_is_the_last_place_that_nothing_goes_around(
    residual, layer, cut, is_input
):
    model, _ = residual
    method = attribution.IBA(model, layer, statistics_of(model, [layer]))
    found = method._search._plan((8, 8, 3))._cut
    assert (found.layer.name, found.is_input) == (cut, is_input)


def test_neurons_that_are_never_active_pass_and_cost_nothing():
    images = keras.Input((8, 8, 3))
    biases = keras.initializers.Constant([0.0, -1000.0])
    features = keras.layers.Conv2D(
        2, 1, activation="relu", bias_initializer=biases, name="conv"
    )(images)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(images, keras.layers.Dense(2)(pooled))
    method = attribution.IBA(model, "conv", statistics_of(model, ["conv"]))
    capacity = explain(method, pixels(2)).capacity["conv"]
    assert not capacity[..., 1].any()
    assert capacity[..., 0].max() > 0
    # Nothing passed, and yet no noise in the dead channel.
    nothing = first_logits(method, pixels(2), -100.0)
    assert np.isfinite(nothing).all()


def test_channels_first_is_channels_last_transposed():
    def build(data_format):
        shape = (3, 8, 8) if data_format == "channels_first" else (8, 8, 3)
        images = keras.Input(shape)
        x = keras.layers.ZeroPadding2D(
            1, data_format=data_format, name="padded"
        )(images)
        x = keras.layers.GlobalAveragePooling2D(data_format=data_format)(x)
        model = keras.Model(images, keras.layers.Dense(2)(x))
        model.layers[-1].set_weights(
            [np.array([[1.0, -1], [2, 0], [0, -2]]), np.zeros(2)]
        )
        return model

    found = {}
    for data_format in ("channels_last", "channels_first"):
        order = (0, 3, 1, 2) if data_format == "channels_first" else range(4)
        model = build(data_format)
        statistics = attribution.estimate_statistics(
            model,
            ["padded"],
            pixels(1000).transpose(order),
            250,
            verbose=0,
        )
        # The noise of the two lies in different places, so there is none.
        method = attribution.CoIBA(model, ["padded"], statistics, steps=1)
        result = explain(method, pixels(2, seed=5).transpose(order))
        found[data_format] = result.bits
        assert result.damping.shape == (2, 10, 10)
        assert result.bits.shape == (2, 8, 8)
    np.testing.assert_allclose(
        *(bits.sum(axis=(1, 2)) for bits in found.values()), rtol=0.2
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_near_full_precision(policy):
    keras.config.set_dtype_policy(policy)
    model = patch_model()
    keras.config.set_dtype_policy("float32")
    full = patch_model()
    images, bits = pixels(2), []
    for one in (model, full):
        statistics = statistics_of(one, ["conv"])
        method = attribution.IBA(one, "conv", statistics)
        bits.append(explain(method, images).total_bits)
    np.testing.assert_allclose(*bits, rtol=0.1)


def test_the_model_is_left_as_it_was(residual):
    model, statistics = residual
    images = pixels(2)
    before = model.predict(images, verbose=0)
    weights = [np.array(weight) for weight in model.get_weights()]
    explain(attribution.IBA(model, "inside", statistics), images)
    np.testing.assert_array_equal(model.predict(images, verbose=0), before)
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for layer in model.layers:
        assert "call" not in vars(layer)
    assert model.get_layer("inside").output.shape == (None, 8, 8, 4)


def test_plot_draws_bits(patch, tmp_path):
    model, statistics = patch
    images = pixels(2)
    result = explain(attribution.IBA(model, "conv", statistics), images)
    figure = result.plot(128 + 40 * images.clip(-3, 3), tmp_path / "bits.png")
    assert (tmp_path / "bits.png").stat().st_size > 1000
    assert any(
        "bits per pixel" in axes.get_ylabel() + axes.get_xlabel()
        for axes in figure.axes
    )
