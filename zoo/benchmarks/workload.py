"""What the benchmark measures: a model, images, and the step to time."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_aib.zoo.architectures.efficientnet_lite import (
    build_efficientnet_lite,
)
from keras_aib.zoo.recipes.variants import build_variant

NUM_CLASSES = 10
POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


def _resnet50(image_size: int) -> keras.Model:
    return keras.applications.ResNet50(
        include_top=False,
        weights=None,
        input_shape=(image_size, image_size, 3),
    )


def _efficientnet_lite0(image_size: int) -> keras.Model:
    return build_efficientnet_lite("lite0", (image_size, image_size, 3))


# Builder of the backbone, and where the attention goes: stride 16.
MODELS: dict[str, tuple[Callable[[int], keras.Model], str]] = {
    "resnet50": (_resnet50, "conv4_block6_out"),
    "efficientnet_lite0": (_efficientnet_lite0, "P4"),
}


@dataclass(frozen=True)
class Workload:
    """What is measured, and how often.

    Attributes:
        model: A key of `MODELS`.
        image_size: Height and width in pixels.
        batch_size: Images per batch.
        precision: A key of `POLICIES`.
        rounds: Timed rounds, after one that is not timed.
        steps: Batches per round and variant.
        num_samples: Samples of `predict_samples`.
    """

    model: str
    image_size: int = 224
    batch_size: int = 8
    precision: str = "float32"
    rounds: int = 10
    steps: int = 4
    num_samples: int = 12

    def __str__(self) -> str:
        return (
            f"{self.image_size} px, batch {self.batch_size}, {self.precision}"
        )

    def build(self, variant: str) -> keras.Model:
        """A compiled model of one of the compared variants."""
        build_backbone, attention_layer = MODELS[self.model]
        model = build_variant(
            variant,
            build_backbone(self.image_size),
            NUM_CLASSES,
            attention_layer=attention_layer,
            seed=0,
        ).model
        model.compile(
            "adam",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of one round."""
        random = np.random.default_rng(0)
        count = self.steps * self.batch_size
        shape = (count, self.image_size, self.image_size, 3)
        images = random.random(shape, dtype="float32")
        return images, random.integers(0, NUM_CLASSES, size=count)


def step(model: keras.Model, kind: str, workload: Workload) -> Any:
    """The function to time: `"training"` or `"inference"` on one round's data.

    It ends in `fit` and `predict`, as a user's program does, and these wait
    for the device.
    """
    images, labels = workload.data()
    options = {"batch_size": workload.batch_size, "verbose": 0}
    if kind == "training":
        return functools.partial(
            model.fit, images, labels, shuffle=False, **options
        )
    return functools.partial(model.predict, images, **options)
