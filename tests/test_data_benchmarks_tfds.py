"""The benchmarks by their names in TensorFlow Datasets."""

import numpy as np
import pytest
from image_folders import collect
from tiny_birds import bird
from tiny_birds import prepare_birds

from keras_aib import data


@pytest.mark.parametrize(
    ("name", "num_classes"),
    [("cifar10", 10), ("cifar100", 100), ("svhn_cropped", 10), ("stl10", 10)],
)
def test_the_same_name_is_known_to_tfds(name, num_classes):
    assert name in data.PUBLISHED_NAMES
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=3):
        dataset = data.from_tfds(name, image_size=(8, 8), batch_size=3)
        images, labels = dataset[0]
    assert images.shape == (3, 8, 8, 3)
    assert dataset.num_classes == num_classes
    assert dataset.unreadable == []
    assert labels.min() >= 0


@pytest.fixture(scope="module")
def birds(tmp_path_factory):
    directory = tmp_path_factory.mktemp("birds")
    prepare_birds(directory, {"train": 3})
    return directory


def read(birds, **kwargs):
    return data.from_tfds(
        "tiny_birds",
        data_dir=birds,
        **{"shuffle": False, "batch_size": 3, **kwargs},
    )


def test_birds_are_cropped_to_their_box(birds):
    dataset = read(birds, image_size=(6, 8), crop_to_box=True)
    images, labels = collect(dataset)
    expected = np.stack([bird(label)[2:8, 4:12] for label in labels])
    np.testing.assert_array_equal(images, expected)
    assert sorted(labels) == [0, 1, 2]
    assert dataset.num_classes == 200


def test_birds_are_whole_without_crop(birds):
    images, labels = collect(read(birds, image_size=(12, 20)))
    expected = np.stack([bird(label) for label in labels])
    np.testing.assert_array_equal(images, expected)


def test_a_dataset_without_boxes_is_not_cropped():
    tfds = pytest.importorskip("tensorflow_datasets")
    message = r"one bounding box.*cifar10.* has \[\] among \['id', 'image'"
    with (
        tfds.testing.mock_data(num_examples=3),
        pytest.raises(ValueError, match=message),
    ):
        data.from_tfds("cifar10", crop_to_box=True)
