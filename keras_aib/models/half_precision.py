"""Weights in half of the space."""

from pathlib import Path
from typing import Any

import h5py
import keras


def write_half(model: keras.Model, path: Path) -> None:
    """Save in Keras's weights format, with the kernels in float16.

    Vectors (BatchNormalization, biases, anchors) stay in float32: they are
    small, and variances reach values that float16 is too coarse for.
    `load_weights` reads the file as any other.

    Args:
        model: The model.
        path: The `.weights.h5` file.
    """
    full_path = path.with_name(f"full.{path.name}")
    try:
        model.save_weights(full_path)
        with h5py.File(full_path) as full, h5py.File(path, "w") as half:

            def copy(name: str, item: Any) -> None:
                if isinstance(item, h5py.Group):
                    half.require_group(name)
                    return
                values = item[()]
                if values.dtype.kind == "f":
                    small = "float16" if item.ndim > 1 else "float32"
                    values = values.astype(small)
                half.create_dataset(name, data=values)

            full.visititems(copy)
    finally:
        full_path.unlink(missing_ok=True)
