"""A layer that pays for the information it lets through."""

import math
from types import SimpleNamespace
from typing import Any

import keras
from keras import ops

from keras_aib.layers.rated_layer import RatedLayer
from keras_aib.layers.rated_layer import check_weight


class PricedLayer(RatedLayer):
    """What every bottleneck shares: a rate in nats, and a price for it.

    A bottleneck computes how much passes through it, in nats, and calls
    `add_rate`: `beta` times the rate is added to the loss, and the rate is
    reported in bits (`kl_bits`) in the progress bar and the history of a
    `keras_aib.models.BottleneckModel`. `keras_aib.callbacks.BetaWarmup` finds
    the layers of a model by this class.

    `beta` is a variable, so that a callback can raise it during a compiled
    `fit`. Like the state of a seed it is no weight: loading weights leaves it
    as it was. A saved model and its clone have the value it had, in their
    configuration.

    Args:
        beta: Price of information, in loss per nat.

    Raises:
        ValueError: If `beta` is negative or not finite.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib import layers


    @keras.saving.register_keras_serializable(package="mine")
    class GaussianNoise(layers.PricedLayer):
        def call(self, inputs, training=None):
            # Of N(inputs, 1) from N(0, 1), in nats.
            self.add_rate(0.5 * keras.ops.sum(inputs**2, axis=-1))
            if not training:
                return inputs
            return inputs + keras.random.normal(keras.ops.shape(inputs))


    gate = GaussianNoise(beta=0.1)
    gate(np.ones((4, 3), "float32"))
    print(gate.losses)  # 0.1 * 1.5 nats
    ```
    """

    rate_names = ("kl_bits",)

    def __init__(self, beta: float = 1e-4, **kwargs: Any) -> None:
        current_beta = kwargs.pop("current_beta", beta)
        super().__init__(**kwargs)
        self.initial_beta = check_weight("beta", beta)
        # Kept from Keras's tracker, or it would become a weight.
        self._price = SimpleNamespace(
            beta=keras.Variable(
                check_weight("current_beta", current_beta),
                dtype=self.rate_dtype,
                trainable=False,
                name="beta",
            )
        )

    @property
    def beta(self) -> keras.Variable:
        """Price of a nat, a scalar variable; change it with `assign`."""
        return self._price.beta

    @property
    def variables(self) -> list[keras.Variable]:
        """All state: the weights, the seed, and `beta`."""
        return [*super().variables, self.beta]

    def add_rate(self, nats: Any) -> None:
        """Charge for what this call lets through, and report it.

        Args:
            nats: Rate of each row, of any shape; the mean is charged for.
        """
        rate = ops.mean(self.as_rate(nats))
        self.add_loss(ops.cast(self.beta, rate.dtype) * rate)
        self.report(kl_bits=rate / math.log(2.0))

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "beta": self.initial_beta}
        beta = float(ops.convert_to_numpy(self.beta))
        # `beta` stays what a warm-up rises to.
        if not math.isclose(beta, self.initial_beta, rel_tol=1e-6):
            config["current_beta"] = beta
        return config
