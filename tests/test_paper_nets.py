"""The paper's nets against their description, layer for layer."""

import functools
import itertools

import keras
import numpy as np
import pytest

from keras_aib import zoo
from keras_aib.models import AIBClassifier
from keras_aib.zoo.architectures.paper_layers import convolve
from keras_aib.zoo.architectures.paper_layers import standardize
from keras_aib.zoo.architectures.paper_nets import PAPER_NETS
from keras_aib.zoo.architectures.vgg import build_vgg16
from keras_aib.zoo.architectures.vgg import build_vgg16_features
from keras_aib.zoo.architectures.vgg import build_vgg32
from keras_aib.zoo.architectures.vgg import pool_to_three
from keras_aib.zoo.architectures.vgg import vgg16_score_network
from keras_aib.zoo.architectures.vgg import vgg32_score_network
from keras_aib.zoo.architectures.wide_resnet import build_wrn28_10
from keras_aib.zoo.architectures.wide_resnet import wrn28_10_score_network
from keras_aib.zoo.architectures.wide_resnet import wrn50_2_score_network
from keras_aib.zoo.paper_recipes import paper_recipe

ROWS = {row.name: row for row in PAPER_NETS}
STDDEV_CONVOLUTION = 3 * 3 + 1
large = pytest.mark.large

# Net, image size of the test, map that is attended there. The sizes are the
# smallest at which no weight has another shape than in the paper.
BUILT = [
    ("aib_vgg32", 32, (16, 16)),
    ("aib_vgg16", 48, (3, 3)),
    pytest.param("aib_wrn28_10", 16, (8, 8), marks=large),
    pytest.param("aib_wrn50_2", 32, (2, 2), marks=large),
]


def conv(inputs, outputs, size=3):
    return size * size * inputs * outputs


def norm(channels):
    return 2 * channels


def dense(inputs, outputs):
    return inputs * outputs + outputs


def head(features, latent_dim, num_classes, hidden=True):
    decoder = dense(latent_dim, latent_dim) if hidden else 0
    encoder = dense(features, 2 * latent_dim)
    return encoder + decoder + dense(latent_dim, num_classes)


def vgg32(num_classes):
    widths = [3, 64, 64, 128, 128, *[256] * 3, *[512] * 8]
    convolutions = sum(
        conv(inputs, outputs) + outputs + norm(outputs)
        for inputs, outputs in itertools.pairwise(widths)
    )
    projection = conv(512, 512, size=1) + 512
    score = conv(256, 1) + 1
    return (
        convolutions
        + projection
        + score
        + STDDEV_CONVOLUTION
        + head(512, 256, num_classes)
    )


def preactivation_group(inputs, width):
    first = norm(inputs) + conv(inputs, width) + norm(width)
    shortcut = conv(inputs, width, size=1)
    other = norm(width) + conv(width, width) + norm(width) + conv(width, width)
    return first + conv(width, width) + shortcut + 3 * other


def wrn28_10(num_classes):
    groups = [(16, 160), (160, 320), (320, 640)]
    backbone = conv(3, 16) + norm(640)
    backbone += sum(itertools.starmap(preactivation_group, groups))
    score = preactivation_group(320, 640) + norm(640)
    score += conv(640, num_classes, size=1) + norm(num_classes)
    score += conv(num_classes, 1) + norm(1)
    return (
        backbone
        + score
        + STDDEV_CONVOLUTION
        + head(640, 512, num_classes, hidden=False)
    )


def vgg16(num_classes):
    widths = [3, 64, 64, 128, 128, *[256] * 3, *[512] * 6]
    backbone = sum(
        conv(inputs, outputs) + outputs
        for inputs, outputs in itertools.pairwise(widths)
    )
    score = 3 * (conv(512, 512) + 512) + conv(512, 1) + 1
    return (
        backbone
        + score
        + STDDEV_CONVOLUTION
        + head(3 * 3 * 512, 256, num_classes)
    )


def bottleneck_group(inputs, width, blocks):
    outputs = 2 * width

    def block(inputs):
        return (
            conv(inputs, width, size=1)
            + norm(width)
            + conv(width, width)
            + norm(width)
            + conv(width, outputs, size=1)
            + norm(outputs)
        )

    shortcut = conv(inputs, outputs, size=1) + norm(outputs)
    return block(inputs) + shortcut + (blocks - 1) * block(outputs)


