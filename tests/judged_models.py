"""Models whose answer to every image is known by hand."""

import keras
import numpy as np


def linear_model(weights, bias=0.0, softmax=False):
    """Logits 0 and the weighted sum of the pixels `[H, W, C]`, plus a bias."""
    weights = np.asarray(weights, "float32")
    model = keras.Sequential(
        [
            keras.Input(weights.shape),
            keras.layers.Flatten(),
            keras.layers.Dense(
                2, activation="softmax" if softmax else None, name="logits"
            ),
        ]
    )
    kernel = np.stack([np.zeros(weights.size), weights.ravel()], axis=1)
    model.get_layer("logits").set_weights([kernel, np.array([0.0, bias])])
    return model


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, "float64")))
