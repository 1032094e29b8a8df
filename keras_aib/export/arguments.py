"""Checks of what `export` is asked for."""

import difflib
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np

from keras_aib.export.conversion import FORMATS
from keras_aib.export.deployed_model import OUTPUTS
from keras_aib.export.export_format import ExportFormat
from keras_aib.models.output_head import OutputHead
from keras_aib.utils.checks import is_integer


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


def check_batch_size(batch_size: int | None, fixed: int | None) -> None:
    """Refuse another number of images than the model is made for."""
    if None not in (batch_size, fixed) and batch_size != fixed:
        raise ValueError(
            f"The model was built for {fixed} images a call. Received: "
            f"batch_size={batch_size}. Leave it out, or build the model "
            "without `batch_shape`."
        )


def class_names_as_text(
    class_names: Any, num_outputs: int, head: OutputHead | None
) -> list[str] | None:
    """Class names as JSON can hold them.

    Args:
        class_names: A list or array of strings, bytes or integers, in the
            order of the model's outputs; `None` for none.
        num_outputs: Number of outputs of the model.
        head: What the model ends in, or `None` if that was not asked.

    Raises:
        TypeError: If it is no list, or holds something else.
        ValueError: If names are missing, too many or repeated.
    """
    if class_names is None:
        return None
    if isinstance(class_names, str | bytes | Mapping | Set):
        raise TypeError(
            "`class_names` must be a list of names in the order of the "
            f"outputs. Received: {type(class_names).__name__} {class_names!r}."
        )
    if hasattr(class_names, "__array__"):
        class_names = np.asarray(class_names).tolist()
    names = [_as_text(name) for name in class_names]
    # One output that is right or not may be named, or both of its classes.
    accepted = [num_outputs]
    if head is not None and head.is_binary:
        accepted.append(2)
    if len(names) not in accepted:
        raise ValueError(
            f"`class_names` must name the {num_outputs} classes of the model, "
            f"its outputs. Received: {len(names)} names."
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            "`class_names` must be different from each other. Received more "
            f"than once: {repeated}."
        )
    return names


def _as_text(name: Any) -> str:
    if isinstance(name, bytes | str):
        try:
            return (
                (name.decode() if isinstance(name, bytes) else name)
                .encode()
                .decode()
            )
        except UnicodeError:
            raise ValueError(
                "`class_names` must be text in UTF-8. Received: "
                f"{name!r}. Decode it with the encoding that it has."
            ) from None
    if is_integer(name):
        return str(int(name))
    raise TypeError(
        "`class_names` must hold strings, bytes or integers. Received: "
        f"{name!r} of type {type(name).__name__}."
    )
