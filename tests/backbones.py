"""The backbones that AIBClassifier is shown on: small, random weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

DINOV2_NOTE = (
    "freeze `embeddings`: KerasHub 0.32 does not save trained position "
    "embeddings faithfully"
)


@dataclass(frozen=True)
class Backbone:
    """One row of the catalogue, and of the table in the README.

    Attributes:
        name: Family, unique.
        library: Where it comes from.
        build: Makes it.
        attention_layer: Level or layer the attention is tried at.
        map_size: Side of the attention map there.
        image_size: Side of the images in pixels.
        num_prefix_tokens: Tokens of its output that are no patches.
        ordinary: Whether it belongs to the ordinary tests, not the large.
        frozen: Layers that are not trained.
        note: What a user must know, for the table.
    """

    name: str
    library: str
    build: Callable[[], keras.Model]
    attention_layer: str | None
    map_size: int
    image_size: int = 32
    num_prefix_tokens: int = 0
    ordinary: bool = False
    frozen: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        return f"{self.library}-{self.name}".replace(" ", "_")


def hub(name: str, **config: Any) -> Callable[[], keras.Model]:
    """Builder of a KerasHub backbone."""

    def build() -> keras.Model:
        import keras_hub

        return getattr(keras_hub.models, name)(**config)

    return build


def cv(name: str, **config: Any) -> Callable[[], keras.Model]:
    """Builder of a KerasCV backbone by its generic constructor."""

    def build() -> keras.Model:
        import keras_cv

        return getattr(keras_cv.models, name)(include_rescaling=False, **config)

    return build


def application(
    name: str, size: int = 32, **config: Any
) -> Callable[[], keras.Model]:
    """Builder of a keras.applications model without its top."""

    def build() -> keras.Model:
        return getattr(keras.applications, name)(
            include_top=False,
            weights=None,
            input_shape=(size, size, 3),
            **config,
        )

    return build


def own_functional() -> keras.Model:
    """A user's own graph, with a connection around the layer `inner`."""
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, strides=4, activation="relu")(images)
    y = keras.layers.Conv2D(8, 3, padding="same", name="inner")(x)
    outputs = keras.layers.Add()([x, y])
    return keras.Model(images, outputs, name="own_functional")


def own_sequential() -> keras.Model:
    """A user's own stack of layers, for images of any size."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(8, 3, strides=4, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(8, 3, padding="same", name="last"),
        ],
        name="own_sequential",
    )


def own_nested() -> keras.Model:
    """A user's own graph with models among its layers."""
    stem = keras.Sequential(
        [
            keras.layers.Conv2D(8, 3, strides=4, activation="relu"),
            keras.layers.BatchNormalization(),
        ],
        name="stem",
    )
    inner_input = keras.Input((None, None, 8))
    block = keras.Model(
        inner_input,
        keras.layers.Add()(
            [
                inner_input,
                keras.layers.Conv2D(8, 3, padding="same")(inner_input),
            ]
        ),
        name="block",
    )
    images = keras.Input((32, 32, 3))
    return keras.Model(images, block(stem(images)), name="own_nested")


