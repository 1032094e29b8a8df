"""Crops of mirrored images, pixel by pixel."""

import keras
import numpy as np
import pytest

from keras_aib.data.augmentation import BatchAugmentation
from keras_aib.layers import ReflectPadCrop


def numbered(count=16, height=8, width=8):
    """Images whose every pixel is different."""
    shape = (count, height, width, 3)
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def windows(image, padding, size):
    """All crops of a mirrored image, by NumPy."""
    sides = [(padding, padding)] * 2 + [(0, 0)]
    padded = np.pad(image, sides, mode="reflect")
    for row in range(padded.shape[0] - size[0] + 1):
        for column in range(padded.shape[1] - size[1] + 1):
            yield padded[row : row + size[0], column : column + size[1]]


@pytest.mark.parametrize(
    ("padding", "size"), [(2, (8, 8)), (0, (5, 7)), (3, (9, 4))]
)
def test_every_image_is_some_window_of_its_mirrored_self(padding, size):
    images = numbered()
    layer = ReflectPadCrop(padding, None if size == (8, 8) else size, seed=1)
    crops = keras.ops.convert_to_numpy(layer(images, training=True))
    assert crops.shape == (16, *size, 3)
    assert crops.shape == layer.compute_output_shape(images.shape)
    places = [
        [np.array_equal(crop, w) for w in windows(image, padding, size)]
        for image, crop in zip(images, crops, strict=True)
    ]
    assert all(sum(found) == 1 for found in places)
    assert len({found.index(True) for found in places}) > 3


def test_all_places_occur():
    images = np.repeat(numbered(1, 4, 4), 300, axis=0)
    layer = ReflectPadCrop(1, seed=0)
    crops = keras.ops.convert_to_numpy(layer(images, training=True))
    expected = {w.tobytes() for w in windows(images[0], 1, (4, 4))}
    assert {crop.tobytes() for crop in crops} == expected


def test_outside_training_it_is_the_centre():
    images = numbered(2)
    whole = ReflectPadCrop(4)(images, training=False)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(whole), images)
    middle = ReflectPadCrop(0, (4, 2))(images)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(middle), images[:, 2:6, 3:5]
    )


def test_a_seed_repeats_the_draws_and_a_second_call_differs():
    images = numbered()
    first, second = ReflectPadCrop(2, seed=3), ReflectPadCrop(2, seed=3)
    crops = keras.ops.convert_to_numpy(first(images, training=True))
    np.testing.assert_array_equal(
        crops, keras.ops.convert_to_numpy(second(images, training=True))
    )
    again = keras.ops.convert_to_numpy(first(images, training=True))
    assert not np.array_equal(crops, again)


def test_in_a_model_and_back_from_its_configuration(tmp_path):
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, ReflectPadCrop(1, (6, 6), seed=2)(images))
    assert model.output_shape == (None, 6, 6, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    layer = loaded.layers[-1]
    assert (layer.padding, layer.size, layer.seed) == (1, (6, 6), 2)
    np.testing.assert_array_equal(
        loaded.predict(numbered(3), verbose=0), numbered(3)[:, 1:7, 1:7]
    )


def test_in_the_data_pipeline_the_batch_decides_the_draw():
    augment = BatchAugmentation(ReflectPadCrop(2))
    images = numbered()
    crops = augment(images, (0, 1))
    assert not np.array_equal(crops, augment(images, (0, 2)))
    np.testing.assert_array_equal(crops, augment(images, (0, 1)))


def test_bad_arguments():
    with pytest.raises(ValueError, match="padding=-1"):
        ReflectPadCrop(-1)
    with pytest.raises(ValueError, match="8x8 pixels are too small"):
        ReflectPadCrop(8)(numbered())
    with pytest.raises(ValueError, match=r"size=\(11, 8\)"):
        ReflectPadCrop(1, (11, 8))(numbered())
    with pytest.raises(ValueError, match="a batch of images"):
        ReflectPadCrop(1)(numbered()[0])
