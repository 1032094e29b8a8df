"""Adam with the paper's parameter groups."""

from typing import Any

import keras

from keras_aib.optimizers.grouped_optimizer import GroupedOptimizer


@keras.saving.register_keras_serializable(package="keras_aib")
class GroupedAdam(GroupedOptimizer, keras.optimizers.Adam):
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
    from keras_aib.optimizers import GroupedAdam

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
