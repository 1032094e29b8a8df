"""The precision in which rates and quantization are computed."""

from typing import Any

import keras


def at_least_float32(inputs: Any) -> Any:
    """Cast to float32, leaving float64 alone.

    Half precision holds about three digits: the squares and logarithms of a
    rate, and the distance to an anchor, need more. Under a mixed policy the
    layers therefore compute those in float32, whatever the backbone uses.

    Args:
        inputs: A tensor or array-like of any real dtype.

    Returns:
        A tensor of dtype float32, or float64 if `inputs` are float64.
    """
    inputs = keras.ops.convert_to_tensor(inputs)
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    return keras.ops.cast(
        inputs, "float64" if dtype == "float64" else "float32"
    )
