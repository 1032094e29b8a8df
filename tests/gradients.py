"""Gradients of a Keras computation on the backend under test."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def gradients(
    compute_loss: Callable[[], Any], variables: list[Any]
) -> list[np.ndarray]:
    """Gradient of `compute_loss()` with respect to each variable."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = compute_loss()
        result = tape.gradient(loss, [v.value for v in variables])
    elif backend == "jax":
        import jax

        def stateless(values):
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(
                state_mapping=mapping, collect_losses=True
            ):
                return compute_loss()

        compiled = jax.jit(jax.grad(stateless))
        result = compiled([v.value for v in variables])
    else:
        for variable in variables:
            variable.value.grad = None
        compute_loss().backward()
        result = [v.value.grad for v in variables]
    return [
        np.zeros(v.shape) if g is None else keras.ops.convert_to_numpy(g)
        for g, v in zip(result, variables, strict=True)
    ]