KERAS_HUB = [
    Backbone(
        "ResNet",
        "KerasHub",
        hub(
            "ResNetBackbone",
            input_conv_filters=[64],
            input_conv_kernel_sizes=[3],
            stackwise_num_filters=[64, 16, 16],
            stackwise_num_blocks=[1, 2, 1],
            stackwise_num_strides=[1, 2, 2],
            block_type="basic_block",
        ),
        "P3",
        4,
        ordinary=True,
    ),
    Backbone(
        "ResNetV2",
        "KerasHub",
        hub(
            "ResNetBackbone",
            input_conv_filters=[8],
            input_conv_kernel_sizes=[3],
            stackwise_num_filters=[64, 16],
            stackwise_num_blocks=[1, 1],
            stackwise_num_strides=[1, 2],
            block_type="bottleneck_block",
            use_pre_activation=True,
        ),
        "P2",
        8,
    ),
    Backbone(
        "EfficientNet",
        "KerasHub",
        hub(
            "EfficientNetBackbone",
            stackwise_width_coefficients=[1.0] * 3,
            stackwise_depth_coefficients=[1.0] * 3,
            stackwise_kernel_sizes=[3, 3, 5],
            stackwise_num_repeats=[1, 1, 1],
            stackwise_input_filters=[8, 8, 16],
            stackwise_output_filters=[8, 16, 24],
            stackwise_expansion_ratios=[1, 2, 2],
            stackwise_squeeze_and_excite_ratios=[0.0, 0.25, 0.25],
            stackwise_strides=[1, 2, 2],
            stackwise_block_types=["v1"] * 3,
            stackwise_force_input_filters=[0] * 3,
            stackwise_nores_option=[False] * 3,
        ),
        "P2",
        8,
        ordinary=True,
    ),
    Backbone(
        "EfficientNetV2",
        "KerasHub",
        hub(
            "EfficientNetBackbone",
            stackwise_width_coefficients=[1.0] * 2,
            stackwise_depth_coefficients=[1.0] * 2,
            stackwise_kernel_sizes=[3, 3],
            stackwise_num_repeats=[1, 2],
            stackwise_input_filters=[8, 8],
            stackwise_output_filters=[8, 16],
            stackwise_expansion_ratios=[1, 2],
            stackwise_squeeze_and_excite_ratios=[0.0, 0.25],
            stackwise_strides=[1, 2],
            stackwise_block_types=["fused", "unfused"],
            stackwise_force_input_filters=[0] * 2,
            stackwise_nores_option=[False] * 2,
        ),
        "P1",
        16,
    ),
    Backbone(
        "DenseNet",
        "KerasHub",
        hub(
            "DenseNetBackbone",
            stackwise_num_repeats=[1, 2, 1],
            growth_rate=8,
        ),
        "P3",
        4,
    ),
    Backbone(
        "MobileNet",
        "KerasHub",
        hub(
            "MobileNetBackbone",
            stackwise_expansion=[[16, 24], [32]],
            stackwise_num_blocks=[2, 1],
            stackwise_num_filters=[[8, 8], [16]],
            stackwise_kernel_size=[[3, 3], [5]],
            stackwise_num_strides=[[2, 1], [1]],
            stackwise_se_ratio=[[None, None], [0.25]],
            stackwise_activation=[["relu", "relu"], ["hard_swish"]],
            stackwise_padding=[[1, 1], [2]],
            output_num_filters=32,
            depthwise_filters=8,
            depthwise_stride=2,
            depthwise_residual=False,
            last_layer_filter=32,
            squeeze_and_excite=0.5,
            input_num_filters=8,
        ),
        "block_1_1",
        4,
    ),
    Backbone(
        "VGG",
        "KerasHub",
        hub(
            "VGGBackbone",
            stackwise_num_repeats=[1, 2, 1],
            stackwise_num_filters=[8, 16, 16],
        ),
        "block2_pool",
        8,
    ),
    Backbone(
        "Xception",
        "KerasHub",
        hub(
            "XceptionBackbone",
            stackwise_conv_filters=[[8, 16], [24, 24], [32, 32], [32]],
            stackwise_pooling=[False, True, True, False],
        ),
        "block2_residual_add",
        7,
    ),
    Backbone(
        "CSPNet",
        "KerasHub",
        hub(
            "CSPNetBackbone",
            stem_filters=8,
            stem_kernel_size=3,
            stem_strides=1,
            stackwise_depth=[1, 1, 1],
            stackwise_strides=[2, 2, 2],
            stackwise_num_filters=[8, 16, 16],
            block_ratio=[0.5],
            stem_padding="same",
            stage_type="csp",
            block_type="dark_block",
        ),
        "P3",
        8,
    ),
    Backbone(
        "MiT",
        "KerasHub",
        hub(
            "MiTBackbone",
            layerwise_depths=[1, 1],
            num_layers=2,
            layerwise_num_heads=[1, 2],
            layerwise_sr_ratios=[2, 1],
            max_drop_path_rate=0.1,
            layerwise_patch_sizes=[7, 3],
            layerwise_strides=[4, 2],
            hidden_dims=[8, 16],
            image_shape=(32, 32, 3),
        ),
        "P1",
        8,
    ),
    Backbone(
        "HGNetV2",
        "KerasHub",
        hub(
            "HGNetV2Backbone",
            depths=[1, 1],
            embedding_size=8,
            hidden_sizes=[16, 32],
            stem_channels=[3, 8, 8],
            hidden_act="relu",
            use_learnable_affine_block=False,
            stackwise_stage_filters=[
                (8, 8, 16, 1, 1, 3),
                (16, 8, 32, 1, 1, 3),
            ],
            apply_downsample=[False, True],
            use_lightweight_conv_block=[False, False],
            image_shape=(32, 32, 3),
        ),
        None,
        4,
    ),
    Backbone(
        "ViT",
        "KerasHub",
        hub(
            "ViTBackbone",
            image_shape=(32, 32, 3),
            patch_size=8,
            num_layers=1,
            num_heads=2,
            hidden_dim=16,
            mlp_dim=16,
        ),
        None,
        4,
        num_prefix_tokens=1,
        ordinary=True,
    ),
    Backbone(
        "DeiT",
        "KerasHub",
        hub(
            "DeiTBackbone",
            image_shape=(32, 32, 3),
            patch_size=8,
            num_layers=1,
            num_heads=2,
            hidden_dim=16,
            intermediate_dim=16,
        ),
        None,
        4,
        num_prefix_tokens=2,
    ),
    Backbone(
        "Swin",
        "KerasHub",
        hub(
            "SwinTransformerBackbone",
            image_shape=(32, 32, 3),
            patch_size=4,
            embed_dim=8,
            depths=(1, 2),
            num_heads=(1, 2),
            window_size=4,
        ),
        "stage_0",
        4,
    ),
    Backbone(
        "DINOv2",
        "KerasHub",
        hub(
            "DINOV2Backbone",
            image_shape=(32, 32, 3),
            position_embedding_shape=(48, 48, 3),
            patch_size=8,
            num_layers=1,
            num_heads=2,
            hidden_dim=16,
            intermediate_dim=16,
        ),
        None,
        4,
        num_prefix_tokens=1,
        frozen=("embeddings",),
        note=DINOV2_NOTE,
    ),
    Backbone(
        "DINOv2 with registers",
        "KerasHub",
        hub(
            "DINOV2Backbone",
            image_shape=(32, 32, 3),
            position_embedding_shape=(48, 48, 3),
            patch_size=8,
            num_layers=1,
            num_heads=2,
            hidden_dim=16,
            intermediate_dim=16,
            num_register_tokens=4,
        ),
        "embeddings",
        4,
        num_prefix_tokens=5,
        ordinary=True,
        frozen=("embeddings",),
        note=DINOV2_NOTE,
    ),
]

