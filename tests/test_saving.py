"""Presets and files: whole, checked, and portable between backends."""

import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from small_classifier import NUM_CLASSES
from small_classifier import make_backbone
from small_classifier import make_images
from small_classifier import make_model

from keras_aib.models import AIBClassifier
from keras_aib.models.presets import register_preset

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "small"
    model = make_model(make_backbone(with_skip=True))
    images, labels = make_images()
    model.fit(images, labels, verbose=0)
    model.save_to_preset(folder)
    return folder, images, model.predict(images, verbose=0)


def copy_of(preset, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in preset[0].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_preset_round_trip(preset):
    folder, images, expected = preset
    model = AIBClassifier.from_preset(folder)
    np.testing.assert_allclose(
        model.predict(images, verbose=0), expected, atol=1e-6
    )
    assert {f.name for f in folder.iterdir()} == {
        "config.json",
        "metadata.json",
        "model.weights.h5",
    }


def test_preset_with_other_classes_keeps_all_but_the_last_layer(preset):
    folder, images, _ = preset
    original = AIBClassifier.from_preset(folder)
    renewed = AIBClassifier.from_preset(folder, num_classes=7)
    assert renewed.predict(images, verbose=0).shape == (len(images), 7)
    for name, maps in original.attention(images).items():
        np.testing.assert_allclose(
            renewed.attention(images)[name], maps, atol=1e-6
        )
    for mine, theirs in (
        (renewed.bottleneck, original.bottleneck),
        (renewed.decoder.layers[0], original.decoder.layers[0]),
    ):
        np.testing.assert_array_equal(
            mine.get_weights()[0], theirs.get_weights()[0]
        )
    renewed.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    renewed.fit(images, np.arange(len(images)) % 7, verbose=0)


def test_preset_without_weights(preset):
    folder, images, expected = preset
    model = AIBClassifier.from_preset(folder, load_weights=False)
    difference = np.abs(model.predict(images, verbose=0) - expected)
    assert difference.max() > 1e-3


def test_preset_by_name(preset):
    register_preset("aib_small.test", preset[0])
    assert isinstance(
        AIBClassifier.from_preset("aib_small.test"), AIBClassifier
    )


def test_unknown_preset(tmp_path):
    with pytest.raises(ValueError, match="Unknown preset 'aib_nothing'"):
        AIBClassifier.from_preset("aib_nothing")
    with pytest.raises(ValueError, match=r"has no metadata\.json"):
        AIBClassifier.from_preset(tmp_path)


def test_preset_of_a_newer_version(preset, tmp_path):
    folder = copy_of(preset, tmp_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata.update(format=99, keras_aib_version="9.0")
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match=r"written by keras_aib 9\.0"):
        AIBClassifier.from_preset(folder)


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_damaged_weights(preset, tmp_path, damage):
    folder = copy_of(preset, tmp_path)
    weights = folder / "model.weights.h5"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        weights.unlink()
    with pytest.raises(ValueError, match=r"model\.weights\.h5"):
        AIBClassifier.from_preset(folder)
    AIBClassifier.from_preset(folder, load_weights=False)


def test_damaged_configuration(preset, tmp_path):
    folder = copy_of(preset, tmp_path)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json"):
        AIBClassifier.from_preset(folder)


def test_a_folder_that_is_no_preset_is_not_replaced(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(ValueError, match="is no preset"):
        make_model().save_to_preset(tmp_path)
    assert (tmp_path / "photo.jpg").read_bytes() == b"precious"


@pytest.fixture
def full_disk():
    """Every file is cut off after 8 KiB, as on a disk that fills up."""
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, previous[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, previous)
    signal.signal(signal.SIGXFSZ, handler)


def test_the_old_file_survives_a_full_disk(tmp_path, full_disk):
    model = make_model()
    path = tmp_path / "model.keras"
    model.save(path)
    before = path.read_bytes()
    assert len(before) > 8192
    full_disk()
    with pytest.raises(OSError, match="File too large"):
        model.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_the_old_preset_survives_a_full_disk(tmp_path, monkeypatch):
    model = make_model()
    folder = tmp_path / "preset"
    model.save_to_preset(folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    nothing_free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: nothing_free)
    with pytest.raises(OSError, match="Make room, or choose another disk"):
        model.save_to_preset(folder)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["preset"]


def test_a_preset_keeps_what_else_its_folder_holds(tmp_path):
    folder = tmp_path / "preset"
    make_model().save_to_preset(folder)
    weights = folder / "model.weights.h5"
    weights.rename(tmp_path / "weights.h5")
    weights.symlink_to("../weights.h5")
    (folder / "notes").mkdir()
    foreign = [
        folder / name
        for name in ("README.md", ".gitignore", "notes/a.txt", "full.h5")
    ]
    for path in foreign:
        path.write_text(path.name)
    (folder / "latest").symlink_to("notes")
    for half_precision in (False, True):
        model = make_model()
        model.save_to_preset(folder, half_precision)
        assert [path.read_text() for path in foreign] == [
            path.name for path in foreign
        ]
        assert len(list(folder.iterdir())) == 8
        assert os.readlink(folder / "latest") == "notes"
        assert os.readlink(weights) == "../weights.h5"
        np.testing.assert_allclose(
            AIBClassifier.from_preset(folder).get_weights()[0],
            model.get_weights()[0],
            rtol=1e-3,
        )


def test_what_is_no_preset_of_ours_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = make_model()
    for name, text in (
        ("metadata.json", '{"keras_hub_version": "0.32.0"}'),
        ("metadata.json", "[]"),
        ("metadata.json", "torn"),
        (".git", "gitdir: elsewhere"),
    ):
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / name).write_text(text)
        with pytest.raises(ValueError, match="no preset of keras_aib"):
            model.save_to_preset(folder)
        assert (folder / name).read_text() == text
        (folder / name).unlink()
        folder.rmdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        model.save_to_preset("file")
    for remote in ("gs://bucket/preset", "hf://user/preset"):
        with pytest.raises(ValueError, match="no path on this machine"):
            model.save_to_preset(remote)
    assert os.listdir(tmp_path) == ["file"]


def test_a_model_goes_where_keras_would_put_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    received = []
    monkeypatch.setattr(
        keras.Model, "save", lambda self, path, **kwargs: received.append(path)
    )
    model = make_model()
    model.save("gs://bucket/m.keras")
    model.save("hf://user/model")
    model.save("folder", zipped=False)
    assert received == ["gs://bucket/m.keras", "hf://user/model", "folder"]
    # pathlib makes `gs:/` of it.
    with pytest.raises(ValueError, match="as text, as Keras does"):
        model.save(Path("gs://bucket/m.keras"))
    assert os.listdir(tmp_path) == []


def test_a_model_is_saved_through_a_link(tmp_path):
    model = make_model()
    (tmp_path / "disk").mkdir()
    link = tmp_path / "m.keras"
    link.symlink_to("disk/m.keras")
    for _ in range(2):
        model.save(link)
        assert os.readlink(link) == "disk/m.keras"
        assert os.listdir(tmp_path / "disk") == ["m.keras"]
    keras.saving.load_model(tmp_path / "disk" / "m.keras", compile=False)


RELOAD = """
import sys
import keras
import numpy as np
import keras_aib

path, images, output = sys.argv[1:]
images = np.load(images)
model = keras.models.load_model(path, compile=False)
np.save(output, model.predict(images, verbose=0))
model.compile(
    "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
history = model.fit(images, np.arange(len(images)) % 3, verbose=0).history
assert np.isfinite(history["loss"]).all()
assert history["kl_bits"][0] > 0
"""


@pytest.mark.slow
def test_saved_here_loads_and_trains_on_every_installed_backend(tmp_path):
    images, labels = make_images()
    model = make_model(make_backbone(with_skip=True))
    model.fit(images, labels, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    np.save(tmp_path / "images.npy", images)
    expected = model.predict(images, verbose=0)
    assert expected.shape == (len(images), NUM_CLASSES)
    backends = [
        backend
        for backend in ("tensorflow", "jax", "torch")
        if importlib.util.find_spec(backend) is not None
    ]
    assert keras.backend.backend() in backends
    for backend in backends:
        output = tmp_path / f"{backend}.npy"
        run = subprocess.run(
            [
                *(sys.executable, "-c", RELOAD),
                *(path, tmp_path / "images.npy", output),
            ],
            capture_output=True,
            text=True,
            env={**os.environ, "KERAS_BACKEND": backend},
        )
        assert run.returncode == 0, f"{backend}: {run.stderr[-2000:]}"
        np.testing.assert_allclose(
            np.load(output), expected, atol=1e-5, err_msg=backend
        )
