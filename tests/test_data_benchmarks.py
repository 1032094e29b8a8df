"""The benchmarks' published files are read as their authors mean them."""

import re
import sys

import numpy as np
import pytest
from image_folders import collect
from published_layouts import asymmetric
from published_layouts import asymmetric_images
from published_layouts import write_cifar10
from published_layouts import write_cifar100
from published_layouts import write_cub200
from published_layouts import write_stl10
from published_layouts import write_svhn
from scipy import io

from keras_aib import data

pytestmark = pytest.mark.once

WRITERS = {
    "cifar10": (write_cifar10, "cifar-10-batches-bin"),
    "cifar100": (write_cifar100, "cifar-100-binary"),
    "svhn_cropped": (write_svhn, "."),
    "stl10": (write_stl10, "stl10_binary"),
    "caltech_birds2011": (write_cub200, "CUB_200_2011"),
}


def published(name, directory, **kwargs):
    kwargs = {"shuffle": False, "workers": 1, **kwargs}
    return data.from_published(name, directory, **kwargs)


def test_cifar10(tmp_path):
    write_cifar10(tmp_path)
    train = published("cifar10", tmp_path)
    images, labels = collect(train)
    np.testing.assert_array_equal(images, asymmetric_images(10, 32))
    np.testing.assert_array_equal(labels, np.arange(10))
    assert train.class_names == list(data.CIFAR10_CLASS_NAMES)
    images, labels = collect(published("cifar10", tmp_path, split="test"))
    np.testing.assert_array_equal(images, asymmetric_images(2, 32, first=10))
    assert labels.tolist() == [0, 1]


def test_cifar100_takes_the_fine_labels(tmp_path):
    write_cifar100(tmp_path)
    test = published("cifar100", tmp_path, split="test")
    images, labels = collect(test)
    np.testing.assert_array_equal(images, asymmetric_images(3, 32, first=3))
    assert labels.tolist() == [97, 98, 99]
    assert (test.num_classes, test.class_names[99]) == (100, "fine99")


@pytest.mark.parametrize("split", ["train", "test", "extra"])
def test_svhn_is_upright_and_its_ten_is_a_zero(tmp_path, split):
    write_svhn(tmp_path, labels=(1, 10, 9))
    dataset = published("svhn_cropped", tmp_path, split=split)
    images, labels = collect(dataset)
    np.testing.assert_array_equal(images, asymmetric_images(3, 32))
    assert [dataset.class_names[label] for label in labels] == ["1", "0", "9"]


def test_stl10_is_upright_and_counts_from_zero(tmp_path):
    write_stl10(tmp_path, labels=(1, 10))
    dataset = published("stl10", tmp_path)
    images, labels = collect(dataset)
    np.testing.assert_array_equal(images, asymmetric_images(2, 96))
    assert [dataset.class_names[label] for label in labels] == [
        "name0",
        "name9",
    ]


@pytest.mark.parametrize("name", WRITERS)
def test_the_folder_above_will_do(tmp_path, name):
    write, inner = WRITERS[name]
    write(tmp_path / inner)
    size = {"image_size": (4, 6)}
    images, _ = collect(published(name, tmp_path, **size))
    assert images.shape[1:] == (4, 6, 3)


def test_the_published_size_is_kept_or_resized(tmp_path):
    write_stl10(tmp_path)
    assert published("stl10", tmp_path)[0][0].shape == (2, 96, 96, 3)
    image = published("stl10", tmp_path, image_size=(48, 96))[0][0][0]
    assert image.shape == (48, 96, 3)
    assert np.all(np.diff(image[:, 5, 1]) > 0)
    np.testing.assert_array_equal(image[0, :, 0], asymmetric(0, 96)[0, :, 0])


def test_cifar10_without_a_folder_is_downloaded(monkeypatch):
    train = asymmetric_images(4, 32), np.arange(4)
    test = asymmetric_images(2, 32, first=4), np.arange(2)
    monkeypatch.setattr(
        "keras_aib.data.published.load_cifar10", lambda: (train, test)
    )
    images, labels = collect(published("cifar10", None, split="test"))
    np.testing.assert_array_equal(images, test[0])
    np.testing.assert_array_equal(labels, test[1])
    assert published("cifar10", None).num_images == 4


MISSING = [
    ("cifar10", "data_batch_3.bin", "cifar-10-binary.tar.gz"),
    ("cifar100", "train.bin", "cifar-100-binary.tar.gz"),
    ("cifar100", "fine_label_names.txt", "cifar-100-binary.tar.gz"),
    ("svhn_cropped", "train_32x32.mat", "ufldl.stanford.edu/housenumbers"),
    ("stl10", "train_X.bin", "stl10_binary.tar.gz"),
    ("stl10", "train_y.bin", "stl10_binary.tar.gz"),
    ("stl10", "class_names.txt", "stl10_binary.tar.gz"),
    ("caltech_birds2011", "images", "CUB_200_2011.tgz"),
    ("caltech_birds2011", "images.txt", "CUB_200_2011.tgz"),
    ("caltech_birds2011", "classes.txt", "CUB_200_2011.tgz"),
    ("caltech_birds2011", "train_test_split.txt", "CUB_200_2011.tgz"),
    ("caltech_birds2011", "image_class_labels.txt", "CUB_200_2011.tgz"),
    ("caltech_birds2011", "bounding_boxes.txt", "CUB_200_2011.tgz"),
]


