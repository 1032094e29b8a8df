"""Optimizers with the paper's parameter groups."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


class _Grouped(keras.optimizers.Optimizer):
    """What the optimizers of this module add to Keras's.

    Keras has no parameter groups, and a factor on the gradient is none: Adam
    divides the size of a gradient out again.
    """

    learning_rate_scales: dict[str, float]
    coupled_weight_decay: float

    def _set_groups(
        self,
        learning_rate_scales: dict[str, float] | None,
        coupled_weight_decay: float,
    ) -> None:
        scales = {
            str(name): float(scale)
            for name, scale in (learning_rate_scales or {}).items()
        }
        if any(not 0 <= scale < float("inf") for scale in scales.values()):
            raise ValueError(
                "`learning_rate_scales` must map names of variables to finite "
                "factors, 0 or more. Received: "
                f"learning_rate_scales={learning_rate_scales}."
            )
        decay = float(coupled_weight_decay)
        if not 0 <= decay < float("inf"):
            raise ValueError(
                "`coupled_weight_decay` must be a finite number, 0 or more. "
                f"Received: coupled_weight_decay={coupled_weight_decay}."
            )
        if decay and self.weight_decay:
            raise ValueError(
                "Use either `coupled_weight_decay`, which goes through the "
                "momentum, or Keras's `weight_decay`, which does not. "
                f"Received: {decay} and {self.weight_decay}."
            )
        self.learning_rate_scales = scales
        self.coupled_weight_decay = decay

    def build(self, variables: Sequence[Any]) -> None:
        if self.built:
            return
        paths = [variable.path for variable in variables]
        for name in self.learning_rate_scales:
            if not any(_is_in(name, path) for path in paths):
                raise ValueError(
                    f"`learning_rate_scales` names {name!r}, but no trainable "
                    "variable has this name, nor a layer that holds one. "
                    f"Received variables {paths[:3]}, ... Remove the entry, or "
                    "correct its name."
                )
        self._scales = [self._scale(path) for path in paths]
        super().build(variables)

    def _scale(self, path: str) -> float:
        scale = 1.0
        for name, factor in self.learning_rate_scales.items():
            if _is_in(name, path):
                scale *= factor
        return scale

    def update_step(
        self, gradient: Any, variable: Any, learning_rate: Any
    ) -> None:
        # TensorFlow passes its own variable here, which has no path.
        scale = self._scales[self._get_variable_index(variable)]
        if self.coupled_weight_decay:
            gradient = ops.add(
                ops.cast(gradient, variable.dtype),
                ops.multiply(variable, self.coupled_weight_decay),
            )
        if scale != 1.0:
            learning_rate = ops.multiply(learning_rate, scale)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate_scales": dict(self.learning_rate_scales),
            "coupled_weight_decay": self.coupled_weight_decay,
        }


def _is_in(name: str, path: str) -> bool:
    return name in path.split("/")


@keras.saving.register_keras_serializable(package="keras_aib")
class GroupedSGD(_Grouped, keras.optimizers.SGD):
    """SGD with a learning rate for each group, and PyTorch's weight decay.

    Args:
        learning_rate: Number or schedule.
        momentum: Momentum.
        learning_rate_scales: Factors on the learning rate, by the name of a
            variable or of a layer that holds variables, such as
            `{"anchors": 1e-4}`.
        coupled_weight_decay: Added to the gradient as this times the weight,
            before the momentum, as PyTorch's SGD does; Keras's own
            `weight_decay` shrinks the weights past the momentum. It goes to
            every weight.
        **kwargs: Further arguments of `keras.optimizers.SGD`.

    Raises:
        ValueError: If a factor or the weight decay is negative, or, when first
            used, if a name in `learning_rate_scales` fits no variable.

    Example:

    ```python
    from keras_aib.zoo.optimizers import GroupedSGD

    optimizer = GroupedSGD(
        0.1,
        momentum=0.9,
        learning_rate_scales={"anchors": 1e-4},
        coupled_weight_decay=5e-4,
    )
    ```
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        learning_rate_scales: dict[str, float] | None = None,
        coupled_weight_decay: float = 0.0,
        name: str = "grouped_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, momentum=momentum, name=name, **kwargs)
        self._set_groups(learning_rate_scales, coupled_weight_decay)


@keras.saving.register_keras_serializable(package="keras_aib")
class GroupedAdam(_Grouped, keras.optimizers.Adam):
    """Adam with a learning rate for each group.

    Args:
        learning_rate: Number or schedule.
        learning_rate_scales: As for `GroupedSGD`.
        coupled_weight_decay: As for `GroupedSGD`.
        **kwargs: Further arguments of `keras.optimizers.Adam`.

    Raises:
        ValueError: As for `GroupedSGD`.

    Example:

    ```python
    from keras_aib.zoo.optimizers import GroupedAdam

    optimizer = GroupedAdam(1e-4, learning_rate_scales={"anchors": 1e-4})
    ```
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_scales: dict[str, float] | None = None,
        coupled_weight_decay: float = 0.0,
        name: str = "grouped_adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs)
        self._set_groups(learning_rate_scales, coupled_weight_decay)
