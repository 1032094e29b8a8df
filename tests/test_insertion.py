"""Insertion of attention into a backbone's graph, and what it refuses."""

import keras
import numpy as np
import pytest

from keras_aib.graph.token_grid import TokenGrid
from keras_aib.graph.token_grid import infer_token_grid
from keras_aib.models import AIBClassifier

layers = keras.layers


def convolutional(size=None):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same", name="first"),
            layers.BatchNormalization(name="normalization"),
            layers.Conv2D(4, 3, strides=2, padding="same", name="second"),
        ],
        name="convolutional",
    )


def patches(num_classes_tokens=0, size=16):
    """Tokens of 4 x 4 pixels, with zeros as class tokens in front."""
    images = keras.Input((size, size, 3))
    x = layers.Conv2D(6, 4, strides=4)(images)
    x = layers.Reshape((-1, 6))(x)
    x = layers.ZeroPadding1D((num_classes_tokens, 0))(x)
    return keras.Model(images, x, name="patches")


def dinov2():
    import keras_hub

    return keras_hub.models.DINOV2Backbone(
        image_shape=(16, 16, 3),
        position_embedding_shape=(16, 16, 3),
        patch_size=8,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=8,
        use_mask_token=False,
    )


def classifier(backbone, attention_layer=None, **arguments):
    return AIBClassifier(
        backbone, 3, attention_layer, latent_dim=4, **arguments
    )


def fit(model, size=16):
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images = np.random.uniform(size=(4, size, size, 3)).astype("float32")
    model.fit(images, np.array([0, 1, 2, 0]), verbose=0)
    return images


# Names ----------------------------------------------------------------------


def test_unknown_layer_lists_near_names():
    with pytest.raises(ValueError, match=r"Near names: .*'second'") as error:
        classifier(convolutional(), "secund")
    assert "Levels: none" in str(error.value)


def test_unknown_level_lists_the_levels():
    with pytest.raises(ValueError, match=r"Levels: \['stem', 'stage1'\]"):
        classifier(dinov2(), "P7")


def test_layer_inside_a_nested_model_says_how_to_reach_it():
    images = keras.Input((16, 16, 3))
    outer = keras.Model(images, convolutional()(images))
    with pytest.raises(ValueError, match="pass that model as backbone"):
        classifier(outer, "second")


def test_level_that_does_not_feed_the_output():
    with pytest.raises(ValueError, match="does not feed the output"):
        classifier(dinov2(), "stage1")


def test_layer_used_twice_names_no_place():
    images = keras.Input((16, 16, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    backbone = keras.Model(images, shared(shared(images)))
    with pytest.raises(ValueError, match="used more than once"):
        classifier(backbone, "shared")


def test_names_given_by_the_session_are_not_relied_on(tmp_path):
    import keras_hub

    def backbone():
        # Its normalizations have no names of their own.
        return keras_hub.models.MiTBackbone(
            layerwise_depths=[1, 1],
            num_layers=2,
            layerwise_num_heads=[1, 1],
            layerwise_sr_ratios=[1, 1],
            max_drop_path_rate=0.0,
            layerwise_patch_sizes=[3, 3],
            layerwise_strides=[4, 2],
            hidden_dims=[6, 6],
            image_shape=(16, 16, 3),
        )

    backbone()
    named = backbone()
    normalization = next(
        layer
        for layer in named.layers
        if isinstance(layer, layers.LayerNormalization)
    )
    model = classifier(named, normalization.name)
    images = np.random.uniform(size=(2, 16, 16, 3)).astype("float32")
    maps = model.attention(images)
    assert maps["mean"].shape == (2, 4, 4)
    model.save(tmp_path / "model.keras")
    keras.utils.clear_session()
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.attention(images)["mean"], maps["mean"], atol=1e-6
    )
    np.testing.assert_allclose(
        again.predict(images, verbose=0),
        model.predict(images, verbose=0),
        atol=1e-6,
    )


# Graphs that cannot take attention ------------------------------------------


def test_several_outputs():
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="x")(images)
    y = layers.Conv2D(4, 3, name="y")(x)
    backbone = keras.Model(images, [x, y])
    with pytest.raises(ValueError, match=r"2 outputs.*Choose one"):
        classifier(backbone)


