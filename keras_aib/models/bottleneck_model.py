"""A model that shows the rates of its bottlenecks while it trains."""

import inspect
import os
from collections import Counter
from typing import Any

import keras

from keras_aib.layers.rated_layer import RatedLayer
from keras_aib.utils.files import written_whole
from keras_aib.utils.keras_internals import flat_layers


@keras.saving.register_keras_serializable(package="keras_aib")
class BottleneckModel(keras.Model):
    """A functional model whose bottlenecks report to the progress bar.

    Build it as `keras.Model(inputs, outputs)` around any layers of this
    package. `fit` and `evaluate` then show, and keep in the history:

    - `task_loss`: the loss without the prices of bottlenecks and without
      regularization: what to judge a model by while `BetaWarmup` raises the
      price;
    - `kl_bits`: rate of the latent, bits per image;
    - `attention_mean`: mean score;
    - `attention_spread`: standard deviation of the score over the positions
      of an image; near 0 the map is flat and shows nothing;
    - `anchors_used`: share of the anchors that some score of the batch took;
      near `1 / num_anchors` all but one are dead;
    - `anchor_distance`: mean distance of a score to its anchor.

    Several layers of a kind prefix the figure with their name.

    `save` writes to a temporary name first, so that a full disk does not cost
    the previous file. HDF5 (`.h5`) is refused: Keras could not load it.

    Args:
        inputs: As for `keras.Model`.
        outputs: As for `keras.Model`.

    Example:

    ```python
    import keras
    from keras_aib import layers
    from keras_aib.models import BottleneckModel

    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(16, 3, activation="relu")(images)
    x = layers.BottleneckAttention(num_anchors=5)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = layers.GaussianBottleneck(latent_dim=8)(x)
    model = BottleneckModel(images, keras.layers.Dense(10)(x))
    ```
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [
            (layer.path, layer.name, rate)
            for layer in self._rated_layers()
            for rate in layer.rate_names
        ]
        count = Counter(rate for _, _, rate in names)
        self._rate_metrics = {
            f"{path}:{rate}": keras.metrics.Mean(
                name=rate if count[rate] == 1 else f"{name}_{rate}"
            )
            for path, name, rate in names
        }
        self._task_loss = _TaskLoss(name="task_loss")

    def _rated_layers(self) -> list[RatedLayer]:
        return [
            layer
            for layer in flat_layers(self)
            if isinstance(layer, RatedLayer)
        ]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        for layer in self._rated_layers():
            for rate, value in layer.take_rates().items():
                self._rate_metrics[f"{layer.path}:{rate}"].update_state(value)
        loss = super().compute_loss(
            x=x,
            y=y,
            y_pred=y_pred,
            sample_weight=sample_weight,
            training=training,
        )
        self._task_loss.update_loss(loss, self.losses, y_pred)
        return loss

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does.

        Warns of callbacks that take the rising price of a warm-up for a worse
        model.
        """
        options = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs)
        callbacks = options.arguments.get("callbacks") or []
        callbacks = getattr(callbacks, "callbacks", callbacks)
        callbacks = keras.tree.flatten(callbacks)
        for callback in callbacks:
            if hasattr(callback, "warn_of_monitors"):
                callback.warn_of_monitors(callbacks)
        return super().fit(*args, **kwargs)

    def save(
        self, filepath: str | os.PathLike, overwrite: bool = True, **kwargs: Any
    ) -> None:
        """Save as `keras.Model.save` does, a file whole or not at all.

        Raises:
            ValueError: For a name that ends in `.h5` or `.hdf5`.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"Keras cannot load a {type(self).__name__} from HDF5, its "
                f"legacy format. Received: {str(filepath)!r}. Save it as "
                f"{os.path.splitext(filepath)[0] + '.keras'!r}, or its weights "
                "alone with `model.save_weights('model.weights.h5')`."
            )
        # Keras asks the user, uploads, or fills a folder.
        keeps = not overwrite and os.path.exists(filepath)
        is_remote = "://" in os.fsdecode(filepath)
        if keeps or is_remote or kwargs.get("zipped") is False:
            super().save(filepath, overwrite=overwrite, **kwargs)
            return
        with written_whole(filepath) as path:
            super().save(path, **kwargs)


class _TaskLoss(keras.metrics.Mean):
    """Mean of the loss over images, as Keras's own `loss` is one.

    A file does not hold its state: earlier versions wrote none.
    """

    def update_loss(self, loss: Any, prices: list[Any], outputs: Any) -> None:
        # Keras divides the loss by the number of replicas on TensorFlow, and
        # has no public name for that number.
        one = keras.ops.ones((1, 1))
        share = keras.losses.MeanAbsoluteError()(one, 0 * one)
        task = keras.ops.stop_gradient(loss) / share
        for price in prices:
            price = keras.ops.sum(keras.ops.stop_gradient(price))
            task -= keras.ops.cast(price, task.dtype)
        size = keras.ops.shape(keras.tree.flatten(outputs)[0])[0]
        self.update_state(task, sample_weight=size)

    def save_own_variables(self, store: Any) -> None:
        pass

    def load_own_variables(self, store: Any) -> None:
        pass
