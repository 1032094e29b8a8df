"""Keras layers augment NumPy batches, reproducibly."""

import keras
import numpy as np
import pytest
from image_folders import collect
from image_folders import noisy_images

from keras_aib import data


def augmented(augmentation, count=8, **kwargs):
    return data.from_arrays(
        noisy_images(count),
        np.arange(count) % 2,
        batch_size=4,
        shuffle=False,
        augmentation=augmentation,
        **kwargs,
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.RandomFlip(),
        lambda: [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomTranslation(0.2, 0.2),
            keras.layers.Rescaling(1.0),
        ],
        lambda: keras.Sequential(
            [
                keras.layers.RandomTranslation(0.2, 0.2),
                keras.layers.RandomBrightness(0.2),
            ]
        ),
    ],
    ids=["layer", "list", "sequential"],
)
def test_augmentation_is_reproducible_and_new_each_pass(make):
    first = augmented(make())
    second = augmented(make())
    images, labels = collect(first)
    assert images.dtype == np.float32
    assert not np.array_equal(images, noisy_images())
    assert not np.array_equal(
        images[:4], collect(augmented(make(), seed=1))[0][:4]
    )
    # Neither the order of access nor what was drawn before matters.
    np.testing.assert_array_equal(second[1][0], images[4:])
    np.testing.assert_array_equal(second[0][0], images[:4])
    np.testing.assert_array_equal(labels, np.arange(8) % 2)
    first.on_epoch_end()
    assert not np.array_equal(collect(first)[0], images)


def test_flip_flips_and_nothing_else():
    images, _ = collect(augmented(keras.layers.RandomFlip("horizontal"), 32))
    plain = noisy_images(32)
    flipped = [
        np.array_equal(image, original[:, ::-1])
        for image, original in zip(images, plain, strict=True)
    ]
    kept = [
        np.array_equal(image, original)
        for image, original in zip(images, plain, strict=True)
    ]
    assert all(np.logical_xor(flipped, kept))
    assert any(flipped)
    assert any(kept)


def test_augmentation_takes_the_last_short_batch_and_channels_first():
    keras.config.set_image_data_format("channels_first")
    layer = keras.layers.RandomFlip("horizontal")
    images, _ = collect(augmented(layer, 6))
    assert images.shape == (6, 3, 8, 8)
    original = np.moveaxis(noisy_images(6), -1, 1)
    for image, plain in zip(images, original, strict=True):
        assert np.array_equal(image, plain) or np.array_equal(
            image, plain[..., ::-1]
        )


def test_augmentation_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    images, _ = collect(augmented(keras.layers.RandomFlip()))
    assert images.dtype == np.float32


@pytest.mark.parametrize("augmentation", [lambda x: x, ["flip"], 3])
def test_augmentation_must_be_layers(augmentation):
    with pytest.raises(TypeError, match="must be a Keras layer"):
        augmented(augmentation)


def test_augmentation_must_return_images():
    dataset = augmented(keras.layers.Flatten())
    with pytest.raises(ValueError, match=r"returned \(4, 192\)"):
        dataset[0]
