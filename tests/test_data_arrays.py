"""Arrays become batches, or an error that says what is wrong."""

import numpy as np
import pytest
from image_folders import collect
from image_folders import coloured
from image_folders import noisy_images
from PIL import Image

from keras_aib import data

pytestmark = pytest.mark.once


def test_arrays_keep_their_size_and_values():
    images = noisy_images()
    dataset = data.from_arrays(
        images, np.arange(8) % 2, batch_size=3, shuffle=False
    )
    received, labels = collect(dataset)
    np.testing.assert_array_equal(received, images)
    assert received.dtype == np.float32
    assert labels.dtype == np.int32
    assert dataset.class_names == ["0", "1"]
    assert len(dataset) == 3


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_arrays_are_resized_alike_in_every_dtype(dtype):
    images = noisy_images().astype(dtype)
    resized, _ = collect(
        data.from_arrays(
            images, np.arange(8) % 2, image_size=(4, 6), shuffle=False
        )
    )
    assert resized.shape == (8, 4, 6, 3)
    expected = Image.fromarray(noisy_images()[0]).resize(
        (6, 4), Image.Resampling.BILINEAR
    )
    np.testing.assert_allclose(resized[0], np.asarray(expected), atol=1)


@pytest.mark.parametrize("shape", [(8, 8, 8), (8, 8, 8, 1)])
@pytest.mark.parametrize("image_size", [None, (4, 4)])
def test_grey_arrays_are_repeated(shape, image_size):
    grey = noisy_images()[..., 0].reshape(shape)
    received, _ = collect(
        data.from_arrays(
            grey, np.arange(8) % 2, image_size=image_size, shuffle=False
        )
    )
    assert received.shape[-1] == 3
    np.testing.assert_array_equal(received[..., 0], received[..., 2])
    if image_size is None:
        np.testing.assert_array_equal(received[..., 1], grey.reshape(8, 8, 8))


def test_labels_as_keras_datasets_give_them():
    labels = (np.arange(8) % 2).astype("uint8")[:, None]
    dataset = data.from_arrays(noisy_images(), labels, shuffle=False)
    np.testing.assert_array_equal(dataset.labels, np.arange(8) % 2)


def with_bad_value(value):
    images = noisy_images().astype("float32")
    images[[2, 5], 1, 1, 0] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (with_bad_value(np.nan), "2 of 8 images hold NaN.*index 2, 5"),
        (with_bad_value(np.inf), "2 of 8 images hold NaN.*index 2, 5"),
        (with_bad_value(-3.0), "from -3.0 to.*Undo"),
        (noisy_images().astype("int32") + 9, "from .* to 26"),
        (noisy_images() / 255, "Multiply them by 255"),
        (noisy_images()[..., :2], r"shape \(8, 8, 8, 2\)"),
        (np.zeros((8, 8, 8, 4), "uint8"), "Drop an alpha channel"),
        (np.zeros((8, 3, 8, 8), "uint8"), "np.moveaxis"),
        (np.zeros((8, 8), "uint8"), "must be"),
        (np.zeros((8, 0, 8, 3), "uint8"), "no pixels"),
        (np.zeros((7, 8, 8, 3), "uint8"), "7 images and 8 labels"),
        ([coloured(1), coloured(1, 5)], "different shapes"),
    ],
)
def test_bad_images(images, message):
    with pytest.raises(ValueError, match=message):
        data.from_arrays(images, np.arange(8) % 2)


@pytest.mark.parametrize("dtype", ["bool", "complex64", "U3"])
def test_images_of_another_kind(dtype):
    with pytest.raises(TypeError, match=r"dtype"):
        data.from_arrays(noisy_images().astype(dtype), np.arange(8) % 2)


@pytest.mark.parametrize(
    ("labels", "class_names", "error", "message"),
    [
        (np.eye(8), None, ValueError, "one-hot.*argmax"),
        (np.arange(8) / 2, None, TypeError, "dtype float64"),
        (list("abababab"), None, TypeError, "np.unique"),
        (np.arange(8) - 1, None, ValueError, "-1 at index 0"),
        (np.arange(8) % 2, ["a"], ValueError, "at least two classes"),
        (np.zeros(8, int), None, ValueError, "at least two classes"),
        (np.arange(8), ["a", "b"], ValueError, "below 2.*7 at index 7"),
        (np.arange(8) % 2, ["a", "a"], ValueError, "differ"),
        (np.zeros((8, 1, 1), int), None, ValueError, "np.ravel"),
    ],
)
def test_bad_labels(labels, class_names, error, message):
    with pytest.raises(error, match=message):
        data.from_arrays(noisy_images(), labels, class_names=class_names)


def test_bad_image_size_of_arrays():
    with pytest.raises(ValueError, match="positive integer or two"):
        data.from_arrays(noisy_images(), np.arange(8) % 2, image_size=(8, -1))