def test_dictionary_of_maps_ends_with_the_deepest():
    images = keras.Input((16, 16, 3))
    deep = layers.Conv2D(4, 3, strides=2, padding="same")(images)
    deeper = layers.Conv2D(4, 3, strides=2, padding="same")(deep)
    backbone = keras.Model(images, {"a": deeper, "b": deep})
    model = classifier(backbone)
    maps = model.attention(np.zeros((1, 16, 16, 3), "float32"))
    assert maps["mean"].shape == (1, 4, 4)


def test_two_inputs():
    images = keras.Input((16, 16, 3), name="images")
    depth = keras.Input((16, 16, 1), name="depth")
    x = layers.Concatenate()([images, depth])
    backbone = keras.Model([images, depth], layers.Conv2D(4, 3)(x))
    with pytest.raises(ValueError, match=r"2 inputs: \['images', 'depth'\]"):
        classifier(backbone)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.convolution = layers.Conv2D(4, 3)

    def call(self, images):
        return self.convolution(images)


def test_subclassed_model_says_how_to_wrap_it():
    with pytest.raises(ValueError, match=r"Subclassed.*Wrap it"):
        classifier(Subclassed())
    images = keras.Input((16, 16, 3))
    wrapped = keras.Model(images, Subclassed()(images))
    maps = classifier(wrapped).attention(np.zeros((1, 16, 16, 3), "float32"))
    assert maps["mean"].shape == (1, 14, 14)


def test_no_model_at_all():
    with pytest.raises(TypeError, match=r"must be a keras\.Model"):
        classifier(layers.Conv2D(4, 3))


def test_unbuilt_sequential():
    backbone = keras.Sequential([layers.Conv2D(4, 3)])
    with pytest.raises(ValueError, match=r"Start it with keras\.Input"):
        classifier(backbone)


@pytest.mark.parametrize("attention_layer", [None, "vector"])
def test_vector_output(attention_layer):
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="map")(images)
    x = layers.GlobalAveragePooling2D(name="vector")(x)
    backbone = keras.Model(images, x)
    with pytest.raises(ValueError, match="without its top"):
        classifier(backbone, attention_layer)
    # Before the pooling there is a map, and the head takes the vector.
    assert classifier(backbone, "map").output_shape == (None, 3)


# Tokens ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_tokens", "image_size", "grid"),
    [
        (16, (16, 16), TokenGrid(0, 4, 4)),
        (17, (16, 16), TokenGrid(1, 4, 4)),
        (18, (16, 16), TokenGrid(2, 4, 4)),
        (21, (16, 16), TokenGrid(5, 4, 4)),
        (33, (16, 32), TokenGrid(1, 4, 8)),
        (33, (32, 16), TokenGrid(1, 8, 4)),
    ],
)
def test_token_grid_from_the_proportions(num_tokens, image_size, grid):
    assert infer_token_grid(patches(), num_tokens, image_size) == grid


def test_token_grid_from_the_patch_size():
    backbone = patches()
    backbone.patch_size = 4
    assert infer_token_grid(backbone, 61, (20, 50)) == TokenGrid(1, 5, 12)
    # A stage that merged 2 x 2 patches.
    assert infer_token_grid(backbone, 18, (20, 50)) == TokenGrid(0, 3, 6)


def test_token_grid_from_the_number_of_prefix_tokens():
    grid = infer_token_grid(patches(), 60, (100, 140), num_prefix_tokens=12)
    assert grid == TokenGrid(12, 6, 8)


@pytest.mark.parametrize("num_tokens", [45, 60])
def test_ambiguous_tokens_ask_for_the_prefix(num_tokens):
    with pytest.raises(ValueError, match="Pass `num_prefix_tokens`"):
        infer_token_grid(patches(), num_tokens, (16, 16))


