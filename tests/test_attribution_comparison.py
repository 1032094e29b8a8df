"""The recipe that compares explanations: its parts, and a run on few images."""

import importlib.util
import sys

import keras
import numpy as np
import pytest

from keras_aib import data
from keras_aib import zoo
from keras_aib.graph.interception import intercept
from keras_aib.graph.layer_tree import find_layer
from keras_aib.zoo.architectures.vit import PRETRAINED
from keras_aib.zoo.pretrained import assemble_classifier
from keras_aib.zoo.pretrained import build_head
from keras_aib.zoo.recipes import attribution_comparison
from keras_aib.zoo.recipes import compared_models
from keras_aib.zoo.recipes import other_explanations
from keras_aib.zoo.recipes import photographs
from keras_aib.zoo.recipes import results
from keras_aib.zoo.recipes import tables

BACKEND = keras.config.backend()
COLOURS = np.random.default_rng(3).uniform(0, 255, (10, 3)).round()
OWN_METHODS = ("coiba", "iba", "random")
NAME = "vit_tiny32.cifar10"


def nearest_colour_model():
    """Says which of ten colours an image has in the mean; blocks inside."""
    pixels = keras.Input((32, 32, 3))
    x = keras.layers.AveragePooling2D(4, name="patches")(pixels)
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="first")(x)
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="second")(x)
    backbone = keras.Model(pixels, x, name="backbone")
    logits = keras.layers.Dense(10, name="logits")
    images = keras.Input((32, 32, 3), name="images")
    pooled = keras.layers.GlobalAveragePooling2D()(backbone(images))
    model = keras.Model(images, logits(pooled))
    for name in ("first", "second"):
        backbone.get_layer(name).set_weights([np.eye(3)[None, None]])
    # Twice the product less the square: the distance's part that differs.
    kernel, bias = 2 * COLOURS.T, -np.sum(COLOURS**2, axis=-1)
    logits.set_weights([kernel / 1e3, bias / 1e3])
    return model


def coloured_pictures(count):
    random = np.random.default_rng(count)
    labels = np.arange(count, dtype="int32") % 10
    noise = random.uniform(-30, 30, (count, 32, 32, 3))
    images = np.clip(COLOURS[labels][:, None, None] + noise, 0, 255)
    return images.astype("uint8"), labels


def load_coloured():
    return coloured_pictures(1000), coloured_pictures(30)


@pytest.fixture
def coloured(monkeypatch):
    """CIFAR-10 and the transformer, replaced by what runs in no time."""
    monkeypatch.setattr(data, "load_cifar10", load_coloured)
    monkeypatch.setattr(
        zoo, "load_classifier", lambda name: nearest_colour_model()
    )

    def build(name, options):
        return compared_models._on_cifar10(
            name,
            zoo.load_classifier(name),
            options,
            options.statistics_images,
            iba_layer="second",
            coiba_layers=("first", "second"),
            grad_cam_layer="second",
        )

    monkeypatch.setitem(compared_models.BUILDERS, NAME, build)


def options_of(path, *methods):
    few = ["--images", "4", "--grids", "5", "--grid-pool", "30"]
    few += ["--statistics-images", "1000", "--steps", "2", "--copies", "2"]
    few += ["--models", NAME, "--batch-size", "50", "--results", str(path)]
    return [*few, "--integration-steps", "3", "--methods", *methods]


def test_a_grid_is_of_four_classes_that_were_offered():
    labels = np.arange(40) % 10
    candidates = np.flatnonzero(labels < 5)
    members, tiles = compared_models.draw_grids(candidates, labels, 50)
    assert set(members.ravel()) <= set(candidates)
    assert all(len(set(labels[row])) == 4 for row in members)
    assert set(tiles) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="--grid-pool"):
        compared_models.draw_grids(np.array([0, 1, 10]), labels, 1)


