"""The precision in which rates and quantization are computed."""

from typing import Any

import keras


def at_least_float32(*inputs: Any) -> Any:
    """Cast to one dtype: float64 if any input has it, else float32.

    Half precision holds about three digits: the squares and logarithms of a
    rate, and the distance to an anchor, need more. So these are computed in
    float32 even where the backbone is not.

    Args:
        *inputs: Tensors or array-likes of any real dtype.

    Returns:
        One tensor, or a list of as many as there are inputs.
    """
    tensors = [keras.ops.convert_to_tensor(x) for x in inputs]
    dtypes = {keras.backend.standardize_dtype(x.dtype) for x in tensors}
    dtype = "float64" if "float64" in dtypes else "float32"
    tensors = [keras.ops.cast(x, dtype) for x in tensors]
    return tensors[0] if len(tensors) == 1 else tensors
