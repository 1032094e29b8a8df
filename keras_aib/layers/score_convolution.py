"""The convolution behind the attention's mean and standard deviation."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_aib")
class ScoreConvolution(keras.layers.Conv2D):
    """A `Conv2D` to one channel that trains on torch in every case.

    With one filter, torch's plain convolution on CPU, used in float64 and for
    a batch of one image, refuses the gradient of a kernel that Keras passes as
    a transposed view. A flat copy gives it the layout it wants.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        as_torch = ops.transpose(kernel, (3, 2, 0, 1))
        copied = ops.reshape(ops.reshape(as_torch, (-1,)), as_torch.shape)
        kernel = ops.transpose(copied, (2, 3, 1, 0))
        return super().convolution_op(inputs, kernel)
