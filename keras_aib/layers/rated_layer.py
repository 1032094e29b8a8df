"""What the layers of this package share."""

import threading
from typing import Any
from typing import ClassVar

import keras
from keras import ops

from keras_aib.ops import reparameterize
from keras_aib.utils.checks import check_positive_integer


class _LatestRates(threading.local):
    # Where several devices train, a layer is called in a thread for each.

    def __init__(self) -> None:
        self.rates: dict[str, Any] = {}


class RatedLayer(keras.layers.Layer):
    """A layer that tells the rates of its latest call.

    A metric may not be updated inside `call` on JAX, where a call is traced
    and its side effects on variables are lost. So a layer leaves its rates
    here, as Keras leaves `add_loss` values, and the model that owns a training
    step (`keras_aib.models.BottleneckModel`) moves them into metrics within
    the same step.

    Inputs are not cast to the compute dtype on entry: rates and quantization
    need float32 even where the policy computes in half precision.
    """

    rate_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self._latest = _LatestRates()

    @property
    def rate_dtype(self) -> str:
        """Dtype of rates and scores: float32, or float64 where all is."""
        return "float64" if self.compute_dtype == "float64" else "float32"

    def as_rate(self, inputs: Any) -> Any:
        """Cast `inputs` to the dtype of rates."""
        return ops.cast(ops.convert_to_tensor(inputs), self.rate_dtype)

    def report(self, **rates: Any) -> None:
        """Remember scalar `rates` of this call, without their gradients."""
        self._latest.rates.update(
            {name: ops.stop_gradient(rate) for name, rate in rates.items()}
        )

    def take_rates(self) -> dict[str, Any]:
        """Hand out the rates of the latest call, once."""
        rates, self._latest.rates = self._latest.rates, {}
        return rates


def sample(
    mean: Any, stddev: Any, noise: Any, num_samples: int | None, seed: Any
) -> Any:
    """Sample a Gaussian with the caller's `noise`, or with a fresh draw.

    Args:
        mean: Mean, `[...]`.
        stddev: Standard deviation, of the shape of `mean`.
        noise: The caller's draw, or `None`. Of the shape of `mean`, or with
            one more axis, the samples, in front.
        num_samples: Samples to draw, or `None` for one without a sample axis.
        seed: Seed generator of the layer.

    Returns:
        The sample, `[...]` or `[num_samples, ...]`.
    """
    if noise is None:
        leading: tuple[int, ...] = ()
        if num_samples is not None:
            check_positive_integer("num_samples", num_samples)
            leading = (num_samples,)
        noise = keras.random.normal(
            leading + tuple(ops.shape(mean)),
            dtype=keras.backend.standardize_dtype(mean.dtype),
            seed=seed,
        )
        return reparameterize(mean, stddev, noise)
    noise = ops.convert_to_tensor(noise)
    if num_samples is not None:
        raise ValueError(
            "Pass either `noise` or `num_samples`, not both: the leading axis "
            "of `noise` is the number of samples. Received: "
            f"num_samples={num_samples} and noise of shape {noise.shape}."
        )
    shape = tuple(mean.shape)
    offset = 1 if len(noise.shape) == len(shape) + 1 else 0
    received = tuple(noise.shape)[offset:]
    if len(received) != len(shape) or any(
        size is not None and other is not None and size != other
        for size, other in zip(received, shape, strict=True)
    ):
        raise ValueError(
            f"`noise` must have shape {shape}, or {('num_samples', *shape)} "
            f"for several samples. Received: shape {tuple(noise.shape)}."
        )
    return reparameterize(mean, stddev, ops.cast(noise, mean.dtype))


def check_weight(name: str, value: Any) -> float:
    """Return a loss weight as a float; refuse a negative or non-finite one."""
    number = float(value)
    if not 0.0 <= number < float("inf"):
        raise ValueError(
            f"`{name}` must be a finite number, 0 or more: it weighs a loss "
            f"that is to be minimized. Received: {name}={value}."
        )
    return number
