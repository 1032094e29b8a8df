"""SGD with the paper's parameter groups."""

from typing import Any

import keras

from keras_aib.optimizers.grouped_optimizer import GroupedOptimizer


@keras.saving.register_keras_serializable(package="keras_aib")
class GroupedSGD(GroupedOptimizer, keras.optimizers.SGD):
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
    from keras_aib.optimizers import GroupedSGD

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