def test_a_grids_target_is_the_class_of_its_tile(coloured, tmp_path):
    options = attribution_comparison.parse(options_of(tmp_path, "random"))
    compared = compared_models.BUILDERS[NAME](NAME, options)
    assert compared.images.shape == (4, 32, 32, 3)
    np.testing.assert_array_equal(compared.targets, np.arange(4))
    for grid, target, tile in zip(
        compared.grids, compared.grid_targets, compared.grid_tiles, strict=True
    ):
        top, left = 16 * (tile // 2), 16 * (tile % 2)
        mean = grid[top : top + 16, left : left + 16].mean(axis=(0, 1))
        nearest = np.abs(COLOURS - mean).sum(axis=-1).argmin()
        assert nearest == target


def test_crops_are_parts_of_the_images_and_half_of_them_mirrored():
    image = np.arange(5 * 6).reshape(1, 5, 6, 1)
    crops = compared_models.random_crops(image, 4, 40)[..., 0]
    np.testing.assert_array_equal(np.diff(crops[::2], axis=2), 1)
    np.testing.assert_array_equal(np.diff(crops[1::2], axis=2), -1)
    assert len(np.unique(crops[::2, 0, 0])) == 6


def test_photographs_are_square_pixels():
    found = photographs.load_photographs(64)
    assert list(found) == list(photographs.RECOGNISED)
    for image in found.values():
        assert image.shape == (64, 64, 3)
        assert -1 <= image.min() < 100 < image.max() <= 256


@pytest.mark.large
def test_lite0_recognises_the_photographs_and_their_grids_are_all():
    options = attribution_comparison.parse(["--larger-statistics-images", "2"])
    name = "efficientnet_lite0.imagenet"
    compared = compared_models.BUILDERS[name](name, options)
    logits = compared.model.predict(compared.images, verbose=0)
    np.testing.assert_array_equal(logits.argmax(-1), compared.targets)
    assert len(compared.grids) == 35 * 4
    assert compared.grids.shape[1:] == compared.images.shape[1:]


def test_random_maps_are_those_of_their_seed():
    maps = other_explanations.random_maps(np.zeros((2, 5, 6, 3)), seed=1)
    assert maps.shape == (2, 5, 6)
    again = other_explanations.random_maps(np.zeros((2, 5, 6, 3)), seed=1)
    np.testing.assert_array_equal(maps, again)
    other = other_explanations.random_maps(np.zeros((2, 5, 6, 3)), seed=2)
    assert np.abs(maps - other).max() > 0.1


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xplique", None)
    monkeypatch.setitem(sys.modules, "xplique.attributions", None)
    tensorflow = BACKEND == "tensorflow"
    error, words = (
        (ImportError, "pip install")
        if tensorflow
        else (
            ValueError,
            "KERAS_BACKEND=tensorflow",
        )
    )
    model = nearest_colour_model()
    images = np.zeros((1, 32, 32, 3))
    with pytest.raises(error, match=words):
        other_explanations.integrated_gradients(model, images, [0])
    with pytest.raises(error, match=words):
        other_explanations.grad_cam(model, images, [0], "second")


@pytest.mark.slow
def test_the_recipe_runs_and_skips_what_is_done(coloured, tmp_path):
    path = tmp_path / "results.csv"
    attribution_comparison.main(options_of(path, *OWN_METHODS, "attention"))
    rows = results.read_rows(path)
    assert {row["variant"] for row in rows} == set(OWN_METHODS)
    assert all(np.isfinite(float(row["value"])) for row in rows)
    figures = {
        (row["variant"], row["metric"]): float(row["value"]) for row in rows
    }
    metrics = {metric for _, metric in figures}
    assert metrics >= {
        *("insertion", "deletion", "road_morf", "road_lerf"),
        *("grid_pointing", "seconds_per_image"),
    }
    assert figures["random", "grid_pointing"] == pytest.approx(0.25, abs=0.05)
    assert figures["iba", "grids"] == 5
    assert figures["iba", "bits"] > 0 < figures["coiba", "bits"]
    table = tables.all_tables(rows)["attribution"]
    assert f"| {NAME} | CoIBA | beta=1 |" in table
    assert f"| {NAME} | random |" in table
    before = path.read_bytes()
    attribution_comparison.main(options_of(path, *OWN_METHODS))
    assert path.read_bytes() == before


if BACKEND == "tensorflow" and importlib.util.find_spec("xplique"):
    import tensorflow as tf

    # xplique's pins exclude the versions of this environment; see
    # `zoo/recipes/other_explanations.py` for how to install it beside them.
    pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

    def test_integrated_gradients_of_a_linear_model_are_its_terms():
        for scale in (1.0, -3.0):
            model = keras.Sequential(
                [
                    keras.Input((4, 4, 3)),
                    keras.layers.Flatten(),
                    keras.layers.Dense(2),
                ]
            )
            random = np.random.default_rng(0)
            kernel = scale * random.normal(size=(48, 2)).astype("float32")
            model.set_weights([kernel, np.ones(2)])
            images = random.uniform(0, 255, (3, 4, 4, 3))
            maps = other_explanations.integrated_gradients(
                model, images, [0, 1, 1], steps=4, batch_size=8
            )
            terms = images * kernel.T.reshape(2, 4, 4, 3)[[0, 1, 1]]
            np.testing.assert_allclose(maps, terms.mean(axis=-1), rtol=1e-4)

    def test_grad_cam_of_pooled_features_is_the_weighted_map():
        model = nearest_colour_model()
        images = coloured_pictures(3)[0].astype("float32")
        maps = other_explanations.grad_cam(
            model, images, [0, 5, 2], "second", batch_size=2
        )
        patches = images.reshape(3, 8, 4, 8, 4, 3).mean(axis=(2, 4))
        weights = 2 * COLOURS[[0, 5, 2]] / 1e3 / 64
        expected = np.einsum("bhwc,bc->bhw", patches, weights)
        assert maps.shape == (3, 32, 32)
        np.testing.assert_allclose(
            maps.mean(axis=(1, 2)), expected.mean(axis=(1, 2)), rtol=0.02
        )
        correlation = np.corrcoef(maps[:, 2::4, 2::4].ravel(), expected.ravel())
        assert correlation[0, 1] > 0.97

    def test_grad_cam_of_a_transformer_folds_the_patches():
        (config,) = PRETRAINED
        backbone = config.build_backbone(name="vit")
        head = build_head(96, 10)
        model = assemble_classifier(config, backbone, head)
        images = coloured_pictures(3)[0].astype("float32")
        layer = "vit_encoder/block_5/layer_norm_1"
        maps = other_explanations.grad_cam(model, images, [1, 4, 7], layer)
        seen = []

        def note(features):
            tape.watch(features)
            seen.append(features)
            return features

        with (
            tf.GradientTape() as tape,
            intercept(find_layer(model, layer).layer, change_output=note),
        ):
            score = tf.gather(model(images), [1, 4, 7], batch_dims=1)
        # The class token stands first and is no patch.
        features, gradients = (
            np.asarray(x)[:, 1:]
            for x in (seen[0], tape.gradient(score, seen[0]))
        )
        weights = gradients.mean(axis=1, keepdims=True)
        patches = np.maximum((weights * features).sum(-1), 0)
        expected = tf.image.resize(
            patches.reshape(3, 8, 8, 1), (32, 32), method="bicubic"
        )
        assert patches.max() > 0
        np.testing.assert_allclose(
            maps, expected[..., 0], atol=1e-4 * patches.max()
        )

    def test_the_recipe_asks_the_library_too(coloured, tmp_path):
        path = tmp_path / "results.csv"
        methods = ("grad_cam", "integrated_gradients")
        attribution_comparison.main(options_of(path, *methods))
        rows = results.read_rows(path)
        assert {row["variant"] for row in rows} == set(methods)
        assert all(np.isfinite(float(row["value"])) for row in rows)
