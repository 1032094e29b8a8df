"""Small models of which it is known where they look."""

import keras
import numpy as np

from keras_aib import attribution

SIZE = 8
ROWS, COLUMNS = slice(1, 4), slice(4, 7)
PATCH = np.zeros((SIZE, SIZE), bool)
PATCH[ROWS, COLUMNS] = True


def pixels(count: int, seed: int = 0, size: int = SIZE) -> np.ndarray:
    """Random images with values around 0."""
    random = np.random.default_rng(seed)
    return random.normal(size=(count, size, size, 3)).astype("float32")


def patch_model(activation: str | None = None) -> keras.Model:
    """Says which of two classes by the mean of the patch alone."""
    images = keras.Input((SIZE, SIZE, 3))
    features = keras.layers.Conv2D(
        4, 1, kernel_initializer=keras.initializers.Constant(0.5), name="conv"
    )(images)
    seen = keras.layers.Cropping2D(((1, 4), (4, 1)), name="patch")(features)
    pooled = keras.layers.GlobalAveragePooling2D(name="pooling")(seen)
    head = keras.layers.Dense(
        2,
        kernel_initializer=lambda shape, dtype=None: np.tile(
            np.array([[3.0, -3.0]], "float32"), (4, 1)
        ),
        activation=activation,
        name="head",
    )
    return keras.Model(images, head(pooled))


def residual_model() -> keras.Model:
    """Two blocks with a path around each; `inside` is in one of them."""
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="stem")(images)
    inside = keras.layers.Conv2D(
        4, 3, padding="same", activation="relu", name="inside"
    )(x)
    x = keras.layers.Add(name="block_1")([x, inside])
    y = keras.layers.Conv2D(4, 3, padding="same", name="branch")(x)
    x = keras.layers.Add(name="block_2")([x, y])
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    return keras.Model(images, keras.layers.Dense(3, name="head")(x))


def statistics_of(model, layers, count=1000, size=SIZE):
    """Statistics on enough images to be quiet about them."""
    return attribution.estimate_statistics(
        model, layers, pixels(count, seed=1, size=size), 250, verbose=0
    )