def wrn50_2(num_classes):
    groups = [(64, 128, 3), (256, 256, 4), (512, 512, 6), (1024, 1024, 3)]
    backbone = conv(3, 64, size=7) + norm(64)
    backbone += sum(itertools.starmap(bottleneck_group, groups))
    score = bottleneck_group(1024, 1024, 3) + conv(2048, 1) + 1
    return backbone + score + STDDEV_CONVOLUTION + head(2048, 256, num_classes)


DERIVED = {
    "aib_vgg32": vgg32,
    "aib_wrn28_10": wrn28_10,
    "aib_vgg16": vgg16,
    "aib_wrn50_2": wrn50_2,
}


@functools.cache
def build(name, image_size):
    return zoo.load(
        name, ROWS[name].num_classes, weights=None, image_size=image_size
    )


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.once
def test_the_derivation_gives_the_counts_of_the_authors_classes():
    assert vgg32(10) == 20_040_789
    assert vgg32(100) == 20_063_919
    assert wrn28_10(10) == 65_004_500
    assert wrn28_10(100) == 65_109_260
    assert vgg16(200) == 24_275_731


@pytest.mark.once
@pytest.mark.parametrize("name", ROWS)
def test_parameters_of_the_rows(name):
    row = ROWS[name]
    derived = DERIVED[name.removesuffix("_continuous")](row.num_classes)
    assert row.parameters == derived + (row.num_anchors or 0)
    assert (row.num_anchors is None) is name.endswith("_continuous")


@pytest.mark.once
def test_anchors_are_the_papers():
    quantized = {name: row.num_anchors for name, row in ROWS.items()}
    assert {name: q for name, q in quantized.items() if q} == {
        "aib_vgg32": 20,
        "aib_wrn28_10": 50,
        "aib_vgg16": 20,
        "aib_wrn50_2": 20,
    }


@pytest.mark.once
@pytest.mark.parametrize(("name", "image_size", "attended"), BUILT)
def test_the_built_net(name, image_size, attended):
    row, model = ROWS[name], build(name, image_size)
    assert count(model.trainable_weights) == row.parameters
    attention = model.get_layer("bottleneck_attention")
    assert attention.input.shape[1:3] == attended
    assert attention.quantizer.anchors.shape[0] == row.num_anchors
    images = np.random.randint(0, 256, (1, image_size, image_size, 3))
    logits = model.predict(images.astype("uint8"), verbose=0)
    assert logits.shape == (1, row.num_classes)
    assert np.isfinite(logits).all()


@pytest.mark.once
def test_statistics_of_vgg32():
    statistics = [
        weight
        for weight in build("aib_vgg32", 32).non_trainable_weights
        if weight.name in ("moving_mean", "moving_variance")
    ]
    assert count(statistics) == 10_496


@pytest.mark.parametrize(
    ("sides", "pooled"),
    [((14, 14), (3, 3)), ((6, 4), (3, 3)), ((3, 5), (3, 3)), ((2, 1), (2, 1))],
)
def test_vgg16_pools_to_three_by_three(sides, pooled):
    maps = np.random.uniform(size=(2, *sides, 4)).astype("float32")
    received = keras.ops.convert_to_numpy(
        pool_to_three(keras.ops.convert_to_tensor(maps))
    )
    assert received.shape == (2, *pooled, 4)
    if sides == (14, 14):
        middle = maps[:, 4:10, 8:14].mean(axis=(1, 2))
        np.testing.assert_allclose(received[:, 1, 2], middle, atol=1e-6)


