"""The map lies where the pixels are, whatever a model does inside."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_aib import attribution

HEIGHT, WIDTH = 32, 48


@keras.saving.register_keras_serializable(package="keras_aib_tests")
class ClassToken(layers.Layer):
    """A token of its own among the others, at a share of the way."""

    def __init__(self, at, **options):
        super().__init__(**options)
        self.at = at

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")

    def call(self, tokens):
        start = int(self.at * tokens.shape[1])
        # JAX broadcasts no shapes that are not known.
        token = ops.mean(tokens, axis=1, keepdims=True) * 0 + self.token
        return ops.concatenate(
            [tokens[:, :start], token, tokens[:, start:]], axis=1
        )


def conv(x, size=1, name=None):
    return layers.Conv2D(6, size, strides=size, name=name)(x)


def tokens(x, order=(1, 2, 3)):
    return layers.Reshape((-1, 6))(layers.Permute(order)(conv(x, 4)))


CASES = {
    "nothing": lambda x: conv(layers.Activation("relu")(x), 4),
    "crop": lambda x: conv(layers.CenterCrop(16, 24)(x)),
    "crop of coarse cells": lambda x: conv(layers.CenterCrop(24, 24)(x), 6),
    "crop to one side": lambda x: conv(
        layers.Cropping2D(((2, 14), (20, 4)))(x), 2
    ),
    "crop of features": lambda x: conv(
        layers.Cropping2D(((2, 0), (0, 4)))(conv(x, 4))
    ),
    "padding": lambda x: conv(layers.ZeroPadding2D(((16, 0), (8, 8)))(x), 2),
    "resizing": lambda x: conv(layers.Resizing(64, 24)(x), 2),
    "crop and resizing": lambda x: conv(
        layers.Resizing(32, 32, crop_to_aspect_ratio=True)(x), 4
    ),
    "padding and resizing": lambda x: conv(
        layers.Resizing(32, 32, pad_to_aspect_ratio=True)(x), 4
    ),
    "mirrored": lambda x: conv(ops.flip(x, axis=2), 4),
    "upside down": lambda x: conv(ops.flip(x, axis=1)),
    "on its side": lambda x: conv(layers.Permute((2, 1, 3))(x), 4),
    "channels in front": lambda x: layers.Permute((3, 1, 2))(conv(x, 4)),
    "channels between": lambda x: layers.Permute((1, 3, 2))(conv(x, 4)),
    "tokens": tokens,
    "tokens that leave pixels over": lambda x: tokens(
        layers.Cropping2D(((0, 2), (0, 2)))(x)
    ),
    "tokens column by column": lambda x: tokens(x, (2, 1, 3)),
    "class token at the end": lambda x: ClassToken(1.0)(tokens(x)),
    "class token in the middle": lambda x: ClassToken(0.5)(tokens(x)),
    "class token in front": lambda x: ClassToken(0.0)(tokens(x)),
}


def model_of(change):
    keras.utils.set_random_seed(0)
    images = keras.Input((HEIGHT, WIDTH, 3))
    places = layers.Activation("linear", name="places")(change(images))
    axes = range(1, len(places.shape) - 1)
    pooled = ops.mean(places, axis=tuple(axes))
    return keras.Model(images, layers.Dense(2)(pooled))


def pixels(count, seed=0):
    random = np.random.default_rng(seed)
    shape = (count, HEIGHT, WIDTH, 3)
    return random.uniform(size=shape).astype("float32")


def plan_of(model, **options):
    few = attribution.estimate_statistics(model, ["places"], pixels(8), 4, 0)
    with pytest.warns(UserWarning, match="statistics are of 8 images"):
        explain = attribution.IBA(
            model, "places", few, smoothing_sigma=None, **options
        )
    return explain._search, explain._search._plan(
        (HEIGHT, WIDTH, 3), pixels(2), 2
    )


@pytest.mark.parametrize(
    "case",
    [
        *list(CASES)[::6],
        *(
            pytest.param(case, marks=pytest.mark.slow)
            for index, case in enumerate(CASES)
            if index % 6
        ),
    ],
)
def test_a_change_of_the_image_shows_where_it_was(case):
    model = model_of(CASES[case])
    assert "places" in attribution.list_layers(model)
    search, plan = plan_of(model)
    features = keras.Model(model.input, model.get_layer("places").output)
    plain = pixels(1, seed=3)
    for top, left in ((12, 20), (16, 24), (10, 21)):
        changed = plain.copy()
        changed[:, top : top + 4, left : left + 4] += 1
        difference = np.abs(
            features.predict(changed, verbose=0)
            - features.predict(plain, verbose=0)
        )
        layout = plan._layouts[0]
        folded = ops.convert_to_numpy(layout.fold(difference)).sum(axis=-1)
        (drawn,) = search._bits(folded, plain.shape, plan.placement)
        assert drawn.shape == (HEIGHT, WIDTH)
        np.testing.assert_allclose(drawn.sum(), difference.sum(), rtol=0.05)
        rows, columns = np.indices(drawn.shape) + 0.5
        middle = [np.sum(x * drawn) / drawn.sum() for x in (rows, columns)]
        np.testing.assert_allclose(middle, [top + 2, left + 2], atol=1.6)


def shuffled(x):
    order = np.random.default_rng(0).permutation(8 * 12)
    return ops.take(tokens(x), order, axis=1)


def mixed(x):
    return layers.Reshape((4, 6, 2))(layers.Dense(48)(layers.Flatten()(x)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (shuffled, "num_prefix_tokens"),
        (mixed, "Choose another layer"),
        (lambda x: layers.Permute((2, 1))(tokens(x)), "num_prefix_tokens"),
    ],
    ids=["shuffled tokens", "mixed places", "tokens behind channels"],
)
def test_places_that_are_none_are_not_listed_and_refused(change, told):
    model = model_of(change)
    assert "places" not in attribution.list_layers(model)
    with pytest.raises(ValueError, match=f"'places'.*{told}"):
        plan_of(model)


def test_the_argument_that_an_error_names_exists():
    model = model_of(shuffled)
    _, plan = plan_of(model, num_prefix_tokens=0)
    assert plan._layouts[0].map_size == (8, 12)


def test_maps_keep_their_bits():
    model = model_of(CASES["class token at the end"])
    search, _ = plan_of(model)
    images = pixels(2)
    result = search.run(images, None, 2, 0)
    assert result.bits.shape == (2, HEIGHT, WIDTH)
    assert result.damping.shape[:3] == (2, 8, 12)
    assert (result.prefix_bits > 0).all()
    capacity = result.capacity["places"].sum(axis=(1, 2, 3))
    np.testing.assert_allclose(result.total_bits, capacity, rtol=0.01)
