"""Reaching layers inside a model: CNNs by name, transformers by path."""

import keras
import keras_hub
import numpy as np
import pytest
from explained_models import pixels
from explained_models import residual_model
from explained_models import statistics_of

from keras_aib import attribution
from keras_aib.graph.explained_model import ExplainedModel
from keras_aib.graph.layer_tree import find_layer
from keras_aib.graph.located_layers import checked_layout
from keras_aib.graph.traced_layers import trace_layers
from keras_aib.models import AIBClassifier

# KerasHub's Swin builds some of its layers late, and says so.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Layer 'stage_"),
    pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer"),
    pytest.mark.filterwarnings("ignore:Layer 'attn'"),
]

WIDTHS = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8}


def vit():
    return keras_hub.models.ViTBackbone(
        image_shape=(16, 24, 3), patch_size=8, mlp_dim=8, **WIDTHS
    )


def deit():
    return keras_hub.models.DeiTBackbone(
        image_shape=(16, 24, 3), patch_size=8, intermediate_dim=8, **WIDTHS
    )


def dinov2(num_register_tokens=4):
    return keras_hub.models.DINOV2Backbone(
        image_shape=(16, 16, 3),
        position_embedding_shape=(16, 16, 3),
        patch_size=8,
        intermediate_dim=8,
        num_register_tokens=num_register_tokens,
        **WIDTHS,
    )


def swin():
    return keras_hub.models.SwinTransformerBackbone(
        image_shape=(32, 32, 3),
        embed_dim=8,
        depths=(2, 2),
        num_heads=(1, 2),
        window_size=4,
    )


def with_head(backbone, nested=False):
    """Logits of the first token; with random weights, but not all alike."""
    x = backbone.input
    tokens = backbone.output
    if nested:
        x = keras.Input(backbone.input.shape[1:])
        tokens = backbone(x)
    logits = keras.layers.Dense(3, kernel_initializer="ones", name="head")(
        tokens[:, 0] ** 2
    )
    return keras.Model(x, logits)


FAMILIES = [
    pytest.param(vit, "vit_encoder", 1, (2, 3), id="ViT"),
    pytest.param(deit, "deit_encoder", 2, (2, 3), id="DeiT"),
    pytest.param(dinov2, "encoder", 5, (2, 2), id="DINOv2 with registers"),
    pytest.param(lambda: dinov2(0), "encoder", 1, (2, 2), id="DINOv2"),
    pytest.param(swin, "stage_1", 0, (4, 4), id="Swin"),
]


@pytest.mark.parametrize(("build", "stack", "prefix", "grid"), FAMILIES)
def test_blocks_and_norms_of_a_transformer(build, stack, prefix, grid):
    model = with_head(build())
    listed = attribution.list_layers(model)
    shape = listed[f"{stack}/block_1"]
    assert shape[0] == prefix + grid[0] * grid[1]
    assert listed[f"{stack}/block_1/layer_norm_1"] == shape
    order = list(listed)
    assert order.index(f"{stack}/block_0/layer_norm_1") < order.index(
        f"{stack}/block_1/layer_norm_1"
    )


@pytest.mark.parametrize(
    ("build", "stack", "prefix", "grid"),
    [
        FAMILIES[0],
        *(
            pytest.param(*family.values, id=family.id, marks=pytest.mark.slow)
            for family in FAMILIES[1:]
        ),
    ],
)
def test_coiba_on_a_transformer(build, stack, prefix, grid):
    model = with_head(build())
    height, width, _ = model.input_shape[1:]
    images = np.random.default_rng(0).uniform(size=(1000, height, width, 3))
    images = images.astype("float32")
    layers = [f"{stack}/block_{index}/layer_norm_1" for index in range(2)]
    statistics = attribution.estimate_statistics(
        model, layers, images, 250, verbose=0
    )
    explain = attribution.CoIBA(model, layers, statistics, steps=2)
    result = explain(images[:2], verbose=0)
    assert result.bits.shape == (2, height, width)
    assert result.damping.shape == (2, *grid)
    assert [x.shape for x in result.capacity.values()] == [(2, *grid)] * 2
    assert np.isfinite(result.bits).all() and result.bits.max() > 0
    assert (result.prefix_bits > 0).tolist() == [prefix > 0] * 2
    place = find_layer(model, layers[0])
    explained = ExplainedModel(model)
    (traced,) = [
        x
        for x in trace_layers(explained, (height, width, 3))
        if x.place.path == place.path
    ]
    layout = checked_layout(traced, explained, (height, width, 3))
    assert layout.grid.num_prefix_tokens == prefix


def test_heads_and_windows_are_not_listed():
    for build in (vit, swin):
        listed = attribution.list_layers(with_head(build()))
        assert not any(
            "attention_qkv" in path for path in listed if "0/b" in path
        )
        assert all(len(shape) in (2, 3) for shape in listed.values())
        for path, shape in listed.items():
            if "block_" in path:
                assert len(shape) == 2, path


def test_a_nested_backbone_is_reached_with_and_without_its_name():
    backbone = vit()
    model = with_head(backbone, nested=True)
    short = "vit_encoder/block_1/layer_norm_1"
    full = f"{backbone.name}/{short}"
    assert full in attribution.list_layers(model)
    layer = find_layer(backbone, short).layer
    for name in (short, full, "vit_encoder/transformer_block_2/ln_1"):
        assert find_layer(model, name).layer is layer


def test_pattern_and_level_and_open_sizes():
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    pooled = keras.layers.GlobalAveragePooling2D()(
        backbone.pyramid_outputs["P3"]
    )
    model = keras.Model(backbone.input, keras.layers.Dense(2)(pooled))
    listed = attribution.list_layers(model, "stack?_*", image_size=(32, 48))
    assert listed
    assert all(path.startswith("stack") for path in listed)
    aib = AIBClassifier(backbone, 2, attention_layer="P2", latent_dim=4)
    place = find_layer(aib, "P2")
    assert attribution.list_layers(aib, place.path, (32, 48))


def test_the_attention_model_itself_can_be_explained():
    backbone = residual_model()
    backbone = keras.Model(backbone.input, backbone.get_layer("block_2").output)
    model = AIBClassifier(backbone, 2, attention_layer="block_1")
    statistics = statistics_of(model, ["block_1"])
    explain = attribution.IBA(model, "block_1", statistics, steps=2)
    result = explain(pixels(2), verbose=0)
    assert result.bits.shape == (2, 8, 8)
    assert model.attention(pixels(2))["mean"].shape == (2, 8, 8)


def test_a_layer_that_runs_twice_is_not_listed_and_refused():
    images = keras.Input((8, 8, 3))
    twice = keras.layers.Conv2D(3, 3, padding="same", name="twice")
    once = keras.layers.Conv2D(3, 3, padding="same", name="once")
    x = keras.layers.GlobalAveragePooling2D()(twice(once(twice(images))))
    model = keras.Model(images, keras.layers.Dense(2)(x))
    assert list(attribution.list_layers(model)) == ["once"]
    with pytest.raises(ValueError, match=r"twice.*more than once"):
        statistics_of(model, ["twice"])


def test_unknown_layers_get_near_names():
    model = residual_model()
    with pytest.raises(ValueError, match=r"no layer 'blok_1'.*block_1"):
        find_layer(model, "blok_1")
    with pytest.raises(TypeError, match="named by a string"):
        find_layer(model, 3)


def test_an_ambiguous_end_of_a_path_is_refused():
    model = with_head(vit())
    with pytest.raises(ValueError, match=r"names 2 layers.*block_0"):
        find_layer(model, "layer_norm_1")
