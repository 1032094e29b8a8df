"""How the paper trains its nets, with its figures converted to nats."""

import functools
import math
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import keras

from keras_aib.layers import ReflectPadCrop
from keras_aib.optimizers import GroupedAdam
from keras_aib.optimizers import GroupedSGD

EPOCHS = 200
ANCHOR_SCALES = {"anchors": 1e-4}

# The paper's loss is in bits and halves the rate; times ln 2 it is ours. Its
# rate is that of exp(stddev), not of the latent that is sampled. The anchors'
# learning rate is the optimizer's matter, so the layer leaves their gradient.
OBJECTIVE: dict[str, Any] = {
    "beta": 5e-3,
    "kl_scale": "exp_stddev",
    "codebook_weight": 0.4 * math.log(2.0),
    "commitment_weight": 0.1 * math.log(2.0),
    "anchor_gradient_scale": 1.0,
}


@dataclass(frozen=True, kw_only=True)
class PaperRecipe:
    """How one of the paper's nets is trained.

    Args:
        name: Name of the net in the zoo.
        epochs: Passes over the training images.
        batch_size: Images a step.
        build_schedule: Called with `(steps_per_epoch, epochs)`; returns the
            learning rate's course.
        build_optimizer: Called with that; returns the optimizer.
        build_augmentation: Called with `seed`; returns a layer on pixels. Its
            call with `training=False` is what test images go through.
        options: Arguments of `AIBClassifier` that make the paper's loss, in
            nats, with this optimizer.
        evaluation_samples: Samples that the paper averages for a prediction.

    Example:

    ```python
    from keras_aib.zoo.paper_recipes import paper_recipe

    recipe = paper_recipe("aib_vgg32")
    optimizer = recipe.optimizer(steps_per_epoch=390)
    ```
    """

    name: str
    epochs: int = EPOCHS
    batch_size: int
    build_schedule: Callable[[int, int], Any] = field(repr=False)
    build_optimizer: Callable[[Any], keras.optimizers.Optimizer] = field(
        repr=False
    )
    build_augmentation: Callable[..., keras.layers.Layer] = field(repr=False)
    options: dict[str, Any] = field(default_factory=lambda: dict(OBJECTIVE))
    evaluation_samples: int

    def optimizer(
        self, steps_per_epoch: int, epochs: int | None = None
    ) -> keras.optimizers.Optimizer:
        """The optimizer with its schedule.

        Args:
            steps_per_epoch: Steps in an epoch.
            epochs: Epochs of a run that is shorter than the paper's; it goes
                through the whole course of the learning rate, faster.
        """
        schedule = self.build_schedule(steps_per_epoch, epochs or self.epochs)
        return self.build_optimizer(schedule)


def paper_recipe(name: str) -> PaperRecipe:
    """The recipe of one of the paper's nets.

    Args:
        name: Name of the net in the zoo.

    Raises:
        ValueError: If it is none of the paper's nets.
    """
    if name not in PAPER_RECIPES:
        raise ValueError(
            f"`name` must be one of the paper's nets, {list(PAPER_RECIPES)}. "
            f"Received: name={name!r}."
        )
    return PAPER_RECIPES[name]


def _piecewise(
    milestones: Sequence[int],
    rates: Sequence[float],
    steps_per_epoch: int,
    epochs: int,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """`rates` that change at the start of the epochs `milestones`."""
    steps = steps_per_epoch * epochs / EPOCHS
    # Keras keeps a rate up to its boundary, the boundary included.
    boundaries = [round(epoch * steps) - 1 for epoch in milestones]
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        boundaries, list(rates)
    )


def _vgg32_schedule(
    warm: Sequence[float], steps_per_epoch: int, epochs: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    halvings = range(25, EPOCHS, 25)
    rates = [0.1 / 2**count for count in range(len(halvings) + 1)]
    return _piecewise(
        [*range(1, len(warm) + 1), *halvings],
        [*warm, *rates],
        steps_per_epoch,
        epochs,
    )


def _cub_schedule(
    steps_per_epoch: int, epochs: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    steps = max(1, round(steps_per_epoch * epochs / EPOCHS))
    return keras.optimizers.schedules.ExponentialDecay(
        1e-4, steps, 0.97, staircase=True
    )


def _cifar_optimizer(
    scales: dict[str, float], schedule: Any
) -> keras.optimizers.Optimizer:
    return GroupedSGD(
        schedule,
        momentum=0.9,
        learning_rate_scales=scales,
        coupled_weight_decay=5e-4,
    )


def _cub_optimizer(
    scales: dict[str, float], schedule: Any
) -> keras.optimizers.Optimizer:
    return GroupedAdam(
        schedule,
        beta_1=0.5,
        beta_2=0.999,
        # PyTorch's; Keras's own is 1e-7.
        epsilon=1e-8,
        learning_rate_scales=scales,
        use_ema=True,
        ema_momentum=0.999,
    )


def _flip(seed: int | None) -> keras.layers.Layer:
    # Not the crop's seed, or the two draws would go together.
    seed = None if seed is None else seed + 1
    return keras.layers.RandomFlip("horizontal", seed=seed)


def _cifar_augmentation(seed: int | None = None) -> keras.layers.Layer:
    return keras.Sequential(
        [
            ReflectPadCrop(padding=4, seed=seed),
            _flip(seed),
        ],
        name="augmentation",
    )


def _cub_augmentation(seed: int | None = None) -> keras.layers.Layer:
    return keras.Sequential(
        [
            keras.layers.Resizing(256, 256),
            ReflectPadCrop(padding=0, size=(224, 224), seed=seed),
            _flip(seed),
        ],
        name="augmentation",
    )


def _cifar_recipe(
    name: str, scales: dict[str, float], build_schedule: Callable[..., Any]
) -> PaperRecipe:
    return PaperRecipe(
        name=name,
        batch_size=128,
        build_schedule=build_schedule,
        build_optimizer=functools.partial(_cifar_optimizer, scales),
        build_augmentation=_cifar_augmentation,
        evaluation_samples=4,
    )


def _cub_recipe(name: str, scales: dict[str, float]) -> PaperRecipe:
    return PaperRecipe(
        name=name,
        batch_size=16,
        build_schedule=_cub_schedule,
        build_optimizer=functools.partial(_cub_optimizer, scales),
        build_augmentation=_cub_augmentation,
        evaluation_samples=12,
    )


_wrn28_10_schedule = functools.partial(
    _piecewise, (60, 120, 160), (0.1, 0.02, 0.004, 0.0008)
)

PAPER_RECIPES = {
    recipe.name: recipe
    for recipe in (
        _cifar_recipe(
            "aib_vgg32",
            ANCHOR_SCALES,
            functools.partial(_vgg32_schedule, (0.001, 0.01)),
        ),
        _cifar_recipe(
            "aib_vgg32_continuous",
            {},
            functools.partial(_vgg32_schedule, (0.01,)),
        ),
        _cifar_recipe("aib_wrn28_10", ANCHOR_SCALES, _wrn28_10_schedule),
        _cifar_recipe("aib_wrn28_10_continuous", {}, _wrn28_10_schedule),
        _cub_recipe("aib_vgg16", ANCHOR_SCALES),
        _cub_recipe("aib_vgg16_continuous", {}),
        _cub_recipe("aib_wrn50_2", ANCHOR_SCALES),
        _cub_recipe("aib_wrn50_2_continuous", {}),
    )
}
