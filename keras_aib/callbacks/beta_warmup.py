"""A bottleneck that closes step by step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

import keras

from keras_aib.layers import PricedLayer
from keras_aib.utils.keras_internals import flat_layers

# The reference's flank, tanh(steps / 1000 - 4.5), is left when it has reached
# the reference's beta: 2.2 thousand steps later.
TANH_START = -4.5
TANH_LENGTH = 2.2


def _linear(progress: float) -> float:
    return progress


def _tanh(progress: float) -> float:
    start = math.tanh(TANH_START)
    rise = math.tanh(TANH_START + TANH_LENGTH) - start
    return (math.tanh(TANH_START + TANH_LENGTH * progress) - start) / rise


SCHEDULES = {"linear": _linear, "tanh": _tanh}


class BetaWarmup(keras.callbacks.Callback):
    """Raise `beta` from zero to its target over the first steps of training.

    A bottleneck at full strength before the features mean anything is cheapest
    to satisfy by letting nothing through, and training may not recover from
    that. Starting open and closing slowly avoids it.

    The value is set before every batch, on all three backends, without
    recompiling the train step. With `t` steps done of `T`,

        beta(t) = initial_beta + (target - initial_beta) * rise(t / T)

    - `"linear"`: `rise(u) = u`
    - `"tanh"`: `rise(u)` is `tanh(2.2 u - 4.5)`, shifted and scaled to run
      from 0 to 1: the slow, nearly exponential start that the authors of the
      bottleneck attention trained with. They have it take 2,200 steps and
      update it once an epoch.

    It applies to every layer with a price in the model, a
    `keras_aib.layers.PricedLayer` such as `GaussianBottleneck`, and reports the
    `beta` of an epoch's last batch in the logs and the history
    (`beta_<layer name>` where there are several).

    While `beta` rises, `loss` and `val_loss` rise too, however much the model
    learns. What watches them takes that for a worse model, so let early
    stopping, checkpoints and learning rate schedules watch the loss without
    the prices, which the models of `keras_aib.models` report:
    `keras.callbacks.EarlyStopping("val_task_loss", mode="min", patience=5)`.
    Those models warn, at the start of `fit`, of a callback that does not.

    When training ends, also by early stopping, `beta` is the target, however
    far the warm-up came. When it is broken off (an exception, Ctrl-C), `beta`
    stays where it was; the next `fit` with a `BetaWarmup` sets it again. Every
    `fit` warms up anew unless its `initial_epoch` lies past the warm-up.

    Args:
        warmup_epochs: length of the warm-up in epochs, may be a fraction; the
            data must tell its length. Give this or `warmup_steps`.
        warmup_steps: length of the warm-up in training steps (batches).
        beta: the target, not negative; by default the `beta` that each layer
            was made with.
        initial_beta: where the warm-up starts.
        schedule: `"linear"` or `"tanh"`.

    Raises:
        ValueError: for a bad argument, and at the start of `fit` where no layer
            has a price.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_aib.callbacks import BetaWarmup
    from keras_aib.layers import GaussianBottleneck

    model = keras.Sequential(
        [GaussianBottleneck(8, beta=1e-3), keras.layers.Dense(1)]
    )
    model.compile("adam", loss="mse")
    features, targets = np.random.normal(size=(64, 4)), np.ones(64)
    warmup = BetaWarmup(warmup_epochs=2)
    history = model.fit(features, targets, epochs=3, callbacks=[warmup])
    history.history["beta"]  # [0.00025, 0.00075, 0.001]
    ```
    """

    def __init__(
        self,
        warmup_epochs: float | None = None,
        warmup_steps: int | None = None,
        beta: float | None = None,
        initial_beta: float = 0.0,
        schedule: str = "linear",
    ) -> None:
        super().__init__()
        if (warmup_epochs is None) == (warmup_steps is None):
            raise ValueError(
                "Give the length of the warm-up as `warmup_epochs` or as "
                f"`warmup_steps`. Received: warmup_epochs={warmup_epochs}, "
                f"warmup_steps={warmup_steps}"
            )
        for name, value in (
            ("warmup_epochs", warmup_epochs),
            ("warmup_steps", warmup_steps),
        ):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(
                    f"`{name}` must be positive. Received: {value}"
                )
        for name, value in (("beta", beta), ("initial_beta", initial_beta)):
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(
                    f"`{name}` must be finite and not negative. "
                    f"Received: {value}"
                )
        if schedule not in SCHEDULES:
            raise ValueError(
                f"`schedule` must be one of {tuple(SCHEDULES)}. "
                f"Received: {schedule!r}"
            )
        self.warmup_epochs = warmup_epochs
        self.warmup_steps = warmup_steps
        self.beta = beta
        self.initial_beta = initial_beta
        self.schedule = schedule
        self._targets: dict[str, tuple[keras.Variable, float]] = {}
        self._total_steps = 0.0
        self._epoch_start = 0
        self._steps_done = 0
        self._warming_up = False

    def warn_of_monitors(self, callbacks: Iterable[Any]) -> None:
        """Warn of callbacks that watch a loss in which the price rises.

        Args:
            callbacks: All that `fit` got.
        """
        for callback in callbacks:
            monitor = getattr(callback, "monitor", None)
            if monitor not in ("loss", "val_loss"):
                continue
            # A checkpoint that keeps every epoch chooses nothing.
            if not getattr(callback, "save_best_only", True):
                continue
            start = getattr(callback, "start_from_epoch", 0)
            if self.warmup_epochs is not None and start >= self.warmup_epochs:
                continue
            name = type(callback).__name__
            better = monitor.replace("loss", "task_loss")
            warnings.warn(
                f"{name} monitors {monitor!r}, which rises with `beta` during "
                "the warm-up even where the model gets better. Monitor the "
                f"loss without the price: {name}(monitor={better!r}, "
                "mode='min').",
                stacklevel=3,
            )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        layers = [
            layer
            for layer in flat_layers(self.model)
            if isinstance(layer, PricedLayer)
        ]
        if not layers:
            raise ValueError(
                f"BetaWarmup found no layer with a price in {self.model.name!r}"
                ". Use it on a model with a "
                "`keras_aib.layers.GaussianBottleneck`, or another "
                "`keras_aib.layers.PricedLayer`."
            )
        self._targets = {
            "beta" if len(layers) == 1 else f"beta_{layer.name}": (
                layer.beta,
                layer.initial_beta if self.beta is None else self.beta,
            )
            for layer in layers
        }
        steps_per_epoch = self.params.get("steps")
        if self.warmup_steps is not None:
            self._total_steps = self.warmup_steps
        elif steps_per_epoch:
            self._total_steps = self.warmup_epochs * steps_per_epoch
        else:
            raise ValueError(
                "The data does not tell how many steps an epoch has, so "
                "`warmup_epochs` cannot be counted. Give `warmup_steps`, or "
                "`steps_per_epoch` to `fit`."
            )
        self._steps_done = 0
        self._warming_up = True

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # Counted from the epoch where possible, so that a `fit` which resumes
        # at `initial_epoch` resumes the warm-up too.
        steps_per_epoch = self.params.get("steps")
        self._epoch_start = (
            epoch * steps_per_epoch if steps_per_epoch else self._steps_done
        )

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._warming_up:
            step = self._epoch_start + batch
            self._assign(min(1.0, step / self._total_steps))
            self._warming_up = step < self._total_steps
            self._steps_done = step + 1

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if logs is not None:
            for name, (variable, _) in self._targets.items():
                logs[name] = float(keras.ops.convert_to_numpy(variable))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._assign(1.0)

    def _assign(self, progress: float) -> None:
        # On JAX the state of training lives outside the variables between the
        # batches of an epoch. `self.model` brings it back into them, and makes
        # the trainer read them again, `beta` included, before its next step.
        _ = self.model
        rise = SCHEDULES[self.schedule](progress)
        for variable, target in self._targets.values():
            variable.assign(
                self.initial_beta + (target - self.initial_beta) * rise
            )