@pytest.mark.slow
def test_training_moves_vgg32_and_holds_its_anchors():
    recipe = paper_recipe("aib_vgg32")
    model = zoo.load("aib_vgg32", 10, weights=None, seed=0, **recipe.options)
    model.compile(
        recipe.optimizer(steps_per_epoch=1, epochs=recipe.epochs),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    first = model.get_layer("block1_conv1").get_weights()[0]
    images = np.random.uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    history = model.fit(images, np.array([3, 5]), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    moved = model.get_layer("block1_conv1").get_weights()[0] - first
    assert np.abs(moved).max() > 0
    anchors = np.array(model.attention_block.quantizer.anchors)
    np.testing.assert_allclose(anchors, np.linspace(0, 1, 20), atol=1e-6)


def test_vgg32_starts_as_the_paper_says():
    backbone = build("aib_vgg32", 32).backbone
    second = backbone.get_layer("block4_conv2").get_weights()[0]
    limit = np.sqrt(2) * np.sqrt(6 / (9 * 512 + 9 * 512))
    assert 0.99 * limit < np.abs(second).max() <= limit
    np.testing.assert_allclose(second.std(), limit / np.sqrt(3), rtol=1e-2)
    third = backbone.get_layer("block4_conv3").get_weights()[0]
    assert not np.array_equal(second, third)
    gamma = backbone.get_layer("block4_conv2_norm").get_weights()[0]
    assert 0 <= gamma.min() < 0.05 < 0.95 < gamma.max() <= 1


def test_the_score_network_of_vgg32_starts_as_the_paper_says():
    network = vgg32_score_network()
    network.build((None, 16, 16, 256))
    limit = np.sqrt(2) * np.sqrt(6 / (9 * 256 + 9))
    assert 0.9 * limit < np.abs(network.get_weights()[0]).max() <= limit


def test_preprocessing_is_per_channel():
    pixels = np.array([0.0, 127.5, 255.0]).reshape(1, 1, 1, 3)
    layer = standardize((0.5, 0.25, 0.1), (0.5, 0.2, 0.3))
    layer = type(layer).from_config(layer.get_config())
    received = keras.ops.convert_to_numpy(layer(pixels))
    np.testing.assert_allclose(
        received.reshape(-1), [-1.0, 1.25, 3.0], rtol=1e-5
    )


def test_strided_convolutions_pad_as_pytorch_does():
    inputs = keras.Input((4, 4, 1))
    outputs = convolve(
        inputs, 1, 3, "conv", strides=2, kernel_initializer="ones"
    )
    image = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    received = keras.Model(inputs, outputs).predict(image, verbose=0)
    # Windows start one pixel outside: rows and columns -1..1 and 1..3.
    expected = [
        [image[0, :2, :2].sum(), image[0, :2, 1:].sum()],
        [image[0, 1:, :2].sum(), image[0, 1:, 1:].sum()],
    ]
    np.testing.assert_allclose(received[0, ..., 0], expected)


SCORE_NETWORKS = [
    pytest.param(vgg32_score_network, 8, id="vgg32"),
    pytest.param(lambda: vgg16_score_network(8), 8, id="vgg16"),
    pytest.param(
        lambda: wrn28_10_score_network(3), 320, id="wrn28_10", marks=large
    ),
    pytest.param(wrn50_2_score_network, 1024, id="wrn50_2", marks=large),
]


@pytest.mark.parametrize(("make", "channels"), SCORE_NETWORKS)
def test_score_networks_survive_saving(make, channels, tmp_path):
    images = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(channels, 3, strides=2, padding="same")
    model = AIBClassifier(
        keras.Model(images, features(images)),
        num_classes=3,
        latent_dim=4,
        score_network=make(),
    )
    network = model.attention_block.attention.score_network
    # Weights that start at zero would not show whether they were loaded.
    network.set_weights(
        [
            weight
            if weight.any()
            else np.random.normal(scale=weight.size**-0.5, size=weight.shape)
            for weight in network.get_weights()
        ]
    )
    pixels = np.random.uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    expected = model.attention(pixels)["mean"]
    assert expected.shape == (2, 4, 4)
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    for loaded in (
        keras.models.load_model(tmp_path / "model.keras"),
        AIBClassifier.from_preset(tmp_path / "preset"),
    ):
        maps = loaded.attention(pixels)["mean"]
        np.testing.assert_allclose(maps, expected, atol=1e-6)
    assert expected.std() > 0


def test_too_small_images():
    with pytest.raises(ValueError, match="at least 32 pixels"):
        build_vgg32((32, 31))
    with pytest.raises(ValueError, match="at least 16 pixels"):
        build_vgg16(8)
    with pytest.raises(ValueError, match="needs a fixed image size"):
        build_vgg16_features(paper_pooling=True)


def test_channels_first():
    keras.config.set_image_data_format("channels_first")
    with pytest.raises(ValueError, match="channels_last"):
        build_wrn28_10()
