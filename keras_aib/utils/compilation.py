"""Compiled functions and their gradients, on every backend.

Keras has no gradient of its own, so this is the one place in the package that
knows the backends apart. Each is imported only where it is the one in use.
"""

from collections.abc import Callable
from typing import Any

import keras


def compile_function(
    function: Callable[..., Any], model: keras.Model
) -> Callable[..., Any]:
    """Compile a function of tensors that calls `model` for inference."""
    backend = keras.config.backend()
    if backend == "jax":
        return _jax(function, model, gradient=False)
    if backend == "tensorflow":
        import tensorflow

        return tensorflow.function(function)
    import torch

    return torch.no_grad()(function)


def compile_gradient(
    function: Callable[..., tuple[Any, Any]], model: keras.Model
) -> Callable[..., tuple[Any, Any]]:
    """Compile the gradient by the first argument.

    Args:
        function: Returns a scalar and further tensors.
        model: The model it calls for inference.

    Returns:
        A function of the same arguments, which returns the further tensors
        and the gradient of the scalar; `None` for the gradient, or zeros,
        where the scalar does not depend on the argument.
    """
    backend = keras.config.backend()
    if backend == "jax":
        return _jax(function, model, gradient=True)
    if backend == "tensorflow":
        return _tensorflow_gradient(function)
    return _torch_gradient(function)


def _jax(function: Any, model: keras.Model, gradient: bool) -> Any:
    import jax

    variables = list(model.variables)

    # As arguments: as constants the weights would be compiled into the code.
    def call(first: Any, values: Any, *others: Any) -> Any:
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(first, *others)

    if not gradient:
        compiled = jax.jit(call)
        return lambda first, *others: compiled(
            first, [v.value for v in variables], *others
        )
    differentiated = jax.jit(jax.value_and_grad(call, has_aux=True))

    def run(first: Any, *others: Any) -> tuple[Any, Any]:
        values = [v.value for v in variables]
        (_, further), slope = differentiated(first, values, *others)
        return further, slope

    return run


def _tensorflow_gradient(function: Any) -> Any:
    import tensorflow

    @tensorflow.function
    def run(first: Any, *others: Any) -> tuple[Any, Any]:
        with tensorflow.GradientTape() as tape:
            tape.watch(first)
            scalar, further = function(first, *others)
        return further, tape.gradient(scalar, first)

    return run


def _torch_gradient(function: Any) -> Any:
    import torch

    def run(first: Any, *others: Any) -> tuple[Any, Any]:
        first = first.detach().requires_grad_(True)
        with torch.enable_grad():
            scalar, further = function(first, *others)
            if not scalar.requires_grad:
                return further, None
            (slope,) = torch.autograd.grad(scalar, first, allow_unused=True)
        return tuple(x.detach() for x in further), slope

    return run
