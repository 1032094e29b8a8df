"""The fast gradient sign attack, written once for three backends."""

from typing import Any

import keras
import numpy as np

from keras_aib.models.trainable_state import frozen_layers
from keras_aib.models.trainable_state import restore_frozen_layers


class _Perturbation(keras.layers.Layer):
    """Adds a trainable change to a batch of images."""

    def build(self, input_shape: Any) -> None:
        self.change = self.add_weight(
            shape=input_shape, initializer="zeros", name="change"
        )

    def call(self, images: Any) -> Any:
        return images + self.change


class _CrossEntropyOnly(keras.Model):
    """Leaves the prices of a bottleneck out of the loss."""

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        return keras.ops.sum(
            keras.losses.sparse_categorical_crossentropy(
                y, y_pred, from_logits=True
            )
        )


def input_gradients(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int = 50,
) -> np.ndarray:
    """Gradient of the cross-entropy with respect to the pixels.

    A step of plain gradient descent on a change of the images moves it by the
    gradient, on every backend, compiled as any other step.

    Args:
        model: From images to logits; it is not changed.
        images: `[N, H, W, C]`; `batch_size` must divide N.
        labels: Integers `[N]`.
        batch_size: Images at once.

    Returns:
        float32, the shape of `images`.

    Raises:
        ValueError: If `batch_size` does not divide the number of images.
    """
    if len(images) % batch_size:
        raise ValueError(
            f"`batch_size` must divide the number of images. Received: "
            f"{len(images)} images, batch_size={batch_size}"
        )
    inputs = keras.Input(batch_shape=(batch_size, *images.shape[1:]))
    perturbation = _Perturbation(name="perturbation")
    frozen = frozen_layers(model)
    model.trainable = False
    try:
        outputs = model(perturbation(inputs), training=False)
        # TensorFlow takes no name that starts with an underscore.
        attack = _CrossEntropyOnly(inputs, outputs, name="attack")
        attack.compile(keras.optimizers.SGD(1.0), jit_compile=False)
        gradients = []
        zeros = np.zeros((batch_size, *images.shape[1:]), "float32")
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            perturbation.set_weights([zeros])
            attack.train_on_batch(images[part].astype("float32"), labels[part])
            gradients.append(-perturbation.get_weights()[0])
    finally:
        model.trainable = True
        restore_frozen_layers(model, frozen)
    return np.concatenate(gradients)


def attack_images(
    images: np.ndarray, gradients: np.ndarray, epsilon: float
) -> np.ndarray:
    """Images moved by `epsilon` pixel values along the gradient's sign.

    Args:
        images: Pixels 0..255.
        gradients: From `input_gradients`.
        epsilon: Size of the change, in pixel values.
    """
    return np.clip(images + epsilon * np.sign(gradients), 0.0, 255.0)
