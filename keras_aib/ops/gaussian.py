"""Diagonal Gaussians: the rate of a latent and how to sample it."""

from typing import Any

from keras import ops

from keras_aib.ops.precision import at_least_float32


def kl_to_standard_normal(mean: Any, stddev: Any) -> Any:
    """Elementwise KL divergence of `N(mean, stddev^2)` from `N(0, 1)`.

    The price, per element, of sending a Gaussian through a channel whose
    receiver expects a standard normal: the rate term of every variational
    information bottleneck. It is 0 exactly at `mean=0, stddev=1`.

    Args:
        mean: Mean of the Gaussian, any shape.
        stddev: Standard deviation, positive, broadcastable to `mean`.

    Returns:
        A tensor of the broadcast shape, in nats (divide by `log(2)` for
        bits), float32 or wider.

    Example:

    ```python
    from keras_aib import ops

    ops.kl_to_standard_normal([0.0, 1.0], [1.0, 1.0])  # [0.0, 0.5] nats
    ```
    """
    mean, stddev = at_least_float32(mean, stddev)
    return 0.5 * (ops.square(stddev) + ops.square(mean) - 1.0) - ops.log(stddev)


def reparameterize(mean: Any, stddev: Any, noise: Any) -> Any:
    """Sample `N(mean, stddev^2)` as a differentiable function of both.

    Written as `mean + stddev * noise`, the draw lets gradients reach the
    parameters of the distribution. See
    [Kingma & Welling, 2014](https://arxiv.org/abs/1312.6114).

    Args:
        mean: Mean of the Gaussian.
        stddev: Standard deviation, broadcastable to `mean`.
        noise: Standard normal draw. A leading axis that `mean` lacks gives
            that many samples.

    Returns:
        The sample, of the broadcast shape, float32 or wider.

    Example:

    ```python
    import keras
    from keras_aib import ops

    noise = keras.random.normal((4, 2))
    ops.reparameterize([0.0, 3.0], [1.0, 0.1], noise)  # four samples of two
    ```
    """
    mean, stddev, noise = at_least_float32(mean, stddev, noise)
    return mean + stddev * noise
