"""The zoo's experiments: their parts, and each of them on a few images."""

import csv

import keras
import numpy as np
import pytest

from keras_aib import data
from keras_aib.zoo.recipes import choices
from keras_aib.zoo.recipes import fine_tuning
from keras_aib.zoo.recipes import results
from keras_aib.zoo.recipes import robustness
from keras_aib.zoo.recipes import where_it_looks
from keras_aib.zoo.recipes.clutter import paste_on_clutter
from keras_aib.zoo.recipes.corruptions import CORRUPTIONS
from keras_aib.zoo.recipes.corruptions import corrupt
from keras_aib.zoo.recipes.fast_gradient_sign import attack_images
from keras_aib.zoo.recipes.fast_gradient_sign import input_gradients
from keras_aib.zoo.recipes.variants import VARIANTS
from keras_aib.zoo.recipes.variants import build_variant
from keras_aib.zoo.recipes.variants import split_backbone


def tiny_backbone():
    images = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="first")(
        images
    )
    x = keras.layers.Conv2D(6, 3, activation="relu", name="second")(x)
    return keras.Model(images, x)


def random_pictures(count, side=32):
    pictures = np.random.default_rng(0).integers(0, 256, (count, side, side, 3))
    return pictures.astype("uint8"), np.arange(count, dtype="int32") % 10


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_starts_from_the_plain_features(variant):
    backbone = tiny_backbone()
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
    built = build_variant(variant, backbone, 3, attention_layer="first", seed=0)
    assert built.model.predict(images, verbose=0).shape == (2, 3)
    if variant == "plain":
        assert built.attention is None
        return
    scores = built.attention(images.astype("float32"))
    # The score convolution starts at zero, so every score starts at a half.
    expected = 0.5 if variant != "aib_quantized" else 9 / 19
    np.testing.assert_allclose(scores, np.full((2, 7, 7), expected), atol=1e-6)


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="plain"):
        build_variant("fancy", tiny_backbone(), 3)


def test_the_halves_of_a_split_backbone_make_the_whole():
    backbone = tiny_backbone()
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
    trunk, tail = split_backbone(backbone, "first")
    np.testing.assert_allclose(
        tail.predict(trunk.predict(images, verbose=0), verbose=0),
        backbone.predict(images, verbose=0),
        atol=1e-6,
    )
    assert tail.get_layer("second") is backbone.get_layer("second")


@pytest.mark.once
def test_clutter_holds_the_picture_where_the_mask_says():
    pictures, labels = random_pictures(3, 48)
    made = paste_on_clutter(pictures, labels, canvas=128, size=48, seed=1)
    assert made.images.shape == (3, 128, 128, 3)
    for picture, image, mask in zip(
        pictures, made.images, made.masks, strict=True
    ):
        assert mask.sum() == 48 * 48
        np.testing.assert_array_equal(image[mask].reshape(48, 48, 3), picture)
    again = paste_on_clutter(pictures, labels, canvas=128, size=48, seed=1)
    np.testing.assert_array_equal(made.images, again.images)


@pytest.mark.once
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_corruptions_grow_with_severity(corruption):
    ramp = np.linspace(40, 215, 32).round()
    picture = np.broadcast_to(ramp[:, None, None], (32, 32, 3)).copy()
    picture[10:20, 10:20] = 30
    pictures = picture.astype("uint8")[None]
    change = [
        np.abs(corrupt(pictures, corruption, severity) - picture).mean()
        for severity in (1, 5)
    ]
    assert 0 < change[0] < change[1]
    with pytest.raises(ValueError, match="severity"):
        corrupt(pictures, corruption, 6)


