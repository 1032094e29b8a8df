"""The paper's wide residual nets and their attention's score networks."""

from typing import Any

import keras

from keras_aib.layers.score_convolution import ScoreConvolution
from keras_aib.zoo.architectures.paper_layers import convolve
from keras_aib.zoo.architectures.paper_layers import image_input
from keras_aib.zoo.architectures.paper_layers import normalize
from keras_aib.zoo.architectures.paper_layers import pad
from keras_aib.zoo.architectures.paper_layers import paper_kernel_initializer
from keras_aib.zoo.architectures.paper_layers import zero_score

WRN28_10_WIDTHS = (160, 320, 640)
WRN28_10_BLOCKS = 4
WRN50_2_WIDTHS = (128, 256, 512, 1024)
WRN50_2_BLOCKS = (3, 4, 6, 3)
# A bottleneck block ends twice as wide as it is inside.
WRN50_2_EXPANSION = 2


def build_wrn28_10(
    image_size: int | tuple[int, int] = 32, dropout: float = 0.3
) -> keras.Model:
    """The paper's wide residual net for CIFAR.

    Args:
        image_size: Height and width in pixels.
        dropout: Share of features dropped inside every block in training.

    Returns:
        A functional model from normalized images to 640 features at stride 4.
        The paper's attention goes after `"group2"`.

    Raises:
        ValueError: If the images are too small, or Keras is set to
            channels_first.

    Example:

    ```python
    from keras_aib.zoo.architectures.wide_resnet import build_wrn28_10

    backbone = build_wrn28_10()
    print(backbone.get_layer("group2").output.shape)  # 16x16x320
    ```
    """
    images = image_input(image_size, smallest=4)
    x = _paper_convolve(images, 16, 3, "stem")
    for group, width in enumerate(WRN28_10_WIDTHS, start=1):
        strides = 1 if group == 1 else 2
        x = _preactivation_group(x, width, strides, f"group{group}", dropout)
    x = _norm_relu(x, "top")
    return keras.Model(images, x, name="wrn28_10")


def wrn28_10_score_network(
    num_classes: int, dropout: float = 0.3
) -> keras.Model:
    """The attention's score network of `build_wrn28_10`.

    Args:
        num_classes: Number of classes: maps between its two halves.
        dropout: As for the backbone.

    Returns:
        A copy of the backbone's third group without its stride, a map for
        each class, and one logit a position made of them.
    """
    features = keras.Input((None, None, WRN28_10_WIDTHS[1]), name="features")
    x = _preactivation_group(features, WRN28_10_WIDTHS[2], 1, "group3", dropout)
    x = normalize(x, "group3_norm", random_gamma=True)
    x = _paper_convolve(x, num_classes, 1, "classes")
    x = _norm_relu(x, "classes")
    x = ScoreConvolution(
        1,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer=paper_kernel_initializer(),
        name="score",
    )(x)
    x = normalize(x, "score_norm", random_gamma=True)
    return keras.Model(features, x, name="wrn28_10_score_network")


def build_wrn50_2(image_size: int | tuple[int, int] = 224) -> keras.Model:
    """The paper's wide residual net for CUB: ResNet-50, twice as wide inside.

    Args:
        image_size: Height and width in pixels, 32 or more.

    Returns:
        A functional model from normalized images to 2048 features at stride
        32. The paper's attention goes after `"layer3"`.

    Raises:
        ValueError: If the images are too small, or Keras is set to
            channels_first.

    Example:

    ```python
    from keras_aib.zoo.architectures.wide_resnet import build_wrn50_2

    backbone = build_wrn50_2(64)
    print(backbone.get_layer("layer3").output.shape)  # (None, 4, 4, 1024)
    ```
    """
    images = image_input(image_size, smallest=32)
    x = _he_convolve(images, 64, 7, "stem", strides=2)
    x = _norm_relu(x, "stem", random_gamma=False)
    # Zeros do not change the maximum of what a ReLU let through.
    x = pad(x, 3, "stem_pool")
    x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    for layer, width in enumerate(WRN50_2_WIDTHS, start=1):
        strides = 1 if layer == 1 else 2
        blocks = WRN50_2_BLOCKS[layer - 1]
        x = _bottleneck_group(x, width, blocks, strides, f"layer{layer}")
    return keras.Model(images, x, name="wrn50_2")