KERAS_CV = [
    Backbone(
        "ResNet",
        "KerasCV",
        cv(
            "ResNetBackbone",
            stackwise_filters=[64, 16],
            stackwise_blocks=[1, 1],
            stackwise_strides=[1, 2],
            block_type="basic_block",
        ),
        "P2",
        8,
    ),
    Backbone(
        "EfficientNetLite",
        "KerasCV",
        cv(
            "EfficientNetLiteBackbone",
            stackwise_kernel_sizes=[3, 3],
            stackwise_num_repeats=[1, 1],
            stackwise_input_filters=[32, 16],
            stackwise_output_filters=[16, 24],
            stackwise_expansion_ratios=[1, 2],
            stackwise_strides=[1, 2],
            width_coefficient=1.0,
            depth_coefficient=1.0,
        ),
        "P1",
        16,
    ),
    Backbone(
        "MobileNetV3",
        "KerasCV",
        cv(
            "MobileNetV3Backbone",
            stackwise_expansion=[1, 2],
            stackwise_filters=[16, 24],
            stackwise_kernel_size=[3, 5],
            stackwise_stride=[2, 2],
            stackwise_se_ratio=[0.25, None],
            stackwise_activation=["relu", "hard_swish"],
        ),
        None,
        4,
    ),
    Backbone(
        "DenseNet",
        "KerasCV",
        cv("DenseNetBackbone", stackwise_num_repeats=[1, 1], growth_rate=8),
        "P2",
        8,
    ),
    Backbone(
        "CSPDarkNet",
        "KerasCV",
        cv(
            "CSPDarkNetBackbone",
            stackwise_channels=[8, 16],
            stackwise_depth=[1, 1],
        ),
        "P2",
        8,
    ),
]

APPLICATIONS = [
    Backbone(
        name,
        "keras.applications",
        application(name, image_size, **config),
        attention_layer,
        map_size,
        image_size,
        ordinary=name == "MobileNetV2",
    )
    for name, image_size, attention_layer, map_size, config in [
        ("MobileNet", 32, "conv_pw_6_relu", 2, {"alpha": 0.25}),
        ("MobileNetV2", 32, "block_6_expand_relu", 4, {"alpha": 0.35}),
        ("MobileNetV3Small", 64, None, 2, {"minimalistic": True}),
        ("EfficientNetB0", 32, "block4a_expand_activation", 4, {}),
        ("EfficientNetV2B0", 32, "block4a_expand_activation", 4, {}),
        ("DenseNet121", 32, "pool3_relu", 4, {}),
        ("ResNet50", 32, "conv3_block4_out", 4, {}),
        ("ResNet50V2", 32, "conv3_block4_out", 2, {}),
        ("VGG16", 32, "block4_pool", 2, {}),
        ("Xception", 71, "block4_pool", 5, {}),
        ("InceptionV3", 75, "mixed2", 7, {}),
        ("ConvNeXtTiny", 64, None, 2, {}),
    ]
]

OWN = [
    Backbone(
        "Functional with a skip connection",
        "own",
        own_functional,
        "inner",
        8,
        ordinary=True,
    ),
    Backbone("Sequential", "own", own_sequential, None, 8, ordinary=True),
    Backbone("Functional with nested models", "own", own_nested, "stem", 8),
]

CATALOGUE = [*KERAS_HUB, *KERAS_CV, *APPLICATIONS, *OWN]
