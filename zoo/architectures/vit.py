"""A vision transformer small enough to train, and explain, on two cores."""

from typing import Any

from keras_aib.zoo.pretrained_config import PretrainedConfig
from keras_aib.zoo.sources.keras_hub_presets import import_keras_hub

IMAGE_SIZE = (32, 32)
PATCH_SIZE = 4


def build_vit_tiny32(
    image_shape: tuple[int | None, int | None, int] = (*IMAGE_SIZE, 3),
    name: str | None = None,
) -> Any:
    """KerasHub's `ViTBackbone` for pictures of 32 pixels, untrained.

    Six blocks of width 96 on 8 x 8 patches and one class token.

    Args:
        image_shape: Height, width and channels; an open side takes the 32
            pixels that the positions are embedded for.
        name: Name of the model.

    Raises:
        ValueError: If the images have another size.
    """
    height, width, channels = image_shape
    if (height or IMAGE_SIZE[0], width or IMAGE_SIZE[1]) != IMAGE_SIZE:
        raise ValueError(
            f"This transformer takes images of {IMAGE_SIZE} pixels, one "
            "position embedding for each of its patches. Received: images of "
            f"{(height, width)} pixels. Resize them, or leave the size out."
        )
    return import_keras_hub().models.ViTBackbone(
        image_shape=(*IMAGE_SIZE, channels),
        patch_size=PATCH_SIZE,
        num_layers=6,
        num_heads=3,
        hidden_dim=96,
        mlp_dim=192,
        name=name,
    )


PRETRAINED = (
    PretrainedConfig(
        name="vit_tiny32.cifar10",
        build_backbone=build_vit_tiny32,
        backbone_weights="vit_tiny32.cifar10.backbone.weights.h5",
        backbone_sha256=(
            "08afea9548f8b15c7e73f8d9a4921fb60adf24da32607b3a8737d1e3adc74001"
        ),
        head_weights="vit_tiny32.cifar10.head.weights.h5",
        head_sha256=(
            "abea6c9a4c30a3959082a1f0b60214d8ea964852da56bd05a22eb741df780e57"
        ),
        image_size=IMAGE_SIZE,
        pixel_mean=127.5,
        pixel_stddev=63.75,
        num_classes=10,
        parameters=460_906,
        licence="Apache-2.0",
        origin="zoo/recipes/cifar10_vit.py, trained on CIFAR-10",
        url="https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
)
