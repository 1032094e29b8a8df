"""A model that shows the rates of its bottlenecks while it trains."""

import os
from collections import Counter
from typing import Any

import keras

from keras_aib.files import written_whole
from keras_aib.layers.rated_layer import RatedLayer


@keras.saving.register_keras_serializable(package="keras_aib")
class BottleneckModel(keras.Model):
    """A functional model whose bottlenecks report to the progress bar.

    Build it as `keras.Model(inputs, outputs)` around any layers of this
    package. `fit` and `evaluate` then show, and keep in the history:

    - `kl_bits`: rate of the latent, bits per image;
    - `attention_mean`: mean score;
    - `attention_spread`: standard deviation of the score over the positions
      of an image; near 0 the map is flat and shows nothing;
    - `anchors_used`: share of the anchors that some score of the batch took;
      near `1 / num_anchors` all but one are dead;
    - `anchor_distance`: mean distance of a score to its anchor.

    Several layers of a kind prefix the figure with their name.

    `save` writes to a temporary name first, so that a full disk does not cost
    the previous file.

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

    def _rated_layers(self) -> list[RatedLayer]:
        return [
            layer
            for layer in self._flatten_layers()
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
        return super().compute_loss(
            x=x,
            y=y,
            y_pred=y_pred,
            sample_weight=sample_weight,
            training=training,
        )

    def save(
        self, filepath: str | os.PathLike, overwrite: bool = True, **kwargs: Any
    ) -> None:
        """Save as `keras.Model.save` does, a file whole or not at all."""
        # Keras asks the user, uploads, or fills a folder.
        keeps = not overwrite and os.path.exists(filepath)
        is_remote = "://" in os.fsdecode(filepath)
        if keeps or is_remote or kwargs.get("zipped") is False:
            super().save(filepath, overwrite=overwrite, **kwargs)
            return
        with written_whole(filepath) as path:
            super().save(path, **kwargs)
