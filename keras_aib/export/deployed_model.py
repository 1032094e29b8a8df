"""The part of a model that is shipped: pixels in, named outputs out."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_aib.models import AIBClassifier
from keras_aib.models.output_head import PROBABILITIES
from keras_aib.models.output_head import OutputHead
from keras_aib.models.output_head import find_output_head
from keras_aib.utils.checks import ImageSize
from keras_aib.utils.checks import check_image_size

ATTENTION_OUTPUTS = {
    "attention": "scores",
    "attention_mean": "mean",
    "attention_stddev": "stddev",
}
OUTPUTS = ("probabilities", "logits", *ATTENTION_OUTPUTS)


def deployed_model(
    model: keras.Model,
    outputs: Sequence[str],
    image_size: ImageSize | None = None,
    batch_size: int | None = None,
    output_kind: str | None = None,
) -> keras.Model:
    """Trace `model` again, for inference and with outputs by name.

    Args:
        model: An `AIBClassifier`, or any Keras classifier of images.
        outputs: Some of `OUTPUTS`.
        image_size: Height and width in pixels, for a model that takes any.
        batch_size: Fixed number of images, or `None` for any that the model
            takes.
        output_kind: As for `find_output_head`.

    Returns:
        A model from float32 pixels `images` `[batch, height, width,
        channels]` to a dictionary of float32 outputs.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If it was never built, has not one input of images and one
            output of classes, takes another image size, or lacks an output.
    """
    sides = _find_image_size(model, image_size)
    channels_first = is_channels_first(model)
    tensors = _tensors(model, outputs, output_kind)
    traced = keras.Model(model.inputs[0], tensors)
    channels = model.inputs[0].shape[1 if channels_first else -1]
    images = keras.Input(
        (*sides, channels),
        batch_size=batch_size or fixed_batch(model),
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


def check_model(model: Any) -> keras.Model:
    """Refuse what is no built Keras classifier of images.

    Returns:
        `model`; one that is subclassed wrapped, so that its inputs are known.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a Keras model, such as an AIBClassifier. "
            f"Received: {model!r} of type {type(model).__name__}."
        )
    if not getattr(model, "inputs", None):
        model = _wrapped(model)
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
    return model


def _wrapped(model: keras.Model) -> keras.Model:
    """A subclassed model as a functional one of the shape it was built for."""
    if not model.built or isinstance(model, keras.Sequential):
        raise ValueError(
            f"Model {model.name!r} was never built, so it has no inputs yet. "
            "Build it with the functional API (`keras.Model(inputs, "
            "outputs)`), or give its `Sequential` a `keras.Input`."
        )
    config: dict[str, Any] = model.get_build_config() or {}
    shape = config.get("input_shape")
    try:
        inputs = keras.Input(tuple(shape or ())[1:])
        wrapped = keras.Model(inputs, model(inputs), name=model.name)
    except Exception as error:
        raise ValueError(
            f"Model {model.name!r} is a {type(model).__name__}, which is "
            f"subclassed: Keras keeps no graph of it, and it could not be "
            f"traced for inputs of shape {shape} ({type(error).__name__}: "
            f"{error}). Wrap it: `x = keras.Input((height, width, channels)); "
            "keras.Model(x, model(x))`."
        ) from error
    if loss := getattr(model, "loss", None):
        # It may be all that tells what the outputs are.
        wrapped.compile(loss=loss)
    return wrapped


def fixed_batch(model: keras.Model) -> int | None:
    """Number of images that a model always takes, or `None` for any."""
    if isinstance(model, keras.Sequential):
        # Without an input of its own it keeps the first batch's size.
        return None
    return model.inputs[0].shape[0]


def is_channels_first(model: keras.Model) -> bool:
    """Whether a model takes images `[batch, channels, height, width]`."""
    shape = model.inputs[0].shape
    return shape[-1] not in (1, 3) and shape[1] in (1, 3)


def _find_image_size(
    model: keras.Model, image_size: ImageSize | None
) -> tuple[int, int]:
    """Height and width that the file takes."""
    shape = tuple(model.inputs[0].shape)
    channels_first = is_channels_first(model)
    fixed = shape[2:] if channels_first else shape[1:3]
    if image_size is not None:
        image_size = check_image_size(image_size)
    elif None in fixed and isinstance(model, AIBClassifier):
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
    return height, width


def find_head(
    model: keras.Model, outputs: Sequence[str], output_kind: str | None
) -> OutputHead | None:
    """What the model ends in, if an output depends on it.

    Raises:
        ValueError: If nothing tells what it is, or it has no logits.
    """
    if output_kind is None and not {"probabilities", "logits"} & {*outputs}:
        return None
    head = find_output_head(model, output_kind)
    if "logits" in outputs and head.kind in PROBABILITIES:
        raise ValueError(
            f"Model {model.name!r} ends in {head.activation}, so it has no "
            "logits to export. Ask for 'probabilities'."
        )
    return head


def _tensors(
    model: keras.Model, outputs: Sequence[str], output_kind: str | None
) -> dict[str, Any]:
    head = find_head(model, outputs, output_kind)
    tensors = {}
    for name in outputs:
        if name == "probabilities" and head is not None:
            tensors[name] = head.probabilities(model.outputs[0])
        elif name == "logits":
            tensors[name] = ops.cast(model.outputs[0], "float32")
        else:
            tensors[name] = _attention(model, name)
    return tensors


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
