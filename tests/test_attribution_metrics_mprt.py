"""Maps of models that lose their weights, from the output down."""

import sys

import keras
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from keras_aib.attribution import metrics


def make_model():
    """Two layers with weights, one of them inside a model."""
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(16, name="hidden"),
        ],
        name="inner",
    )
    images = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(3, name="logits")(inner(images))
    model = keras.Model(images, logits)
    for weight in model.weights:
        weight.assign(np.random.normal(size=weight.shape))
    return model


def gradient_times_input(model, images):
    hidden, _, logits, _ = (
        keras.ops.convert_to_numpy(weight) for weight in model.weights
    )
    return images[..., 0] * (hidden @ logits)[:, 1].reshape(8, 8)


def random_images():
    return np.random.uniform(size=(3, 8, 8, 1))


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]


def test_maps_of_the_model_drop_and_the_weights_come_back():
    model, images = make_model(), random_images()
    before = weights_of(model)
    result = metrics.mprt(model, gradient_times_input, images)
    assert result.layers == ("logits", "inner/hidden")
    np.testing.assert_allclose(result.shares, [0, 0.5, 1])
    np.testing.assert_allclose(result.curves[:, 0], 1.0)
    np.testing.assert_allclose(result.similarities[:, 0], 1.0)
    assert result.curves.shape == result.similarities.shape == (3, 3)
    assert np.all(result.curves[:, 1:] < 0.6)
    assert np.all(result.similarities[:, 1:] < 0.6)
    np.testing.assert_array_equal(result.values, result.curves[:, -1])
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_maps_of_the_image_alone_stay():
    result = metrics.mprt(
        make_model(), lambda model, images: images[..., 0], random_images()
    )
    np.testing.assert_allclose(result.curves, 1.0)
    np.testing.assert_allclose(result.similarities, 1.0)


def test_layers_are_randomised_one_after_the_other_each_within_itself():
    model = make_model()
    seen = []

    def explain(model, images):
        seen.append(weights_of(model))
        return images[..., 0]

    metrics.mprt(model, explain, random_images())
    changed = [
        [not np.array_equal(*pair) for pair in zip(seen[0], now, strict=True)]
        for now in seen
    ]
    # Kernel and bias of the hidden layer, then of the logits.
    assert changed == [[False] * 4, [False] * 2 + [True] * 2, [True] * 4]
    for first, last in zip(seen[0], seen[-1], strict=True):
        np.testing.assert_array_equal(
            np.sort(first, axis=None), np.sort(last, axis=None)
        )
    np.testing.assert_array_equal(seen[1][2], seen[2][2])


def test_the_weights_come_back_when_an_explanation_fails():
    model = make_model()
    before = weights_of(model)
    calls = []

    def explain(model, images):
        calls.append(None)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return images[..., 0]

    with pytest.raises(RuntimeError, match="out of memory"):
        metrics.mprt(model, explain, random_images())
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_seed_decides():
    model, images = make_model(), random_images()
    first, second, other = (
        metrics.mprt(model, gradient_times_input, images, seed=seed).curves
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert np.any(first != other)


def test_chosen_layers_only():
    model, images = make_model(), random_images()
    result = metrics.mprt(model, gradient_times_input, images, ["hidden"])
    assert result.layers == ("hidden",)
    assert result.options == {"layers": ("hidden",), "seed": 0}


def test_spearman_counts_ranks_and_ssim_the_stretched_maps():
    first = np.random.uniform(1, 2, (1, 9, 9))
    maps = iter([first, np.exp(4 * first), -first])
    result = metrics.mprt(
        make_model(), lambda model, images: next(maps), random_images()
    )
    np.testing.assert_allclose(result.curves, [[1, 1, -1]])

    def stretch(x):
        return (x - x.min()) / (x.max() - x.min())

    expected = structural_similarity(
        stretch(first[0]), stretch(np.exp(4 * first[0])), data_range=1.0
    )
    np.testing.assert_allclose(result.similarities[0, 1], expected)


def test_a_flat_map_has_no_ranks():
    maps = iter([np.random.uniform(size=(1, 9, 9)), *np.zeros((2, 1, 9, 9))])
    result = metrics.mprt(
        make_model(), lambda model, images: next(maps), random_images()
    )
    np.testing.assert_array_equal(result.curves[:, 1:], 0.0)


class Block(keras.layers.Layer):
    """What tells a transformer block: a norm among its layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = keras.layers.LayerNormalization()
        self.dense = keras.layers.Dense(4)

    def build(self, shape):
        self.norm.build(shape)
        self.dense.build(shape)

    def call(self, inputs):
        return inputs + self.dense(self.norm(inputs))


class Encoder(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [Block(), Block()]

    def build(self, shape):
        for block in self.blocks:
            block.build(shape)

    def call(self, inputs):
        for block in self.blocks:
            inputs = block(inputs)
        return inputs


def test_a_transformer_block_is_taken_as_one():
    images = keras.Input((8, 8, 1))
    tokens = keras.layers.Reshape((16, 4))(images)
    encoded = Encoder(name="encoder")(tokens)
    flat = keras.layers.Flatten()(encoded)
    model = keras.Model(images, keras.layers.Dense(2, name="logits")(flat))
    result = metrics.mprt(
        model, lambda model, images: images[..., 0], random_images()
    )
    assert result.layers == ("logits", "encoder/block_1", "encoder/block_0")


@pytest.mark.parametrize(
    ("layers", "maps", "message"),
    [
        (["missing"], np.ones((1, 8, 8)), "no layer 'missing'"),
        (["flatten"], np.ones((1, 8, 8)), "with weights"),
        ([], np.ones((1, 8, 8)), "with weights"),
        (None, np.ones((8, 8)), "must return maps"),
        (None, np.ones((1, 6, 8)), "7 x 7"),
        (None, np.full((1, 8, 8), np.nan), "NaN"),
    ],
)
def test_what_does_not_fit_is_refused(layers, maps, message):
    with pytest.raises(ValueError, match=message):
        metrics.mprt(
            make_model(), lambda model, images: maps, random_images(), layers
        )


def test_maps_that_change_their_shape_are_refused():
    model, sizes = make_model(), iter([8, 9])
    before = weights_of(model)
    with pytest.raises(ValueError, match="one shape"):
        metrics.mprt(
            model,
            lambda model, images: np.ones((1, 8, next(sizes))),
            random_images(),
        )
    np.testing.assert_array_equal(before[2], weights_of(model)[2])


def test_what_is_no_model_or_no_list_is_refused():
    with pytest.raises(TypeError, match=r"keras\.Model"):
        metrics.mprt(gradient_times_input, make_model(), random_images())
    with pytest.raises(TypeError, match=r"layers=\['logits'\]"):
        metrics.mprt(make_model(), gradient_times_input, None, "logits")


def test_without_scikit_image_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(ImportError, match="pip install scikit-image"):
        metrics.mprt(make_model(), gradient_times_input, random_images())
