"""Training on all devices of one machine."""

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_aib.utils.keras_internals import flat_layers

DISTRIBUTIONS = ("data_parallel",)
UNEVEN = "batch does not divide by the number of devices"


@contextlib.contextmanager
def distribution_scope(name: str | None) -> Iterator[int]:
    """Build, compile and fit on all devices, or on one.

    Every device holds the model and takes an equal part of each batch; a step
    gives the loss and the update that one device would give for the whole
    batch, statistics of `BatchNormalization` and `add_loss` included. On
    TensorFlow all devices draw the same noise, each for its own part.

    Batches that do not divide by the number of devices are refused, the last
    one of an epoch and those of `evaluate` and `predict` too: pass the data
    through `even_batches`. A model that was built inside stays distributed; to
    use it on one device, save it and load it outside.

    Args:
        name: `"data_parallel"`, or `None` for one device.

    Yields:
        The number of devices.

    Raises:
        ValueError: If there is no such distribution, the backend has none, or
            a batch inside does not divide by the number of devices.

    Example:

    ```python
    import keras
    from keras_aib.runs.distribution import distribution_scope

    with distribution_scope(None) as num_devices:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    ```
    """
    if name is None:
        yield 1
        return
    if name not in DISTRIBUTIONS:
        raise ValueError(
            f"The distribution must be one of {DISTRIBUTIONS}, or None for one "
            f"device. Received: {name!r}."
        )
    backend = keras.config.backend()
    if backend not in SCOPES:
        raise ValueError(
            f"{name!r} needs the JAX or the TensorFlow backend: Keras does not "
            f"distribute on {backend!r}. Set KERAS_BACKEND=jax, or train on "
            "one device."
        )
    with SCOPES[backend]() as num_devices:
        try:
            yield num_devices
        except Exception as error:
            # JAX speaks of shardings, and gives the error no public type.
            if not any(x in str(error) for x in (UNEVEN, "evenly divi")):
                raise
            raise ValueError(
                f"A batch does not divide by the {num_devices} devices of "
                f"{name!r}. Choose a batch size that is a multiple of "
                f"{num_devices} and pass all data, that of `evaluate` and "
                "`predict` too, through `even_batches(data, num_devices)`, "
                "which cuts the last batch of an epoch."
            ) from error


def even_batches(data: Any, num_devices: int) -> Any:
    """Cut the batches of a dataset so that every device gets an equal part.

    The last batch of an epoch, and one that lacks an unreadable image, are
    rarely a multiple of the number of devices. Up to `num_devices - 1` of
    their images are left out; a batch of fewer images than devices repeats
    them.

    Args:
        data: A `keras.utils.PyDataset`, such as `keras_aib.data` makes.
        num_devices: What `distribution_scope` gives.

    Returns:
        A `keras.utils.PyDataset`; `data` itself for one device.

    Raises:
        TypeError: If `data` is no `PyDataset`.

    Example:

    ```python
    import numpy as np
    from keras_aib import data
    from keras_aib.runs.distribution import even_batches

    images = np.zeros((14, 8, 8, 3), "uint8")
    train = data.from_arrays(images, np.arange(14) % 2, batch_size=8)
    [len(labels) for _, labels in even_batches(train, 4)]  # [8, 4]
    ```
    """
    if not isinstance(data, keras.utils.PyDataset):
        raise TypeError(
            "`data` must be a keras.utils.PyDataset, such as "
            "`keras_aib.data.from_arrays(images, labels)` gives. Received: "
            f"{data!r} of type {type(data).__name__}."
        )
    return data if num_devices == 1 else _EvenBatches(data, num_devices)


