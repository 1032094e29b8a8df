"""The convolution behind the attention's mean and standard deviation."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_aib")
class ScoreConvolution(keras.layers.Conv2D):
    """A `Conv2D` to one channel that also trains in float64 on torch.

    In float64 torch has no optimized convolution on CPU, and its plain one
    refuses the gradient of a kernel that Keras passes as a transposed view.
    A flat copy gives it the layout it wants.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if self.compute_dtype == "float64":
            as_torch = ops.transpose(kernel, (3, 2, 0, 1))
            copied = ops.reshape(ops.reshape(as_torch, (-1,)), as_torch.shape)
            kernel = ops.transpose(copied, (2, 3, 1, 0))
        return super().convolution_op(inputs, kernel)
