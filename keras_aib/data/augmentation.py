"""Keras layers applied to NumPy batches, by several threads, reproducibly."""

import os
import threading
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import numpy as np

Augmentation: TypeAlias = keras.layers.Layer | Sequence[keras.layers.Layer]

# Layers have started the threads of the backend, which no fork has.
_has_begun = False
_is_forked = False


def _enter_fork() -> None:
    global _is_forked
    _is_forked = _has_begun


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_enter_fork)


class BatchAugmentation:
    """Run image augmentation layers on batches, one batch at a time.

    The seed generators of the layers are set anew for every batch from the
    given numbers, so what a batch looks like does not depend on which thread
    came first.

    Args:
        augmentation: One layer (a `keras.Sequential` is one) or a list.

    Raises:
        TypeError: If anything in it is not a Keras layer.
    """

    def __init__(self, augmentation: Augmentation):
        layers = (
            list(augmentation)
            if isinstance(augmentation, (list, tuple))
            else [augmentation]
        )
        for layer in layers:
            if not isinstance(layer, keras.layers.Layer):
                raise TypeError(
                    "`augmentation` must be a Keras layer or a list of them, "
                    "such as [keras.layers.RandomFlip('horizontal')]. "
                    f"Received: {layer!r} of type {type(layer).__name__}"
                )
        # Sequential passes `training` only to the layers that take it.
        self._layers = keras.Sequential(layers)
        self._enter_process()

    def _enter_process(self) -> None:
        global _has_begun
        _has_begun = True
        self._lock = threading.Lock()
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": self._layers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._layers = state["layers"]
        self._enter_process()

    def __call__(
        self, images: np.ndarray, entropy: Sequence[int]
    ) -> np.ndarray:
        """Return float32 augmented `images`, drawn from `entropy`."""
        if _is_forked:
            _check_fork()
        if self._process != os.getpid():
            self._enter_process()
        # The accelerator is busy with training, and its queue is not shared.
        with self._lock, keras.device("cpu"):
            if not self._layers.built:
                self._layers.build((None, *images.shape[1:]))
            self._reseed(entropy)
            augmented = keras.ops.convert_to_numpy(
                keras.ops.cast(self._layers(images, training=True), "float32")
            )
        if augmented.ndim != 4 or len(augmented) != len(images):
            raise ValueError(
                "`augmentation` must return as many images as it is given, "
                f"[B, H, W, C]. It was given shape {images.shape} and returned "
                f"{augmented.shape}."
            )
        return augmented

    def _reseed(self, entropy: Sequence[int]) -> None:
        states = [
            variable
            for variable in self._layers.variables
            if variable.name == "seed_generator_state"
        ]
        draws = np.random.SeedSequence(entropy).generate_state(2 * len(states))
        # torch keeps the state in int32 and adds its two halves.
        halves = (draws >> 2).astype("int32").reshape(-1, 2)
        for state, half in zip(states, halves, strict=True):
            state.assign(half)


def _check_fork() -> None:
    backend = keras.config.backend()
    if backend == "torch":
        import torch

        # As `DataLoader` sets it in its workers.
        if torch.get_num_threads() == 1:
            return
    raise RuntimeError(
        "`augmentation` cannot run in a forked process: the threads of "
        f"{backend} are not in it, and it would wait for them for ever. "
        "Let torch's `DataLoader` start the processes on the torch "
        "backend; else start them anew "
        "(`multiprocessing.get_context('spawn')`), leave "
        "`use_multiprocessing` out, or put the augmentation into the model."
    )