def test_prefix_that_leaves_no_grid():
    with pytest.raises(ValueError, match="num_prefix_tokens=3"):
        classifier(patches(2), num_prefix_tokens=3)


def test_tokens_of_a_free_image_size():
    images = keras.Input((None, None, 3))
    x = layers.Reshape((-1, 6))(layers.Conv2D(6, 4, strides=4)(images))
    with pytest.raises(ValueError, match="must have a fixed image size"):
        classifier(keras.Model(images, x))


def test_maps_lie_as_the_patches_do():
    """A bright patch is where the map says, past the class tokens."""
    model = classifier(patches(2), num_anchors=None)
    images = np.zeros((1, 16, 16, 3), "float32")
    images[0, 4:8, 12:16] = 1.0
    network = model.attention_block.attention.score_network
    kernel, bias = network.get_weights()
    kernel = np.zeros_like(kernel)
    kernel[1, 1] = 1.0
    network.set_weights([kernel, bias])
    mean = np.abs(model.attention(images)["mean"][0] - 0.5)
    assert np.unravel_index(mean.argmax(), mean.shape) == (1, 3)
    assert np.count_nonzero(mean > 1e-6) == 1


# Weights and freezing -------------------------------------------------------


def test_weights_are_the_backbones_own():
    backbone = convolutional()
    model = classifier(backbone, "first")
    own = {id(variable) for variable in model.variables}
    assert {id(variable) for variable in backbone.variables} <= own


def statistics(backbone):
    return backbone.get_layer("normalization").get_weights()[2:]


def test_frozen_backbone_keeps_weights_and_statistics():
    backbone = convolutional()
    backbone.trainable = False
    before = backbone.get_weights()
    images = fit(classifier(backbone, "second"))
    for old, new in zip(before, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    backbone.trainable = True
    model = classifier(backbone, "second")
    fit(model)
    assert np.any(statistics(backbone)[0] != before[4])
    assert np.isfinite(model.predict(images, verbose=0)).all()


def test_partial_unfreezing_survives_reload(tmp_path):
    backbone = convolutional()
    backbone.trainable = False
    backbone.get_layer("second").trainable = True
    model = classifier(backbone, "first")
    before = backbone.get_weights()
    images = fit(model)
    changed = [
        bool(np.any(old != new))
        for old, new in zip(before, backbone.get_weights(), strict=True)
    ]
    # Kernel and bias of `second` are the last two.
    assert changed == [False] * 6 + [True] * 2
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    trainable = {layer.name: layer.trainable for layer in again.backbone.layers}
    assert trainable == {
        "first": False,
        "normalization": False,
        "second": True,
    }
    assert len(again.trainable_variables) == len(model.trainable_variables)
    kept = again.backbone.get_weights()
    again.fit(images, np.array([0, 1, 2, 0]), verbose=0)
    for old, new in zip(kept[:6], again.backbone.get_weights(), strict=False):
        np.testing.assert_array_equal(old, new)


# Sizes ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [9, 16, 30])
def test_free_backbone_takes_any_size(size):
    model = classifier(convolutional(), "first")
    images = np.zeros((1, size, size + 2, 3), "float32")
    assert model.predict(images, verbose=0).shape == (1, 3)
    height, width = -(-size // 2), -(-(size + 2) // 2)
    assert model.attention(images)["mean"].shape == (1, height, width)


def test_fixed_backbone_refuses_another_size():
    model = classifier(convolutional(16))
    with pytest.raises(ValueError, match=r"\(16, 16, 3\).*\(20, 16, 3\)"):
        model.predict(np.zeros((1, 20, 16, 3), "float32"))


def test_preprocessor_that_resizes_frees_the_size():
    model = classifier(convolutional(16), preprocessor=layers.Resizing(16, 16))
    for size in (8, 24):
        images = np.full((1, size, size, 3), 7, "uint8")
        assert model.predict(images, verbose=0).shape == (1, 3)
        assert model.attention(images)["mean"].shape == (1, 4, 4)
        assert model.predict_samples(images, 2).shape == (2, 1, 3)
