"""The recipe that trains the paper's nets, a few steps on a few images."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_aib import data
from keras_aib.zoo.paper_recipes import paper_recipe
from keras_aib.zoo.recipes import from_scratch
from keras_aib.zoo.recipes.results import read_rows
from keras_aib.zoo.recipes.variants import VARIANTS

QUICK = ["--seeds", "0", "--epochs", "1", "--steps-per-epoch", "2"]
QUICK += ["--batch-size", "2", "--test-images", "4", "--verbose", "0"]


def tiny_net(image_size):
    images = keras.Input((*image_size, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, name="block3_pool")(images)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="last")(x)
    return keras.Model(images, x)


@pytest.fixture
def few_images(monkeypatch):
    random = np.random.default_rng(0)

    def split(count):
        pixels = random.integers(0, 256, size=(count, 32, 32, 3))
        return pixels.astype("uint8"), np.arange(count, dtype="int32") % 10

    splits = split(6), split(8)
    monkeypatch.setattr(data, "load_cifar10", lambda: splits)
    return splits


@pytest.fixture
def tiny_vgg32(monkeypatch):
    for name in ("aib_vgg32", "aib_vgg32_continuous"):
        row = dataclasses.replace(
            from_scratch.NETS[name],
            build_backbone=tiny_net,
            build_score_network=lambda num_classes: None,
        )
        monkeypatch.setitem(from_scratch.NETS, name, row)


def run(net, tmp_path, *arguments):
    written = ["--results", str(tmp_path / "results.csv")]
    written += ["--output", str(tmp_path / "models")]
    from_scratch.main(["--net", net, *QUICK, *written, *arguments])
    rows = read_rows(tmp_path / "results.csv")
    figures = {}
    for row in rows:
        figures.setdefault(row["variant"], {})[row["metric"]] = row["value"]
    return rows, figures


@pytest.mark.slow
def test_every_variant_leaves_its_figures(few_images, tiny_vgg32, tmp_path):
    rows, figures = run("vgg32", tmp_path)
    assert set(figures) == set(VARIANTS)
    for variant, metrics in figures.items():
        assert {"accuracy", "nll", "ece"} <= set(metrics)
        assert ("accuracy_sampled" in metrics) is variant.startswith("aib")
        assert ("anchors_used" in metrics) is (variant == "aib_quantized")
        weights = tmp_path / "models" / f"vgg32-{variant}-0.weights.h5"
        assert weights.is_file()
    assert {row["train_images"] for row in rows} == {"4"}
    assert {row["test_images"] for row in rows} == {"4"}


def test_what_is_done_is_not_run_again(
    few_images, tiny_vgg32, tmp_path, monkeypatch
):
    only = ("--variants", "plain")
    first, _ = run("vgg32", tmp_path, *only)
    monkeypatch.delattr(from_scratch, "build")
    again, _ = run("vgg32", tmp_path, *only)
    assert again == first


def test_augmentation_is_in_the_graph_and_off_at_inference(
    few_images, tiny_vgg32
):
    (images, _), _ = few_images
    recipe = paper_recipe("aib_vgg32_continuous")
    model = from_scratch.build("plain", recipe, seed=0).model
    once = model.predict(images, verbose=0)
    np.testing.assert_array_equal(once, model.predict(images, verbose=0))
    pixels = keras.ops.convert_to_tensor(images, "float32")
    sampled = keras.ops.convert_to_numpy(model(pixels, training=True))
    assert np.abs(sampled - once).max() > 1e-3


def test_the_paper_s_loss_goes_into_the_model(tiny_vgg32):
    model = from_scratch.build(
        "aib_quantized", paper_recipe("aib_vgg32"), seed=0
    ).model
    assert float(model.bottleneck.beta) == pytest.approx(5e-3)
    assert model.bottleneck.kl_scale == "exp_stddev"
    assert model.attention_block.num_anchors == 20
    assert model.attention_block.anchor_gradient_scale == 1.0


@pytest.mark.large
@pytest.mark.parametrize(
    "net", ["vgg32", pytest.param("wrn28_10", marks=pytest.mark.once)]
)
def test_the_real_nets(net, few_images, tmp_path):
    rows, figures = run(net, tmp_path, "--variants", "aib_quantized")
    assert {row["model"] for row in rows} == {net}
    metrics = figures["aib_quantized"]
    assert np.isfinite([float(value) for value in metrics.values()]).all()