class _EvenBatches(keras.utils.PyDataset):
    def __init__(self, data: Any, num_devices: int) -> None:
        super().__init__(workers=1)
        self.data = data
        self.num_devices = num_devices

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        return keras.tree.map_structure(self._cut, self.data[index])

    def _cut(self, array: Any) -> np.ndarray:
        count = len(array) - len(array) % self.num_devices
        return np.take(
            array, np.arange(count or self.num_devices), 0, mode="wrap"
        )

    def on_epoch_begin(self) -> None:
        self.data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.data.on_epoch_end()


@contextlib.contextmanager
def _jax_scope() -> Iterator[int]:
    distribution = keras.distribution.DataParallel()
    with distribution.scope():
        yield distribution.num_model_replicas


@contextlib.contextmanager
def _tensorflow_scope() -> Iterator[int]:
    strategy = _mirrored_strategy()
    with (
        _synchronized_batch_normalization(),
        _separate_losses(),
        strategy.scope(),
    ):
        yield strategy.num_replicas_in_sync


# TensorFlow mixes up the reductions of two strategies in one process.
@functools.cache
def _mirrored_strategy() -> Any:
    # The one place that imports TensorFlow: Keras's trainer on that backend is
    # distributed by tf.distribute and by nothing in keras. Keras divides
    # losses, those of add_loss too, by the number of devices, but takes any
    # batch: one that does not divide would weigh its images unequally, or
    # leave a device without any and the loss not a number.
    import tensorflow as tf

    class EvenMirroredStrategy(tf.distribute.MirroredStrategy):
        def experimental_distribute_dataset(
            self, dataset: Any, options: Any = None
        ) -> Any:
            def check(*batch: Any) -> Any:
                first, *rest = tf.nest.flatten(batch)
                remainder = tf.shape(first)[0] % self.num_replicas_in_sync
                even = tf.debugging.assert_equal(remainder, 0, UNEVEN)
                with tf.control_dependencies([even]):
                    first = tf.identity(first)
                return tf.nest.pack_sequence_as(batch, [first, *rest])

            return super().experimental_distribute_dataset(
                dataset.map(check), options
            )

    return EvenMirroredStrategy()


@contextlib.contextmanager
def _synchronized_batch_normalization() -> Iterator[None]:
    # Backbones build their layers without `synchronized=True`, and a layer
    # that keeps it cannot be loaded on JAX and torch. So a layer has it only
    # while it is called, and what is saved meanwhile is as it was built.
    layers = keras.layers.BatchNormalization
    call = layers.call
    built_with: dict[Any, bool] = {}

    @functools.wraps(call)
    def synchronized_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        # The devices' calls overlap where one waits for the others.
        as_built = built_with.setdefault(self, self.synchronized)
        self.synchronized = True
        try:
            return call(self, *args, **kwargs)
        finally:
            self.synchronized = as_built

    layers.call = synchronized_call
    try:
        yield
    finally:
        layers.call = call


@contextlib.contextmanager
def _separate_losses() -> Iterator[None]:
    # A layer keeps the values of add_loss in one list. The devices' calls, a
    # thread each, overlap at every synchronized normalization, so that a
    # device would find the losses of others there too, or its own cleared.
    layers = keras.layers.Layer
    add_loss, losses = layers.add_loss, layers.losses
    main_thread = threading.get_ident()
    added = _AddedLosses()

    def add_separately(self: Any, loss: Any) -> None:
        if threading.get_ident() == main_thread:
            add_loss(self, loss)
        else:
            added.losses += [(self, x) for x in keras.tree.flatten(loss)]

    def separate_losses(self: Any) -> list[Any]:
        own = {id(layer) for layer in flat_layers(self)}
        others = losses.fget(self)
        return [x for layer, x in added.losses if id(layer) in own] + others

    layers.add_loss = add_separately
    layers.losses = property(separate_losses)
    try:
        yield
    finally:
        layers.add_loss, layers.losses = add_loss, losses


class _AddedLosses(threading.local):
    def __init__(self) -> None:
        self.losses: list[tuple[Any, Any]] = []


SCOPES = {"jax": _jax_scope, "tensorflow": _tensorflow_scope}
