"""Models trained in mixed precision, in float32."""

from typing import Any

import keras

REDUCED = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")


def in_single_precision(model: keras.Model) -> keras.Model:
    """The same model, computing in float32.

    The converters, and most of the devices that files are exported for, do not
    know the mixture of types of a model trained in mixed precision. Its
    weights are float32 already.

    Args:
        model: A built Keras model.

    Returns:
        `model` itself if nothing in it computes in less than float32, else a
        copy with the same weights.
    """
    if all(layer.compute_dtype == "float32" for layer in _layers(model)):
        return model
    config = keras.saving.serialize_keras_object(model)
    # Without its compilation, which inference has no use for.
    config.pop("compile_config", None)
    copy = keras.saving.deserialize_keras_object(_raised(config))
    copy.set_weights(model.get_weights())
    return copy


def _layers(model: keras.Model) -> list[Any]:
    return list(model._flatten_layers(include_self=False))


def _raised(config: Any) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            name = config["config"]["name"]
            if name in REDUCED:
                return {**config, "config": {"name": "float32"}}
        return {key: _raised(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_raised(value) for value in config)
    return "float32" if config in REDUCED else config
