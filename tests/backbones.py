"""The backbones that AIBClassifier is shown on: small, random weights."""

import keras
from backbone import Backbone
from backbone import application
from backbone import cv
from keras_hub_backbones import KERAS_HUB


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
