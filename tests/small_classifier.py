"""A classifier on a small backbone, and images for it."""

import keras
import numpy as np

from keras_aib.models import AIBClassifier

NUM_CLASSES = 3


def make_backbone(size=None, channels=3, with_skip=False):
    images = keras.Input((size, size, channels))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same")(images)
    x = keras.layers.BatchNormalization(momentum=0.8, name="normalization")(x)
    x = entered = keras.layers.ReLU(name="entered")(x)
    x = keras.layers.Conv2D(8, 3, padding="same", name="middle")(x)
    if with_skip:
        x = keras.layers.Add()([x, entered])
    x = keras.layers.Conv2D(12, 3, strides=2, padding="same", name="last")(x)
    return keras.Model(images, x, name="backbone")


def make_model(backbone=None, **arguments):
    arguments = {
        "attention_layer": "middle",
        "num_anchors": 5,
        "latent_dim": 6,
        "preprocessor": keras.layers.Rescaling(1 / 255),
        "seed": 0,
        **arguments,
    }
    model = AIBClassifier(backbone or make_backbone(), NUM_CLASSES, **arguments)
    # Scores start flat; a test of maps wants some that differ.
    network = model.attention_block.attention.score_network
    kernel, bias = network.get_weights()
    kernel = np.random.normal(scale=0.5, size=kernel.shape)
    network.set_weights([kernel, bias])
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def make_images(count=6, size=16):
    images = np.random.randint(0, 256, size=(count, size, size, 3))
    return images.astype("uint8"), np.arange(count) % NUM_CLASSES
