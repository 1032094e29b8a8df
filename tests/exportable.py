"""A small model whose attention and statistics are worth comparing."""

import importlib.util

import keras
import numpy as np

from keras_aib.models import AIBClassifier

IMAGE_SIZE = 16
NUM_CLASSES = 3
CLASS_NAMES = ("ant", "bee", "cat")
# In the environment for JAX there is no TensorFlow to write the others.
HAS_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None
PATHS = {"onnx": "model.onnx", "openvino": "model.xml"}
if HAS_TENSORFLOW:
    PATHS |= {"tf_saved_model": "model", "litert": "model.tflite"}


def make_model(channels_first=False, side=IMAGE_SIZE, **options):
    """Convolution, statistics, ReLU6, attention, skip connection."""
    shape = (3, side, side) if channels_first else (side, side, 3)
    options = {"num_anchors": 5, "latent_dim": 4, **options}
    data_format = "channels_first" if channels_first else "channels_last"
    axis = 1 if channels_first else -1
    settings = {"padding": "same", "data_format": data_format}
    pixels = keras.Input(shape)
    x = keras.layers.Conv2D(8, 3, strides=2, **settings)(pixels)
    x = keras.layers.BatchNormalization(axis=axis)(x)
    x = skip = keras.layers.ReLU(6.0, name="attended")(x)
    x = keras.layers.Conv2D(8, 3, **settings)(x)
    x = keras.layers.BatchNormalization(axis=axis)(x)
    x = keras.layers.Add()([x, skip])
    model = AIBClassifier(
        keras.Model(pixels, x),
        NUM_CLASSES,
        attention_layer="attended",
        preprocessor=keras.layers.Rescaling(1 / 127.5, offset=-1.0),
        data_format=data_format,
        seed=0,
        **options,
    )
    spread(model)
    return model


def spread(model):
    """Weights as after training: no zeros, statistics of their own."""
    random = np.random.default_rng(0)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(
                random.normal(0, 0.3, layer.moving_mean.shape)
            )
            layer.moving_variance.assign(
                random.uniform(0.5, 1.5, layer.moving_variance.shape)
            )
    for weight in model.attention_block.attention.trainable_weights:
        weight.assign(random.normal(0, 0.3, weight.shape))


def make_images(count=6, side=IMAGE_SIZE):
    random = np.random.default_rng(1)
    return random.integers(0, 256, (count, side, side, 3)).astype("float32")
