"""The random crop that CIFAR is trained with."""

from typing import Any

import keras
from keras import ops

from keras_aib.utils.checks import is_integer
from keras_aib.utils.checks import plain


@keras.saving.register_keras_serializable(package="keras_aib")
class ReflectPadCrop(keras.layers.Layer):
    """Mirrors images at their borders and crops each at its own place.

    `keras.layers.RandomCrop` crops a whole batch at one place, and
    `keras.layers.RandomTranslation` interpolates and repeats the border; this
    moves every image by whole pixels and leaves no seam.

    Args:
        padding: Pixels mirrored on every side, the border pixel not repeated.
        size: Height and width of the crop in pixels. `None` for that of the
            images.
        seed: Integer for reproducible draws.

    Call arguments:
        images: Images of one size.
        training: Outside training the crop is the central one.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, *size, channels)`.

    Raises:
        ValueError: If `padding` is negative, or images are too small for it or
            for the crop.

    Example:

    ```python
    import numpy as np
    from keras_aib import layers

    images = np.random.uniform(0, 255, size=(2, 32, 32, 3))
    crop = layers.ReflectPadCrop(padding=4)
    crop(images, training=True).shape  # (2, 32, 32, 3)
    ```
    """

    def __init__(
        self,
        padding: int = 4,
        size: tuple[int, int] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not is_integer(padding) or padding < 0:
            raise ValueError(
                "`padding` must be a number of pixels, 0 or more. Received: "
                f"padding={padding!r}."
            )
        self.padding = int(padding)
        self.size = None if size is None else plain(tuple(size))
        self.seed = plain(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) != 4 or None in input_shape[1:3]:
            raise ValueError(
                "Expected a batch of images of one size, (batch, height, "
                f"width, channels). Received: shape {tuple(input_shape)}."
            )
        sides = [int(side or 0) for side in input_shape[1:3]]
        for side, crop in zip(sides, self.size or sides, strict=True):
            if self.padding >= side or crop > side + 2 * self.padding:
                raise ValueError(
                    f"Images of {sides[0]}x{sides[1]} pixels are too small "
                    f"for padding={self.padding} and size={self.size}. Resize "
                    "them first."
                )
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        images = ops.convert_to_tensor(images)
        sides = images.shape[1:3]
        sizes = self.size or sides
        for axis, side, size in zip((1, 2), sides, sizes, strict=True):
            indices = self._indices(images, side, size, training)
            shape = [1, 1, 1, 1]
            shape[0], shape[axis] = -1, size
            images = ops.take_along_axis(
                images, ops.reshape(indices, shape), axis=axis
            )
        return images

    def _indices(
        self, images: Any, side: int, size: int, training: bool | None
    ) -> Any:
        """Of every image, the pixels it keeps along a side."""
        room = side + 2 * self.padding - size
        starts = room // 2
        if training:
            starts = keras.random.randint(
                (ops.shape(images)[0], 1), 0, room + 1, seed=self.seed_generator
            )
        place = starts + ops.arange(size, dtype="int32")[None] - self.padding
        last = side - 1
        return last - ops.abs(last - ops.abs(place))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        size = self.size or input_shape[1:3]
        return (input_shape[0], *size, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "padding": self.padding,
            "size": self.size,
            "seed": self.seed,
        }
