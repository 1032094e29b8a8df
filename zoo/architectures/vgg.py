"""The paper's VGG nets, and VGG16 as it was published for ImageNet."""

from typing import Any

import keras

from keras_aib.layers.score_convolution import ScoreConvolution
from keras_aib.zoo.architectures.paper_layers import convolve
from keras_aib.zoo.architectures.paper_layers import image_input
from keras_aib.zoo.architectures.paper_layers import normalize
from keras_aib.zoo.architectures.paper_layers import paper_kernel_initializer
from keras_aib.zoo.architectures.paper_layers import zero_score

VGG16_BLOCKS = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
VGG32_BLOCKS = (*VGG16_BLOCKS, (512,), (512,))


def build_vgg32(image_size: int | tuple[int, int] = 32) -> keras.Model:
    """The paper's net for CIFAR: 16 convolutions, each normalized.

    Args:
        image_size: Height and width in pixels, 32 or more.

    Returns:
        A functional model from normalized images to 512 features at stride 32.
        The paper's attention goes after `"block3_pool"`.

    Raises:
        ValueError: If the images are too small, or Keras is set to
            channels_first.

    Example:

    ```python
    from keras_aib.zoo.architectures.vgg import build_vgg32

    backbone = build_vgg32()
    print(backbone.get_layer("block3_pool").output.shape)  # 16x16x256
    ```
    """
    images = x = image_input(image_size, smallest=32)
    for block, widths in enumerate(VGG32_BLOCKS, start=1):
        for position, filters in enumerate(widths, start=1):
            name = f"block{block}_conv{position}"
            initializer = paper_kernel_initializer()
            x = convolve(x, filters, 3, name, kernel_initializer=initializer)
            x = normalize(x, f"{name}_norm", random_gamma=True)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        if block >= 3:
            x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = convolve(
        x,
        512,
        1,
        "projection",
        activation="relu",
        kernel_initializer=paper_kernel_initializer(),
    )
    return keras.Model(images, x, name="vgg32")


def vgg32_score_network() -> keras.layers.Layer:
    """The attention's score network of `build_vgg32`: one convolution."""
    return ScoreConvolution(
        1,
        3,
        padding="same",
        kernel_initializer=paper_kernel_initializer(),
        name="score",
    )


def build_vgg16_features(
    image_shape: tuple[int | None, int | None, int] = (None, None, 3),
    name: str = "vgg16",
    paper_pooling: bool = False,
) -> keras.Model:
    """The 13 convolutions of VGG16, with their usual names.

    Args:
        image_shape: Height, width and channels; `None` leaves a side open.
        name: Name of the model.
        paper_pooling: End as the paper's net for CUB does, with a 3x3 average
            pooling, flattened, in place of the last maximum pooling. It has
            no weights, so the weights of one fit the other.

    Returns:
        A functional model. Its last convolution with its ReLU is
        `"block5_conv3"`, 512 features at stride 16.

    Raises:
        ValueError: If the paper's pooling is asked for and a side is open.

    Example:

    ```python
    from keras_aib.zoo.architectures.vgg import build_vgg16_features

    backbone = build_vgg16_features((64, 64, 3))
    print(backbone.output.shape)  # (None, 2, 2, 512)
    ```
    """
    if paper_pooling and None in image_shape:
        raise ValueError(
            "`paper_pooling=True` needs a fixed image size, because it "
            "ends in a vector. Received: "
            f"image_shape={tuple(image_shape)}."
        )
    images = x = keras.Input(image_shape, name="images")
    for block, widths in enumerate(VGG16_BLOCKS, start=1):
        for position, filters in enumerate(widths, start=1):
            x = keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                # Without normalization a signal fades from smaller weights.
                kernel_initializer="he_normal",
                name=f"block{block}_conv{position}",
            )(x)
        if block < len(VGG16_BLOCKS) or not paper_pooling:
            x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    if paper_pooling:
        x = pool_to_three(x)
        x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(images, x, name=name)


def build_vgg16(image_size: int | tuple[int, int] = 224) -> keras.Model:
    """The paper's net for CUB, without its attention and its head.

    Args:
        image_size: Height and width in pixels, 16 or more.

    Returns:
        A functional model from normalized images to a vector. The paper's
        attention goes after `"block5_conv3"`.

    Raises:
        ValueError: If the images are too small, or Keras is set to
            channels_first.

    Example:

    ```python
    from keras_aib.zoo.architectures.vgg import build_vgg16

    backbone = build_vgg16()
    print(backbone.output.shape)  # (None, 4608)
    ```
    """
    shape = image_input(image_size, smallest=16).shape[1:]
    return build_vgg16_features(shape, paper_pooling=True)


def vgg16_score_network(channels: int = 512) -> keras.Model:
    """The attention's score network of `build_vgg16`.

    Args:
        channels: Features of the map.

    Returns:
        Three convolutions with ReLU, then one to a logit a position. The last
        starts at zero, so that every map starts flat, as the library's own.
    """
    return keras.Sequential(
        [
            keras.Input((None, None, channels)),
            *(
                keras.layers.Conv2D(
                    channels,
                    3,
                    padding="same",
                    activation="relu",
                    kernel_initializer="he_normal",
                    name=f"conv{position}",
                )
                for position in (1, 2, 3)
            ),
            zero_score(),
        ],
        name="vgg16_score_network",
    )


def pool_to_three(x: Any) -> Any:
    """Average a map to 3x3; a side below three positions stays as it is."""
    strides = [max(side // 3, 1) for side in x.shape[1:3]]
    pool_size = [
        max(side - 2 * stride, 1)
        for side, stride in zip(x.shape[1:3], strides, strict=True)
    ]
    return keras.layers.AveragePooling2D(pool_size, strides, name="pooling")(x)