def test_input_gradients_are_those_of_a_linear_model():
    kernel = np.array([[1.0, -1.0], [2.0, 0.5], [0.0, 3.0]], "float32")
    model = keras.Sequential(
        [
            keras.Input((1, 1, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, use_bias=False),
        ]
    )
    model.set_weights([kernel])
    images = np.random.default_rng(0).normal(size=(4, 1, 1, 3))
    images = images.astype("float32")
    labels = np.array([0, 1, 0, 1], "int32")
    logits = images.reshape(4, 3) @ kernel
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = (probabilities - np.eye(2)[labels]) @ kernel.T
    received = input_gradients(model, images, labels, batch_size=2)
    np.testing.assert_allclose(received.reshape(4, 3), expected, atol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    assert model.layers[-1].trainable
    with pytest.raises(ValueError, match="divide"):
        input_gradients(model, images, labels, batch_size=3)


@pytest.mark.once
def test_attacks_stay_in_the_range_of_pixels():
    images = np.array([0.0, 100.0, 255.0])
    moved = attack_images(images, np.array([-1.0, 2.0, 3.0]), 4.0)
    np.testing.assert_array_equal(moved, [0.0, 104.0, 255.0])


def test_results_are_appended_once_and_found_again(tmp_path):
    path = tmp_path / "results.csv"
    run = {
        "experiment": "x",
        "model": "m",
        "variant": "aib",
        "setting": "beta=1",
        "seed": 0,
    }
    assert not results.is_done(run, path)
    results.append_run(run, {"accuracy": 0.5, "nll": 1.25}, path)
    assert results.is_done(run, path)
    assert not results.is_done({**run, "seed": 1}, path)
    rows = results.read_rows(path)
    assert [(row["metric"], row["value"]) for row in rows] == [
        ("accuracy", "0.5"),
        ("nll", "1.25"),
    ]
    assert rows[0]["backend"] == keras.config.backend()
    with pytest.raises(ValueError, match="Unknown columns"):
        results.append_run({**run, "colour": "red"}, {"nll": 1.0}, path)
    assert results.read_rows(path) == rows


@pytest.mark.once
def test_the_learning_rate_with_the_lowest_loss_is_taken(tmp_path):
    path = tmp_path / "results.csv"
    with pytest.raises(ValueError, match="fine_tuning"):
        results.best_learning_rate("plain", path)
    for rate, loss in ((1e-3, 0.4), (1e-2, 0.3), (1e-1, 0.9)):
        run = {
            "experiment": "learning_rate",
            "model": "m",
            "variant": "plain",
            "setting": f"learning_rate={rate:g}",
            "seed": 0,
        }
        results.append_run(run, {"nll": loss}, path)
    assert results.best_learning_rate("plain", path) == 1e-2


@pytest.mark.once
@pytest.mark.large
def test_the_recipes_run_and_skip_what_is_done(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(
        data, "load_cifar10", lambda: (random_pictures(45_008), few)
    )
    few = random_pictures(8)
    monkeypatch.setattr(fine_tuning, "LEARNING_RATES", (1e-3,))
    monkeypatch.setattr(choices, "CHOICES", choices.CHOICES[-1:])
    path = tmp_path / "results.csv"
    common = ["--results", str(path), "--output", str(tmp_path / "weights")]
    common += ["--variants", "plain", "aib_quantized"]
    few_images = ["--train-images", "8", "--test-images", "8"]
    once = ["--seeds", "0", "--epochs", "1"]
    small = ["--image-size", "32"]
    validation = ["--validation-images", "8"]
    few_attacked = ["--test-images", "8", "--attacked-images", "8"]

    def run_all():
        fine_tuning.main(common + few_images + once + small + validation)
        choices.main(common + few_images + once + small)
        where_it_looks.main(
            [*common, *few_images, *once, "--canvas", "64", "--size", "32"]
        )
        robustness.main([*common, *small, *few_attacked, "--seeds", "0"])

    run_all()
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    runs = {(row["experiment"], row["variant"], row["setting"]) for row in rows}
    assert len(runs) == 2 + 2 + 1 + 2 + 2
    assert all(np.isfinite(float(row["value"])) for row in rows)
    looked = {
        row["metric"] for row in rows if row["experiment"] == "where_it_looks"
    }
    assert {"mass_share", "pointing", "ehr", "accuracy"} <= looked
    before = path.read_bytes()
    run_all()
    assert path.read_bytes() == before
