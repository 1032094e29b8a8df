"""Layers that the paper's nets share."""

from typing import Any

import keras

from keras_aib.layers.score_convolution import ScoreConvolution


def image_input(image_size: int | tuple[int, int], smallest: int) -> Any:
    """The input of a net for colour images.

    Args:
        image_size: Height and width in pixels; an int means a square.
        smallest: Height and width in pixels that the net needs.

    Raises:
        ValueError: If the images are smaller than that, or Keras is set to
            channels_first.
    """
    size = (image_size,) * 2 if isinstance(image_size, int) else image_size
    if min(size) < smallest:
        raise ValueError(
            f"`image_size` must be at least {smallest} pixels, or this net's "
            f"strides leave nothing of an image. Received: image_size={size}."
        )
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "The paper's nets are built for channels_last images, but Keras is "
            "set to channels_first. Call "
            "`keras.config.set_image_data_format('channels_last')` first."
        )
    return keras.Input((*size, 3), name="images")


def standardize(
    mean: tuple[float, ...], stddev: tuple[float, ...]
) -> keras.layers.Layer:
    """The layer from pixels 0..255 to `(pixels / 255 - mean) / stddev`."""
    pairs = list(zip(mean, stddev, strict=True))
    # float32 keeps pixel values apart that bfloat16 would merge.
    return keras.layers.Rescaling(
        [1 / (255 * scale) for _, scale in pairs],
        offset=[-center / scale for center, scale in pairs],
        dtype="float32",
        name="rescaling",
    )


def paper_kernel_initializer() -> keras.initializers.Initializer:
    """Xavier-uniform with gain sqrt(2), as the paper's CIFAR nets start."""
    # The scale multiplies the variance.
    return keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform")


def convolve(
    x: Any, filters: int, kernel_size: int, name: str, **arguments: Any
) -> Any:
    """A convolution that pads as PyTorch does, also where it strides.

    Keras's `"same"` pads an even image on two sides only when it strides,
    which shifts the map by a pixel against PyTorch's.
    """
    padding = "same"
    if arguments.get("strides", 1) > 1:
        x = pad(x, kernel_size, name)
        padding = "valid"
    return keras.layers.Conv2D(
        filters, kernel_size, padding=padding, name=name, **arguments
    )(x)


def pad(x: Any, kernel_size: int, name: str) -> Any:
    """Zeros on all sides, for an operation of this kernel size and name."""
    if kernel_size == 1:
        return x
    return keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)


def normalize(x: Any, name: str, random_gamma: bool) -> Any:
    """Batch normalization with PyTorch's constants.

    Args:
        x: Feature map.
        name: Name of the layer.
        random_gamma: Start gamma uniformly in [0, 1], as the paper's CIFAR
            nets do, and not at 1.
    """
    gamma = keras.initializers.RandomUniform(0.0, 1.0)
    return keras.layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=gamma if random_gamma else "ones",
        name=name,
    )(x)


def zero_score() -> keras.layers.Layer:
    """A convolution to one logit a position that starts at zero.

    Features of a pretrained net are large: a random kernel would saturate the
    sigmoid in a random pattern.
    """
    return ScoreConvolution(
        1, 3, padding="same", kernel_initializer="zeros", name="score"
    )
