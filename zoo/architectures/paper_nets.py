"""The paper's eight nets, as rows of the zoo.

From [Lai et al., 2021](https://arxiv.org/abs/2108.03418). A row is the net;
what the rate costs and how the net is trained is in `paper_recipes`. The
parameters are derived layer by layer in `tests/test_paper_nets.py`.
"""

import functools
from typing import Any

import keras

from keras_aib.zoo.architectures.paper_layers import standardize
from keras_aib.zoo.architectures.vgg import build_vgg16
from keras_aib.zoo.architectures.vgg import build_vgg32
from keras_aib.zoo.architectures.vgg import vgg16_score_network
from keras_aib.zoo.architectures.vgg import vgg32_score_network
from keras_aib.zoo.architectures.wide_resnet import build_wrn28_10
from keras_aib.zoo.architectures.wide_resnet import build_wrn50_2
from keras_aib.zoo.architectures.wide_resnet import wrn28_10_score_network
from keras_aib.zoo.architectures.wide_resnet import wrn50_2_score_network
from keras_aib.zoo.model_config import ModelConfig

CIFAR_MEAN = (0.5071, 0.4867, 0.4408)
CIFAR_STDDEV = (0.2675, 0.2565, 0.2761)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STDDEV = (0.229, 0.224, 0.225)

# For CIFAR-10 and CUB. On CIFAR-100 the paper swaps the two of CIFAR: 50 for
# VGG-32, 20 for WRN-28-10.
VGG32_ANCHORS = 20
WRN28_10_ANCHORS = 50
CUB_ANCHORS = 20


def _vgg32_score_network(num_classes: int) -> keras.layers.Layer:
    return vgg32_score_network()


def _vgg16_score_network(num_classes: int) -> keras.layers.Layer:
    return vgg16_score_network()


def _wrn50_2_score_network(num_classes: int) -> keras.layers.Layer:
    return wrn50_2_score_network()


_CIFAR: dict[str, Any] = {
    "build_preprocessor": functools.partial(
        standardize, CIFAR_MEAN, CIFAR_STDDEV
    ),
    "image_size": (32, 32),
    "num_classes": 10,
}
_CUB: dict[str, Any] = {
    "build_preprocessor": functools.partial(
        standardize, IMAGENET_MEAN, IMAGENET_STDDEV
    ),
    "image_size": (224, 224),
    "num_classes": 200,
}


def _pair(
    name: str,
    num_anchors: int,
    parameters: int,
    options: dict[str, Any],
    **arguments: Any,
) -> tuple[ModelConfig, ModelConfig]:
    """A net with its anchors, and with continuous scores."""
    quantized = ModelConfig(
        name=name,
        options={"num_anchors": num_anchors, **options},
        parameters=parameters + num_anchors,
        **arguments,
    )
    continuous = ModelConfig(
        name=f"{name}_continuous",
        options={"num_anchors": None, **options},
        parameters=parameters,
        **arguments,
    )
    return quantized, continuous


PAPER_NETS = (
    *_pair(
        "aib_vgg32",
        VGG32_ANCHORS,
        20_040_789,
        # At 32 pixels one position is left: averaging it is flattening it.
        {"attention_layer": "block3_pool", "latent_dim": 256},
        build_backbone=build_vgg32,
        build_score_network=_vgg32_score_network,
        **_CIFAR,
    ),
    *_pair(
        "aib_wrn28_10",
        WRN28_10_ANCHORS,
        65_004_500,
        {"attention_layer": "group2", "latent_dim": 512, "hidden_units": 0},
        build_backbone=build_wrn28_10,
        build_score_network=wrn28_10_score_network,
        **_CIFAR,
    ),
    *_pair(
        "aib_vgg16",
        CUB_ANCHORS,
        24_275_731,
        {"attention_layer": "block5_conv3", "latent_dim": 256},
        build_backbone=build_vgg16,
        build_score_network=_vgg16_score_network,
        **_CUB,
    ),
    *_pair(
        "aib_wrn50_2",
        CUB_ANCHORS,
        109_990_675,
        {"attention_layer": "layer3", "latent_dim": 256},
        build_backbone=build_wrn50_2,
        build_score_network=_wrn50_2_score_network,
        **_CUB,
    ),
)
