"""Small images and image folders that several test files read."""

import keras
import numpy as np
from PIL import Image

from keras_aib import data


def coloured(value, height=12, width=16):
    return np.full((height, width, 3), value, "uint8")


def make_folder(directory):
    """Three classes of 6, 5 and 4 images; every image has its own grey."""
    for c, (name, count) in enumerate([("ant", 6), ("bee", 5), ("cow", 4)]):
        (directory / name).mkdir()
        for i in range(count):
            pixels = coloured(80 * c + 10 * i)
            Image.fromarray(pixels).save(directory / name / f"{i}.png")
    return directory


def small(directory, **kwargs):
    kwargs = {"image_size": (8, 8), "batch_size": 4, "workers": 1, **kwargs}
    return data.from_folder(directory, **kwargs)


def truncate(path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def collect(dataset):
    batches = list(dataset)
    return (
        np.concatenate([images for images, _ in batches]),
        np.concatenate([labels for _, labels in batches]),
    )


def small_model():
    return keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


def compiled_model():
    model = small_model()
    model.compile(
        keras.optimizers.Adam(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def noisy_images(count=8):
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (count, 8, 8, 3), "uint8")
