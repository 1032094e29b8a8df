"""KerasHub's presets: the ordinary way to pretrained weights."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib.utils.requirements import require

# KerasHub 0.32 converts these timm checkpoints without an error, to features
# that differ from timm's by 7 to 110 percent.
WRONG_TIMM_CONVERSIONS = (
    "densenet121",
    "efficientnet_es",
    "efficientnet_em",
    "efficientnet_el",
    "efficientnetv2_rw",
)


def import_keras_hub() -> Any:
    """The `keras_hub` module, or an error that says what to install."""
    return require("keras_hub", "A backbone of the zoo", "hub")


def is_preset(name: str) -> bool:
    """Whether KerasHub may know `name`: a handle, a folder or a built-in."""
    return (
        "://" in name
        or Path(name).is_dir()
        or name in import_keras_hub().models.Backbone.presets
    )


def load_preset_backbone(
    preset: str, image_size: tuple[int, int] | None = None
) -> Any:
    """A KerasHub backbone with its weights, for a given input size or any."""
    _refuse_wrong_conversion(preset)
    from_preset = import_keras_hub().models.Backbone.from_preset
    if image_size is None:
        with _explained(preset):
            return from_preset(preset)
    with _explained(preset):
        config = from_preset(preset, load_weights=False).get_config()
    for argument in ("image_shape", "input_shape"):
        if argument in config:
            with _explained(preset):
                return from_preset(preset, **{argument: (*image_size, 3)})
    raise ValueError(
        f"The backbone of preset {preset!r} does not let its input size be "
        f"chosen. Received: image_size={image_size}. Leave image_size=None."
    )


def load_preset_classifier(preset: str) -> keras.Model:
    """A KerasHub classifier with its preprocessing in the graph."""
    _refuse_wrong_conversion(preset)
    from_preset = import_keras_hub().models.ImageClassifier.from_preset
    _require_head_files(preset)
    with _explained(preset):
        task = from_preset(preset)
        if not _gives_logits(task):
            task = from_preset(preset, activation=None)
    preprocessor = _as_keras_layers(
        preset, getattr(task.preprocessor, "image_converter", None)
    )
    resizes = isinstance(preprocessor, keras.Sequential)
    pixels = keras.Input(
        (None, None, 3) if resizes else task.input_shape[1:], name="pixels"
    )
    # A task inside another model does not load from a `.keras` file; its
    # graph does.
    graph = keras.Model(task.input, task.output, name="classifier")
    logits = graph(preprocessor(pixels))
    return keras.Model(
        pixels, logits, name=re.sub(r"\W+", "_", Path(preset).name)
    )


def load_preset_preprocessor(preset: str) -> keras.Layer:
    """The preset's own resizing and scaling, as Keras layers."""
    _refuse_wrong_conversion(preset)
    layers = import_keras_hub().layers
    with _explained(preset):
        converter = layers.ImageConverter.from_preset(preset)
    return _as_keras_layers(preset, converter)


def _require_head_files(preset: str) -> None:
    """KerasHub leaves a head random where only its weights are missing."""
    if not Path(preset).is_dir() or "architecture" in _read_config(preset):
        return
    if not Path(preset, "task.json").is_file():
        raise _no_head(preset)
    if not Path(preset, "task.weights.h5").is_file():
        raise FileNotFoundError(
            f"Preset folder {preset!r} lacks task.weights.h5, the weights of "
            "its classification head. Copy the folder again, or save it again "
            "with the classifier's `save_to_preset`."
        )


def _no_head(preset: str) -> ValueError:
    return ValueError(
        f"Preset {preset!r} holds a backbone without a classification head; "
        "use `zoo.load_backbone`."
    )


def _gives_logits(task: Any) -> bool:
    activation = keras.activations.get(getattr(task, "activation", None))
    return activation is keras.activations.linear


def _as_keras_layers(preset: str, converter: Any) -> keras.Layer:
    """KerasHub's image converter as Keras layers.

    The converter switches to TensorFlow inside a `tf.function` and pins itself
    to the CPU there; Keras's layers run and export with the model.
    """
    if converter is None:
        raise ValueError(
            f"Preset {preset!r} does not say how its images are to be "
            "preprocessed (no image converter). Use `zoo.load_backbone` and "
            "put your own preprocessing in front of it."
        )
    # float32 keeps pixel values apart that bfloat16 would merge.
    rescaling = keras.layers.Rescaling(
        _as_list(converter.scale, 1.0),
        _as_list(converter.offset, 0.0),
        dtype="float32",
        name="rescaling",
    )
    if converter.image_size is None:
        return rescaling
    resizing = keras.layers.Resizing(
        *converter.image_size,
        interpolation=converter.interpolation,
        antialias=converter.antialias,
        crop_to_aspect_ratio=converter.crop_to_aspect_ratio,
        pad_to_aspect_ratio=converter.pad_to_aspect_ratio,
        dtype="float32",
        name="resizing",
    )
    return keras.Sequential([resizing, rescaling], name="preprocessor")


def _as_list(value: Any, default: float) -> Any:
    return default if value is None else np.asarray(value, "float64").tolist()


def _refuse_wrong_conversion(preset: str) -> None:
    if preset.startswith("hf://timm/"):
        architecture = preset.removeprefix("hf://timm/")
    else:
        architecture = str(_read_config(preset).get("architecture", ""))
    if architecture.startswith(WRONG_TIMM_CONVERSIONS):
        raise ValueError(
            f"Refusing the timm checkpoint {architecture!r} (preset "
            f"{preset!r}): KerasHub converts it without an error to a network "
            "with other outputs. Conversions that match timm: ResNet, VGG, "
            "MobileNetV3, CSPDarkNet, HGNetV2, efficientnet_b0, "
            "efficientnet_lite0. For DenseNet and EfficientNet use KerasHub's "
            "own presets."
        )


def _read_config(preset: str) -> dict[str, Any]:
    """The config.json of a local folder; empty where there is none."""
    path = Path(preset, "config.json")
    if not path.is_file():
        return {}
    with _explained(preset):
        return json.loads(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def _explained(preset: str) -> Iterator[None]:
    """Say what was tried and what to do when KerasHub fails."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        if isinstance(error, TypeError) and "num_classes" in str(error):
            raise _no_head(preset) from error
        reason = f"{type(error).__name__}: {error}"
        if Path(preset).is_dir():
            raise ValueError(
                f"Could not load the preset folder {preset!r}: {reason}. "
                "Expected what `save_to_preset` writes (config.json and "
                "model.weights.h5), or a timm checkpoint (config.json and "
                "model.safetensors). Copy or save the folder again."
            ) from error
        raise OSError(
            f"Could not load the KerasHub preset {preset!r} over the network: "
            f"{reason}. Check the connection and the name. Without a network: "
            f"where there is one, run `keras_hub.models.Backbone.from_preset("
            f"{preset!r}).save_to_preset('FOLDER')` (`ImageClassifier` with "
            "the head), copy the folder and load it by its path; or take one "
            "of `zoo.list_models('efficientnet*')`, whose weights are "
            "installed."
        ) from error
