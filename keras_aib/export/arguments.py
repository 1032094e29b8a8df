"""Checks of what `export` is asked for."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_aib.export.conversion import FORMATS
from keras_aib.export.deployed_model import OUTPUTS
from keras_aib.export.export_format import ExportFormat


def find_format(name: str | None, path: Path) -> ExportFormat:
    """The format that `name`, or the ending of `path`, stands for.

    Raises:
        ValueError: If there is none, or the ending belongs to another.
    """
    suffixes = {form.suffix: form for form in FORMATS.values()}
    if name is None:
        if path.suffix not in suffixes:
            raise ValueError(
                f"The ending of {str(path)!r} tells no format. Use one of "
                f"{_endings()}, or pass `format`."
            )
        return suffixes[path.suffix]
    if name not in FORMATS:
        near = difflib.get_close_matches(str(name), FORMATS, 1, 0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"`format` must be one of {list(FORMATS)}. Received: "
            f"format={name!r}.{hint}"
        )
    form = FORMATS[name]
    other = suffixes.get(path.suffix, form)
    if other is not form or (form.suffix and path.suffix != form.suffix):
        ending = form.suffix or "no ending: it is a folder"
        raise ValueError(
            f"The path of a {name} export must end in {ending}. Received: "
            f"path={str(path)!r}."
        )
    return form


def _endings() -> str:
    return ", ".join(
        f"{form.suffix or 'none'} ({form.name})" for form in FORMATS.values()
    )


def check_quantization(
    form: ExportFormat, quantization: str | None, representative_data: Any
) -> None:
    """Refuse a quantization that the format does not have, or int8 blindly."""
    if quantization is not None and quantization not in form.quantizations:
        offers = {
            other.name: other.quantizations
            for other in FORMATS.values()
            if other.quantizations
        }
        raise ValueError(
            f"`quantization` of {form.name} must be None"
            + "".join(f" or {name!r}" for name in form.quantizations)
            + f". Received: quantization={quantization!r}. Formats that can "
            f"be quantized: {offers}."
        )
    if quantization == "int8" and representative_data is None:
        raise ValueError(
            "int8 needs `representative_data`, from which the ranges of all "
            "layers are taken: about 100 images as they will come, pixels "
            "0..255, such as a part of the training images."
        )


def check_outputs(outputs: Sequence[str]) -> None:
    """Refuse outputs that do not exist, or come twice."""
    names = [] if isinstance(outputs, str) else list(outputs)
    unknown = [name for name in names if name not in OUTPUTS]
    if not names or unknown or len(set(names)) < len(names):
        raise ValueError(
            f"`outputs` must be a list of different names of {OUTPUTS}. "
            f"Received: outputs={outputs!r}."
        )


def check_class_names(
    class_names: Sequence[str] | None, model: keras.Model
) -> None:
    """Refuse another number of names than the model has classes."""
    num_classes = model.outputs[0].shape[-1]
    if class_names is not None and len(class_names) != num_classes:
        raise ValueError(
            f"`class_names` must name the {num_classes} classes of model "
            f"{model.name!r}. Received: {len(class_names)} names."
        )
