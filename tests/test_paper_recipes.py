"""The paper's recipes: its figures, in our units."""

import keras
import numpy as np
import pytest

from keras_aib.optimizers import GroupedAdam
from keras_aib.optimizers import GroupedSGD
from keras_aib.zoo.architectures.paper_nets import PAPER_NETS
from keras_aib.zoo.paper_recipes import PAPER_RECIPES
from keras_aib.zoo.paper_recipes import paper_recipe

STEPS = 10


def rates(name, epochs, run_epochs=None):
    """Learning rates in the first and in the last step of these epochs."""
    optimizer = paper_recipe(name).optimizer(STEPS, run_epochs)
    schedule = keras.optimizers.schedules.deserialize(
        optimizer.get_config()["learning_rate"]
    )
    return [
        tuple(float(schedule(epoch * STEPS + step)) for step in (0, STEPS - 1))
        for epoch in epochs
    ]


def both(values):
    return pytest.approx(np.array([(v, v) for v in values]), rel=1e-5)


def test_every_net_has_its_recipe():
    assert set(PAPER_RECIPES) == {net.name for net in PAPER_NETS}
    for name, recipe in PAPER_RECIPES.items():
        assert recipe.name == name
        assert recipe.epochs == 200


def test_vgg32_warms_up_and_halves():
    epochs = (0, 1, 24, 25, 49, 50, 175, 199)
    expected = [0.01, 0.1, 0.1, 0.05, 0.05, 0.025, 0.1 / 128, 0.1 / 128]
    assert np.array(rates("aib_vgg32_continuous", epochs)) == both(expected)
    expected = [0.001, 0.01, 0.1, 0.1, 0.05]
    received = rates("aib_vgg32", (0, 1, 2, 24, 25))
    assert np.array(received) == both(expected)


def test_wrn28_10_falls_to_a_fifth():
    epochs = (0, 59, 60, 119, 120, 159, 160)
    expected = [0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 0.0008]
    assert np.array(rates("aib_wrn28_10", epochs)) == both(expected)


def test_cub_decays_every_epoch():
    expected = [1e-4, 0.97e-4, 1e-4 * 0.97**100]
    assert np.array(rates("aib_vgg16", (0, 1, 100))) == both(expected)


def test_a_shorter_run_goes_through_the_whole_course():
    received = rates("aib_wrn28_10", (29, 30, 60, 80), run_epochs=100)
    assert np.array(received) == both([0.1, 0.02, 0.004, 0.0008])
    once = rates("aib_vgg32", (0,), run_epochs=1)
    assert once[0][1] < 0.1 / 64


@pytest.mark.parametrize("name", PAPER_RECIPES)
def test_optimizers(name):
    optimizer = paper_recipe(name).optimizer(STEPS)
    continuous = name.endswith("continuous")
    expected = {} if continuous else {"anchors": 1e-4}
    assert optimizer.learning_rate_scales == expected
    if "vgg32" in name or "wrn28" in name:
        assert type(optimizer) is GroupedSGD
        assert optimizer.momentum == 0.9
        assert optimizer.coupled_weight_decay == 5e-4
        assert not optimizer.use_ema
    else:
        assert type(optimizer) is GroupedAdam
        assert (optimizer.beta_1, optimizer.beta_2) == (0.5, 0.999)
        assert optimizer.use_ema
        assert optimizer.ema_momentum == 0.999


def test_the_loss_is_the_papers_times_ln_2():
    """At beta 1e-2 on half the rate in bits, weights 0.4 and 0.1."""
    options = paper_recipe("aib_vgg32").options
    nats, codebook, commitment = 3.0, 0.2, 0.7
    bits = nats / np.log(2)
    papers = 1e-2 * 0.5 * bits + 0.4 * codebook + 0.1 * commitment
    ours = (
        options["beta"] * nats
        + options["codebook_weight"] * codebook
        + options["commitment_weight"] * commitment
    )
    assert ours == pytest.approx(papers * np.log(2))
    assert options["kl_scale"] == "exp_stddev"
    # Else both the layer and the optimizer would slow the anchors.
    assert options["anchor_gradient_scale"] == 1.0


@pytest.mark.parametrize(
    ("name", "received", "made"),
    [("aib_vgg32", 32, 32), ("aib_vgg16_continuous", 300, 224)],
)
def test_augmentation_moves_and_flips_only_in_training(name, received, made):
    augmentation = paper_recipe(name).build_augmentation(seed=0)
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (4, received, received, 3)).astype(
        "float32"
    )
    trained = keras.ops.convert_to_numpy(augmentation(images, training=True))
    tested = keras.ops.convert_to_numpy(augmentation(images, training=False))
    assert trained.shape == tested.shape == (4, made, made, 3)
    assert not np.allclose(trained, tested)
    if made == received:
        np.testing.assert_array_equal(tested, images)


def test_evaluation_samples():
    assert paper_recipe("aib_vgg32").evaluation_samples == 4
    assert paper_recipe("aib_wrn50_2").evaluation_samples == 12


def test_unknown_net():
    with pytest.raises(ValueError, match="name='aib_vgg19'"):
        paper_recipe("aib_vgg19")
