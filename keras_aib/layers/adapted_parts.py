"""Layers inside a layer that were quantized, or have low-rank updates.

`keras.Model.quantize` and `enable_lora` change a layer after it was made. A
Keras layer tells that in its own configuration; a layer that makes others must
tell it for them, or what was saved does not fit what is made again.
"""

from typing import Any

import keras

from keras_aib.utils.keras_internals import flat_layers

PARTS = "adapted_parts"


def is_adapted(layer: keras.layers.Layer) -> bool:
    """Whether a layer, or one inside, was quantized or has LoRA."""
    return any(
        getattr(x, "quantization_mode", None) is not None
        or getattr(x, "lora_enabled", False)
        for x in flat_layers(layer)
    )


def adapted_parts(**parts: keras.layers.Layer | None) -> dict[str, Any]:
    """What a configuration tells of those parts that were adapted.

    Args:
        **parts: Layers by the name that the constructor takes them by.

    Returns:
        Nothing, or one entry for the configuration.
    """
    adapted = {
        name: _unbuilt(keras.saving.serialize_keras_object(part))
        for name, part in parts.items()
        if part is not None and is_adapted(part)
    }
    return {PARTS: adapted} if adapted else {}


def with_parts(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the parts in it made."""
    parts = config.get(PARTS, {})
    made = {
        name: keras.saving.deserialize_keras_object(part)
        for name, part in parts.items()
    }
    return {**config, PARTS: made} if made else dict(config)


def _unbuilt(config: Any) -> Any:
    # The layer that holds a part builds it, so that variables have its name.
    if isinstance(config, list):
        return [_unbuilt(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    return {
        name: _unbuilt(entry)
        for name, entry in config.items()
        if name not in ("build_config", "build_input_shape")
    }
