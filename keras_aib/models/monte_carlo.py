"""Sampled predictions that run the part before the attention once."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_aib.models.wiring import Connections
from keras_aib.models.wiring import Wiring


class MonteCarlo:
    """Splits a classifier in front of its attention and repeats the rest.

    Args:
        images: Input of the classifier.
        wiring: How the classifier was wired.
        connections: The tensors of that wiring.
    """

    def __init__(
        self,
        images: Any,
        wiring: Wiring,
        connections: Connections,
    ) -> None:
        mean = connections.maps["mean"]
        self.latent_dim = wiring.bottleneck.latent_dim
        names = [
            wiring.free_name(name) for name in ("score_noise", "latent_noise")
        ]
        score_noise = keras.Input(batch_shape=mean.shape, name=names[0])
        latent_noise = keras.Input((self.latent_dim,), name=names[1])
        try:
            tail = keras.Model(connections.attended, connections.pooled)
        except ValueError:
            # The rest also needs tensors from before the attention, such as a
            # skip connection around it: repeat everything.
            start = wiring.images()
            pooled = wiring.connect(start, score_noise).pooled
            features = images
        else:
            features = connections.features
            start = keras.Input(
                batch_shape=features.shape, dtype=features.dtype
            )
            pooled = tail(wiring.attend(start, score_noise)[0])
        self.runs_trunk_once = features is not images
        self.trunk = keras.Model(images, [features, mean])
        latent = wiring.bottleneck(pooled, noise=latent_noise)
        self.rest = keras.Model(
            [start, score_noise, latent_noise], wiring.decoder(latent)
        )

    def sample(
        self, images: np.ndarray, num_samples: int, seed: Any
    ) -> np.ndarray:
        """Predictions `[num_samples, images, ...]` for one batch."""
        return np.stack(list(self._draw(images, num_samples, seed)))

    def _draw(
        self, images: np.ndarray, num_samples: int, seed: Any
    ) -> Iterator[np.ndarray]:
        features, mean = self.trunk.predict_on_batch(images)
        # On the device once, not once per sample.
        features = keras.ops.convert_to_tensor(features)
        random = np.random.default_rng(seed)
        for _ in range(num_samples):
            noises = [
                keras.ops.convert_to_tensor(
                    random.standard_normal(shape).astype("float32")
                )
                for shape in (mean.shape, (len(images), self.latent_dim))
            ]
            yield self.rest.predict_on_batch([features, *noises])
