"""Where a model is explained if nobody says: one rule, every model."""

import keras
import pytest
from training_runs import tiny_model

from keras_aib.runs.explained_layers import choose_layers
from keras_aib.zoo.architectures.vit import PRETRAINED
from keras_aib.zoo.architectures.vit import build_vit_tiny32
from keras_aib.zoo.pretrained import assemble_classifier
from keras_aib.zoo.pretrained import build_head


def network(side, strides):
    """Convolutions named by their number."""
    images = x = keras.Input((side, side, 3))
    for index, stride in enumerate(strides):
        x = keras.layers.Conv2D(
            2, 3, strides=stride, padding="same", name=f"c{index}"
        )(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(2)(x))


@pytest.mark.parametrize(
    ("side", "strides", "expected"),
    [
        # Maps of 64, 32, 16, 8, 8, 4 and 2 places a side.
        (128, (2, 2, 2, 2, 1, 2, 2), "c4"),
        # No finer than half of the image: the coarsest that there is.
        (64, (2, 1, 1), "c2"),
        # A sixteenth would be 2 x 2.
        (32, (2, 2, 2, 2), "c2"),
        (2, (1, 1), "c1"),
    ],
)
def test_the_last_layer_at_a_sixteenth_of_the_image(side, strides, expected):
    model = network(side, strides)
    for method in ("iba", "coiba"):
        assert choose_layers(model, method, (side, side)) == [expected]


def test_a_level_comes_first():
    plain = network(64, (2, 2, 2, 2, 1))
    levels = {"P3": "c2", "P4": "c3"}
    outputs = {level: plain.get_layer(x).output for level, x in levels.items()}
    backbone = keras.Model(plain.input, outputs, name="backbone")
    images = keras.Input((64, 64, 3))
    x = keras.layers.Conv2D(2, 3, padding="same")(backbone(images)["P4"])
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(2)(x))
    assert choose_layers(model, "iba", (64, 64)) == ["backbone/c3"]


def test_the_later_two_thirds_of_a_transformer():
    head = build_head(96, 10)
    model = assemble_classifier(PRETRAINED[0], build_vit_tiny32(), head)
    (block,) = choose_layers(model, "iba", (32, 32))
    assert block.endswith("vit_encoder/block_2")
    norms = choose_layers(model, "coiba", (32, 32))
    stack = block.removesuffix("block_2")
    assert norms == [f"{stack}block_{i}/layer_norm_1" for i in range(2, 6)]


def test_an_attentive_model_is_cut_after_its_attention():
    assert choose_layers(tiny_model(), "iba", (12, 12)) == [
        "bottleneck_attention"
    ]


def test_a_sequential_model_too():
    model = keras.Sequential(
        [keras.Input((64, 64, 3)), keras.layers.Conv2D(2, 3, 16, name="c0")]
    )
    assert choose_layers(model, "iba", (64, 64)) == ["c0"]


def test_a_model_without_a_map_is_refused():
    images = keras.Input((8, 8, 3))
    x = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    with pytest.raises(ValueError, match="Name one with `--layer`"):
        choose_layers(keras.Model(images, x), "iba", (8, 8))
