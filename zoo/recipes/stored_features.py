"""Outputs of a frozen trunk, computed once and kept on disk.

On a CPU the frozen half of a network is most of the cost of fine-tuning, and
without augmentation it gives the same features in every epoch.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from keras_aib.utils.files import keras_home
from keras_aib.utils.files import written_whole
from keras_aib.zoo.pretrained import load_backbone
from keras_aib.zoo.pretrained import preprocessor
from keras_aib.zoo.recipes.variants import split_backbone

BACKBONE = "efficientnet_lite0.imagenet"
TRAINED = ("block6", "block7", "top")


class StoredFeatures:
    """EfficientNet-Lite0 cut at a level, with a cache for what comes before.

    Args:
        image_size: Height and width that images are resized to, in pixels.
        cut: Level or layer after which the backbone is cut; everything up to
            there is frozen, and so are further layers whose name does not
            start with one of `TRAINED`.

    Attributes:
        backbone: The whole backbone, whose layers both halves share.
        trunk: Model from pixels 0..255, of any size, to features.
    """

    def __init__(self, image_size: int, cut: str = "P4") -> None:
        self.image_size = image_size
        self.cut = cut
        self.backbone = load_backbone(BACKBONE, image_size)
        trunk, self._tail = split_backbone(self.backbone, cut)
        pixels = keras.Input((None, None, 3), name="pixels")
        resized = keras.layers.Resizing(
            image_size, image_size, interpolation="bicubic"
        )(pixels)
        clipped = keras.ops.clip(resized, 0.0, 255.0)
        self.trunk = keras.Model(pixels, trunk(preprocessor(BACKBONE)(clipped)))
        self._pretrained = self._tail.get_weights()

    def new_tail(self) -> keras.Model:
        """What follows the cut, with its pretrained weights again."""
        self._tail.set_weights(self._pretrained)
        for layer in self._tail.layers:
            layer.trainable = layer.name.startswith(TRAINED)
        return self._tail

    def compute(
        self, key: str, make_images: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """Features of images, from the cache if they are there.

        Args:
            key: Names the images; the same key must mean the same images.
            make_images: Called for the images if they are not in the cache.
        """
        name = f"{key}-{self.image_size}-{self.cut}-{keras.config.backend()}"
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        path = _cache_folder() / f"{digest}.npy"
        if path.is_file():
            return np.load(path, allow_pickle=False)
        features = self.trunk.predict(make_images(), batch_size=64, verbose=0)
        with written_whole(path) as temporary:
            np.save(temporary, features)
        return features

    def compute_splits(
        self, dataset: str, splits: dict[str, tuple[np.ndarray, np.ndarray]]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Features and labels of named splits of a dataset."""
        stored = {}
        for name, (images, labels) in splits.items():
            make = functools.partial(np.asarray, images)
            key = f"{dataset}-{name}-{len(labels)}"
            stored[name] = self.compute(key, make), labels
        return stored


def _cache_folder() -> Path:
    return keras_home() / "keras_aib" / "features"
