"""Presets: a trained model as a folder of three plain files."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import keras

from keras_aib._version import __version__
from keras_aib.models.half_precision import write_half
from keras_aib.utils.files import check_free_space
from keras_aib.utils.files import check_local
from keras_aib.utils.files import is_unfinished
from keras_aib.utils.files import sha256
from keras_aib.utils.files import written_whole

PRESET_FORMAT = 1
CONFIG_FILE = "config.json"
METADATA_FILE = "metadata.json"
ROOM_FOR_TEXT = 4_000_000
WEIGHTS_FILE = "model.weights.h5"

_registered: dict[str, Path] = {}


def register_preset(name: str, directory: str | os.PathLike) -> None:
    """Make a preset folder known by name, as the zoo does with its own.

    Args:
        name: Name for `from_preset`.
        directory: Folder that `save_to_preset` wrote.
    """
    _registered[name] = Path(directory)


def save_preset(
    model: keras.Model,
    directory: str | os.PathLike,
    half_precision: bool = False,
) -> None:
    """Write `model` to `directory`, its three files all or none.

    Args:
        model: A model of this package.
        directory: Folder to write; of an earlier preset there these three
            files are replaced, and whatever else it holds stays.
        half_precision: Whether to store kernels in float16.

    Raises:
        OSError: If the disk is full.
        ValueError: If `directory` is remote, or holds something that is no
            preset.
    """
    check_local(directory)
    directory = Path(directory)
    _check_free_or_preset(directory)
    check_free_space(directory, 4 * model.count_params() + ROOM_FOR_TEXT)
    is_new = not directory.exists()
    try:
        _write(model, directory, half_precision)
    except Exception:
        if is_new:
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise


def _check_free_or_preset(directory: Path) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ValueError(
            f"{str(directory)!r} is a file, and a preset is a folder. Choose "
            "another name."
        )
    try:
        metadata = json.loads((directory / METADATA_FILE).read_bytes())
    except (OSError, ValueError):
        metadata = None
    # KerasHub's presets have a file of this name too.
    is_preset = isinstance(metadata, dict) and "keras_aib_version" in metadata
    if not is_preset and not all(map(is_unfinished, directory.iterdir())):
        raise ValueError(
            f"{str(directory)!r} exists and is no preset of keras_aib, so it "
            "is not replaced. Choose a new folder, or remove it first."
        )


def _write(model: keras.Model, directory: Path, half_precision: bool) -> None:
    # The last one to be renamed is the one that makes the folder a preset.
    with (
        written_whole(directory / METADATA_FILE) as metadata_path,
        written_whole(directory / CONFIG_FILE) as config_path,
        written_whole(directory / WEIGHTS_FILE) as weights,
    ):
        if half_precision:
            write_half(model, weights)
        else:
            model.save_weights(weights)
        config = keras.saving.serialize_keras_object(model)
        # The compile configuration belongs to a training run.
        config.pop("compile_config", None)
        _write_json(config_path, config)
        metadata = {
            "format": PRESET_FORMAT,
            "keras_aib_version": __version__,
            "keras_version": keras.__version__,
            "sha256": sha256(weights),
        }
        _write_json(metadata_path, metadata)


def load_preset(preset: str | os.PathLike, load_weights: bool) -> keras.Model:
    """Build the model of a preset.

    Args:
        preset: Folder, or registered name.
        load_weights: `False` for fresh weights.

    Raises:
        ValueError: If the preset is unknown, was written by a newer version,
            or a file of it is missing, truncated or changed.
    """
    directory = _find(preset)
    metadata = _read_json(directory / METADATA_FILE)
    if metadata.get("format", 0) > PRESET_FORMAT:
        raise ValueError(
            f"Preset {str(preset)!r} was written by keras_aib "
            f"{metadata.get('keras_aib_version')} in format "
            f"{metadata['format']}; this is keras_aib {__version__}, which "
            f"reads formats up to {PRESET_FORMAT}. Install that version."
        )
    config = _read_json(directory / CONFIG_FILE)
    model = keras.saving.deserialize_keras_object(config)
    if load_weights:
        weights = directory / WEIGHTS_FILE
        if not weights.is_file() or sha256(weights) != metadata.get("sha256"):
            raise ValueError(
                f"Weight file {str(weights)!r} is missing, truncated or "
                "changed: its checksum is not the one the preset was saved "
                "with. Copy or download the preset again, or pass "
                "load_weights=False for fresh weights."
            )
        model.load_weights(weights)
    return model


def _find(preset: str | os.PathLike) -> Path:
    directory = _registered.get(str(preset), Path(preset))
    if (directory / METADATA_FILE).is_file():
        return directory
    what = "has no metadata.json" if directory.is_dir() else "does not exist"
    raise ValueError(
        f"Unknown preset {str(preset)!r}: no preset has this name, and a "
        f"folder of this name {what}. Known names: "
        f"{sorted(_registered) or 'none'} (`import keras_aib.zoo` adds the "
        "zoo's). Make a folder with `model.save_to_preset(directory)`."
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"Cannot read {str(path)!r}: {error}. Copy or download the preset "
            "again."
        ) from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