def wrn50_2_score_network() -> keras.Model:
    """The attention's score network of `build_wrn50_2`.

    Returns:
        A copy of the backbone's fourth layer without its stride, then a
        convolution to one logit a position, which starts at zero.
    """
    channels = WRN50_2_WIDTHS[2] * WRN50_2_EXPANSION
    features = keras.Input((None, None, channels), name="features")
    x = _bottleneck_group(
        features, WRN50_2_WIDTHS[3], WRN50_2_BLOCKS[3], 1, "layer4"
    )
    return keras.Model(features, zero_score()(x), name="wrn50_2_score_network")


def _preactivation_group(
    x: Any, width: int, strides: int, name: str, dropout: float
) -> Any:
    for block in range(1, WRN28_10_BLOCKS + 1):
        prefix = f"{name}_block{block}"
        last = block == WRN28_10_BLOCKS
        shortcut = x
        x = _norm_relu(x, f"{prefix}_first")
        if shortcut.shape[-1] != width:
            shortcut = _paper_convolve(
                x, width, 1, f"{prefix}_shortcut", strides=strides
            )
        x = _paper_convolve(x, width, 3, f"{prefix}_first", strides=strides)
        x = _norm_relu(x, f"{prefix}_second")
        x = keras.layers.Dropout(dropout, name=f"{prefix}_dropout")(x)
        x = _paper_convolve(x, width, 3, f"{prefix}_second")
        add = keras.layers.Add(name=name if last else prefix)
        x = add([x, shortcut])
        strides = 1
    return x


def _bottleneck_group(
    x: Any, width: int, blocks: int, strides: int, name: str
) -> Any:
    filters = width * WRN50_2_EXPANSION
    for block in range(1, blocks + 1):
        prefix = f"{name}_block{block}"
        shortcut = x
        if block == 1:
            shortcut = _he_convolve(
                x, filters, 1, f"{prefix}_shortcut", strides=strides
            )
            shortcut = normalize(
                shortcut, f"{prefix}_shortcut_norm", random_gamma=False
            )
        x = _he_convolve(x, width, 1, f"{prefix}_first")
        x = _norm_relu(x, f"{prefix}_first", random_gamma=False)
        x = _he_convolve(x, width, 3, f"{prefix}_second", strides=strides)
        x = _norm_relu(x, f"{prefix}_second", random_gamma=False)
        x = _he_convolve(x, filters, 1, f"{prefix}_third")
        x = normalize(x, f"{prefix}_third_norm", random_gamma=False)
        x = keras.layers.Add(name=f"{prefix}_add")([x, shortcut])
        x = keras.layers.ReLU(name=name if block == blocks else prefix)(x)
        strides = 1
    return x


def _norm_relu(x: Any, name: str, random_gamma: bool = True) -> Any:
    x = normalize(x, f"{name}_norm", random_gamma)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _paper_convolve(
    x: Any, filters: int, kernel_size: int, name: str, **arguments: Any
) -> Any:
    return convolve(
        x,
        filters,
        kernel_size,
        f"{name}_conv",
        use_bias=False,
        kernel_initializer=paper_kernel_initializer(),
        **arguments,
    )


def _he_convolve(
    x: Any, filters: int, kernel_size: int, name: str, **arguments: Any
) -> Any:
    return convolve(
        x,
        filters,
        kernel_size,
        f"{name}_conv",
        use_bias=False,
        kernel_initializer="he_normal",
        **arguments,
    )
