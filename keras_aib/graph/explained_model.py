"""A model that takes one batch of images, and how to call it."""

from typing import Any

import keras
from keras import tree


class ExplainedModel:
    """Calls a model for inference, whatever the structure of its input.

    Args:
        model: A functional or sequential model with one input.

    A subclassed model that was built, by training or a call, is wrapped in a
    functional one.

    Raises:
        TypeError: If it is no Keras model.
        ValueError: If its input is not known, or there are several.
    """

    def __init__(self, model: keras.Model) -> None:
        if not isinstance(model, keras.Model):
            raise TypeError(
                "`model` must be a keras.Model, from images to logits or "
                f"probabilities. Received: {model!r} of type "
                f"{type(model).__name__}."
            )
        if not getattr(model, "inputs", None):
            model = _wrapped(model)
        inputs = model.inputs
        if len(inputs) != 1:
            raise ValueError(
                "`model` must take one input, the images. Received a model "
                f"with {len(inputs)}: {[x.name for x in inputs]}."
            )
        self.model = model
        (self._input,) = inputs

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of the images, the batch first; `None` where it is open."""
        return tuple(self._input.shape)

    @property
    def input_dtype(self) -> str:
        return str(self._input.dtype)

    @property
    def data_format(self) -> str:
        """Where the channels are: as the model's own layers say."""
        found = keras.config.image_data_format()
        stack = list(self.model.layers)
        while stack:
            layer = stack.pop(0)
            if hasattr(layer, "data_format"):
                return str(layer.data_format)
            if isinstance(layer, keras.Model):
                stack = [*layer.layers, *stack]
        return found

    @property
    def channels_first(self) -> bool:
        return self.data_format == "channels_first"

    def image_size(
        self, shape: tuple[int | None, ...]
    ) -> tuple[int | None, int | None]:
        """Height and width of images of that shape."""
        height, width = shape[2:4] if self.channels_first else shape[1:3]
        return height, width

    def __call__(self, images: Any) -> Any:
        """Outputs for `images`, without dropout or updates."""
        if not isinstance(self.model, keras.Sequential):
            images = tree.pack_sequence_as(self.model.input, [images])
        return self.model(images, training=False)


def _wrapped(model: keras.Model) -> keras.Model:
    """A functional model around one that does not tell its input."""
    shape = (model.get_build_config() or {}).get("input_shape")
    kind = f"{type(model).__name__} {model.name!r}"
    remedy = "Wrap it: `x = keras.Input(shape); keras.Model(x, model(x))`."
    if not model.built:
        raise ValueError(f"{kind} was never built. {remedy}")
    if not shape or not all(
        side is None or isinstance(side, int) for side in shape
    ):
        raise ValueError(
            f"{kind} is subclassed, and does not tell the shape of its one "
            f"input. {remedy}"
        )
    images = keras.Input(tuple(shape[1:]))
    functional = keras.Model(images, model(images))
    # It tells logits from probabilities where the graph does not.
    functional.loss = getattr(model, "loss", None)
    return functional
