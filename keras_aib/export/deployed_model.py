"""The part of a model that is shipped: pixels in, named outputs out."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_aib.models import AIBClassifier

ATTENTION_OUTPUTS = {
    "attention": "scores",
    "attention_mean": "mean",
    "attention_stddev": "stddev",
}
OUTPUTS = ("probabilities", "logits", *ATTENTION_OUTPUTS)


def deployed_model(
    model: keras.Model,
    outputs: Sequence[str],
    image_size: tuple[int, int] | None = None,
    batch_size: int | None = None,
) -> keras.Model:
    """Trace `model` again, for inference and with outputs by name.

    Args:
        model: An `AIBClassifier`, or any Keras classifier of images.
        outputs: Some of `OUTPUTS`.
        image_size: Height and width in pixels, for a model that takes any.
        batch_size: Fixed number of images, or `None` for any.

    Returns:
        A model from float32 pixels `images` `[batch, height, width,
        channels]` to a dictionary of float32 outputs.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If it was never built, has not one input of images and one
            output of classes, takes another image size, or lacks an output.
    """
    check_model(model)
    sides, channels_first = _find_image_size(model, image_size)
    traced = keras.Model(model.inputs[0], _tensors(model, outputs))
    channels = model.inputs[0].shape[1 if channels_first else -1]
    images = keras.Input(
        (*sides, channels),
        batch_size=batch_size,
        dtype="float32",
        name="images",
    )
    pixels = images
    if channels_first:
        pixels = keras.layers.Permute((3, 1, 2), name="channels_first")(images)
    # Keras would trace with the dtype of its own choice.
    pixels = ops.cast(pixels, model.inputs[0].dtype)
    tensors = traced(pixels, training=False)
    named = {
        name: keras.layers.Identity(name=name, dtype="float32")(tensors[name])
        for name in outputs
    }
    return keras.Model(images, named, name=f"deployed_{model.name}")


def check_model(model: Any) -> None:
    """Refuse what is no built Keras classifier of images."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a Keras model, such as an AIBClassifier. "
            f"Received: {model!r} of type {type(model).__name__}."
        )
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"Model {model.name!r} was never built, so it has no inputs yet. "
            "Build it with the functional API (`keras.Model(inputs, "
            "outputs)`), or give its `Sequential` a `keras.Input`."
        )
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(
            "`model` must have one input, images [batch, height, width, "
            f"channels]. Received: model {model.name!r} with inputs of shapes "
            f"{[tuple(tensor.shape) for tensor in model.inputs]}."
        )
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        raise ValueError(
            "`model` must have one output [batch, classes]. Received: model "
            f"{model.name!r} with outputs of shapes "
            f"{[tuple(tensor.shape) for tensor in model.outputs]}."
        )


def _find_image_size(
    model: keras.Model, image_size: tuple[int, int] | None
) -> tuple[tuple[int, int], bool]:
    """Height and width, and whether the model wants channels first."""
    shape = tuple(model.inputs[0].shape)
    channels_first = shape[-1] not in (1, 3) and shape[1] in (1, 3)
    fixed = shape[2:] if channels_first else shape[1:3]
    if image_size is None:
        if None in fixed and isinstance(model, AIBClassifier):
            # The preprocessor resizes to what the backbone takes.
            inner = tuple(model.backbone.inputs[0].shape)
            image_size = inner[2:] if channels_first else inner[1:3]
        else:
            image_size = fixed
    if None in image_size:
        raise ValueError(
            f"Model {model.name!r} takes images of any size, an exported file "
            "of one. Pass it as `image_size=(height, width)`."
        )
    if any(
        side not in (None, received)
        for side, received in zip(fixed, image_size, strict=True)
    ):
        raise ValueError(
            f"Model {model.name!r} takes images of {fixed} pixels. Received: "
            f"image_size={image_size}. Leave it out."
        )
    height, width = image_size
    return (height, width), channels_first


def _tensors(model: keras.Model, outputs: Sequence[str]) -> dict[str, Any]:
    tensors = {}
    for name in outputs:
        if name == "probabilities":
            tensors[name] = _probabilities(model)
        elif name == "logits":
            tensors[name] = _logits(model)
        else:
            tensors[name] = _attention(model, name)
    return tensors


def _activation(model: keras.Model) -> Any:
    """The activation of the model's output; linear if nothing tells."""
    owner = model if isinstance(model, AIBClassifier) else model.layers[-1]
    activation = getattr(owner, "activation", keras.activations.linear)
    if isinstance(owner, keras.layers.Softmax):
        activation = keras.activations.softmax
    return activation


def _probabilities(model: keras.Model) -> Any:
    tensor = ops.cast(model.outputs[0], "float32")
    if _activation(model) is keras.activations.linear:
        return ops.softmax(tensor)
    return tensor


def _logits(model: keras.Model) -> Any:
    activation = _activation(model)
    if activation is not keras.activations.linear:
        raise ValueError(
            f"Model {model.name!r} ends in {activation.__name__}, so it has "
            "no logits to export. Ask for 'probabilities'."
        )
    return ops.cast(model.outputs[0], "float32")


def _attention(model: keras.Model, name: str) -> Any:
    if not isinstance(model, AIBClassifier):
        raise ValueError(
            f"Model {model.name!r} is a {type(model).__name__} and has no "
            f"{name!r} to export. Pass outputs=('probabilities',), or build "
            "an `AIBClassifier` around your backbone."
        )
    block = model.attention_block
    axis = 1 if block.data_format == "channels_first" else -1
    return ops.squeeze(
        ops.cast(model.symbolic_maps[ATTENTION_OUTPUTS[name]], "float32"),
        axis=axis,
    )