@pytest.mark.parametrize(("name", "file", "url"), MISSING)
def test_a_missing_file_is_named_with_its_archive(tmp_path, name, file, url):
    folder = WRITERS[name][0](tmp_path / "data")
    (folder / file).rename(tmp_path / "elsewhere")
    message = rf"{re.escape(str(folder / file))} is missing.*{re.escape(url)}"
    with pytest.raises(ValueError, match=message):
        read_any(name, folder)


def read_any(name, folder):
    crop_to_box = name == "caltech_birds2011"
    return published(name, folder, image_size=(8, 8), crop_to_box=crop_to_box)


@pytest.mark.parametrize("file", ["cifar10", "cifar100", "svhn_cropped"])
def test_a_missing_folder(tmp_path, file):
    with pytest.raises(ValueError, match=r"There is no folder.*Get http"):
        published(file, tmp_path / "nowhere")


def test_an_archive_that_is_not_unpacked(tmp_path):
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"")
    with pytest.raises(ValueError, match=r"is a file\. Unpack it"):
        published("cifar10", archive)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cifar10", "data_batch_1"),
        ("cifar10", "cifar-10-batches-py/data_batch_1"),
        ("cifar100", "train"),
        ("cifar100", "cifar-100-python/train"),
    ],
)
def test_the_python_version_is_not_unpickled(tmp_path, name, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ValueError, match=r"pickle.*-binary\.tar\.gz"):
        published(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cifar10", "data_batch_2.bin"),
        ("cifar100", "train.bin"),
        ("svhn_cropped", "train_32x32.mat"),
        ("stl10", "train_X.bin"),
    ],
)
@pytest.mark.parametrize("length", [0, 700])
def test_a_truncated_file(tmp_path, name, file, length):
    path = WRITERS[name][0](tmp_path) / file
    path.write_bytes(path.read_bytes()[:length])
    message = rf"{re.escape(str(path))} is not as.*publishes it.*Get http"
    with pytest.raises(ValueError, match=message):
        published(name, tmp_path)


def test_stl10_with_fewer_images_than_labels(tmp_path):
    write_stl10(tmp_path)
    (tmp_path / "train_y.bin").write_bytes(bytes([1, 2, 3]))
    with pytest.raises(ValueError, match=r"2 images, and train_y\.bin has 3"):
        published("stl10", tmp_path)


def overwrite(path, position, value):
    content = bytearray(path.read_bytes())
    content[position] = value
    path.write_bytes(content)


def test_labels_out_of_range(tmp_path):
    cifar10 = write_cifar10(tmp_path / "a")
    overwrite(cifar10 / "data_batch_2.bin", 3073, 10)
    with pytest.raises(ValueError, match=r"_2\.bin.*0 to 9.*10 of image 1"):
        published("cifar10", cifar10)
    cifar100 = write_cifar100(tmp_path / "b")
    overwrite(cifar100 / "train.bin", 1, 100)
    with pytest.raises(ValueError, match=r"0 to 99.*100 of image 0"):
        published("cifar100", cifar100)
    svhn = write_svhn(tmp_path / "c", labels=(1, 0))
    with pytest.raises(ValueError, match=r"1 to 10.*0 of image 1"):
        published("svhn_cropped", svhn)
    stl10 = write_stl10(tmp_path / "d", labels=(0, 11))
    with pytest.raises(ValueError, match="1 to 10, and 2 of 2 are not"):
        published("stl10", stl10)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"Z": np.zeros(3)}, r"holds \['Z'\] instead of X and y"),
        (
            {"X": np.zeros((32, 32, 3, 2)), "y": np.ones((2, 1))},
            "float64.*instead of uint8",
        ),
        (
            {"X": np.zeros((32, 32, 3, 2), "uint8"), "y": np.ones((3, 1))},
            "for 3 labels",
        ),
    ],
)
def test_another_matlab_file(tmp_path, arrays, message):
    io.savemat(tmp_path / "train_32x32.mat", arrays)
    with pytest.raises(ValueError, match=message):
        published("svhn_cropped", tmp_path)


def test_class_names_of_another_count(tmp_path):
    write_stl10(tmp_path)
    (tmp_path / "class_names.txt").write_text("cat\ndog\n")
    with pytest.raises(ValueError, match="2 names instead of 10"):
        published("stl10", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar11"}, r"must be one of \['cifar10'"),
        ({"name": "stl10"}, "needs `directory`.*stl10_binary.tar.gz"),
        ({"name": "caltech_birds2011"}, "needs `directory`"),
        (
            {"name": "cifar10", "split": "validation"},
            r"one of \('train', 'test'\)",
        ),
        (
            {"name": "stl10", "split": "unlabelled"},
            r"one of \('train', 'test'\)",
        ),
        ({"name": "cifar10", "crop_to_box": True}, "caltech_birds2011"),
        ({"name": "cub200_2011", "directory": "."}, "differ in size"),
        (
            {"name": "cub200_2011", "directory": ".", "image_size": 0},
            "positive integer or two",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.from_published(**arguments)


def test_without_scipy_it_says_what_to_install(tmp_path, monkeypatch):
    write_svhn(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match=r"SVHN.*pip install scipy"):
        published("svhn_cropped", tmp_path)
