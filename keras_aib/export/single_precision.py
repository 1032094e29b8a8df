"""Models trained in half precision, in float32."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_aib.export.export_error import ExportError
from keras_aib.utils.keras_internals import flat_layers

REDUCED = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
CONFIG_FILE = "config.json"


def compute_dtype(model: keras.Model) -> str:
    """The least precise dtype that a layer of a model computes in.

    Returns:
        `"bfloat16"`, `"float16"` or `"float32"`.
    """
    dtypes = {
        layer.compute_dtype
        for layer in flat_layers(model)
        if layer is not model
    }
    for dtype in ("bfloat16", "float16"):
        if dtype in dtypes:
            return dtype
    return "float32"


def in_single_precision(model: keras.Model) -> keras.Model:
    """The same model, computing in float32.

    The converters, and most of the devices that files are exported for, do not
    know the mixture of types of a model trained in mixed precision. The copy
    goes through Keras's own saving, which keeps what is no weight as well, such
    as the statistics of `keras.layers.Normalization`.

    Args:
        model: A built Keras model.

    Returns:
        `model` itself if nothing in it computes in half precision, else a copy
        in the same state.

    Raises:
        ExportError: If Keras cannot save or load the model.
    """
    if compute_dtype(model) == "float32":
        return model
    policy = keras.config.dtype_policy()
    try:
        with tempfile.TemporaryDirectory() as folder:
            saved, raised = Path(folder, "half.keras"), Path(folder, "1.keras")
            model.save(saved)
            _raise_precision(saved, raised)
            # Layers made within layers take the global policy.
            keras.config.set_dtype_policy("float32")
            return keras.saving.load_model(
                raised,
                custom_objects=unregistered_classes(model),
                compile=False,
                safe_mode=False,
            )
    except Exception as error:
        raise ExportError(
            f"Model {model.name!r} computes in {compute_dtype(model)} and the "
            "file in float32, so it was saved and loaded anew, which failed: "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        keras.config.set_dtype_policy(policy)


def unregistered_classes(model: keras.Model) -> dict[str, Any]:
    """Classes of a model's layers that Keras could not find by their names."""
    classes = {type(layer) for layer in flat_layers(model)}
    return {
        found.__name__: found
        for found in classes
        if not found.__module__.startswith("keras.")
        and keras.saving.get_registered_name(found) == found.__name__
    }


def _raise_precision(saved: Path, raised: Path) -> None:
    """Write a `.keras` file again, with float32 for each half precision."""
    with (
        zipfile.ZipFile(saved) as source,
        zipfile.ZipFile(raised, "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == CONFIG_FILE:
                config = json.loads(content)
                config.pop("compile_config", None)
                content = json.dumps(_raised(config)).encode()
            target.writestr(name, content)


def _raised(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _raised(value) for key, value in config.items()}
    if isinstance(config, list):
        return [_raised(value) for value in config]
    if isinstance(config, str) and config in REDUCED:
        return "float32"
    return config
