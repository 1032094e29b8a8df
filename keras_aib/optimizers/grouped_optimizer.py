"""What grouped optimizers share: factors by name, and PyTorch's decay."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_aib.utils.keras_internals import variable_index


class GroupedOptimizer(keras.optimizers.Optimizer):
    """What the optimizers of this package add to Keras's.

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
        scale = self._scales[variable_index(self, variable)]
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
