"""Whatever writes leaves what others wrote beside it and inside it alone."""

import json
import os
import shutil

import keras
import numpy as np
import pytest
from command_runs import run as command
from PIL import Image
from training_runs import tiny_config
from training_runs import tiny_model

from keras_aib import attribution
from keras_aib import data
from keras_aib import visualization
from keras_aib.callbacks import AttentionPictures
from keras_aib.export import export
from keras_aib.runs import TrainingRun
from keras_aib.zoo.download import download
from keras_aib.zoo.recipes import results

pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore:tensorboard is not installed"),
]
FOREIGN = {
    "notes.txt": b"lr 2e-4 was best",
    ".hidden-notes": b"\x00\xff",
    ".0123abcd-log.csv": b"mine",
    "epoch_0001.png.txt": b"mine",
    "README.md": b"# ours",
    "labels.txt": b"cat\ndog\n",
    "sub/folder/x.bin": b"\x01" * 9,
    "assets.extra/warmup": b"requests",
    "2/saved_model.pb": b"the next version",
}


def put_foreign(folder):
    """Files of every kind; what a link points to is one of them."""
    for name, content in FOREIGN.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "to_file").symlink_to("notes.txt")
    (folder / "to_folder").symlink_to("sub")
    (folder / "broken").symlink_to("nowhere")


def check_foreign(folder):
    for name, content in FOREIGN.items():
        assert (folder / name).read_bytes() == content, name
    for name, target in (
        ("to_file", "notes.txt"),
        ("to_folder", "sub"),
        ("broken", "nowhere"),
    ):
        assert os.readlink(folder / name) == target


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def trained(material):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "_pictures", lambda *arguments: [])
        config = tiny_config(material, epochs=1)
        TrainingRun.start(material / "trained", config).train(verbose=0)
    return material / "trained"


IMAGES = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), "uint8")


def save(model, folder, **_):
    model.save(folder / "m.keras")


def save_to_preset(model, folder, **_):
    model.save_to_preset(folder / "preset")


def save_statistics(model, folder, **_):
    statistics = attribution.estimate_statistics(model, ["stem"], IMAGES)
    statistics.save(folder / "statistics.npz")


def plot(model, folder, **_):
    maps = model.attention(IMAGES)["mean"]
    visualization.plot_attention(IMAGES, maps, path=folder / "a.png")
    visualization.plot_explanations(IMAGES, {"x": maps}, folder / "b.pdf")


def fit_with_pictures(model, folder, name="pictures", **_):
    model.compile(loss="sparse_categorical_crossentropy")
    pictures = AttentionPictures(IMAGES, folder / name)
    model.fit(IMAGES, np.arange(4) % 2, verbose=0, callbacks=[pictures])


def train(material, folder, **_):
    shutil.rmtree(folder / "run", ignore_errors=True)
    command(
        *("train", "--data", material / "images", "--epochs", 1),
        *("--model", material / "preset", "--output", folder / "run"),
    )


def resume(trained, folder, **_):
    if not (folder / "run").exists():
        shutil.copytree(trained, folder / "run")
    command("train", "--resume", folder / "run", "--epochs", 2)


def evaluate(trained, folder, **_):
    if not (folder / "run").exists():
        shutil.copytree(trained, folder / "run")
    command("evaluate", folder / "run")


def explain(trained, material, folder, **_):
    command(
        *("explain", trained, "--images", material / "images"),
        *("--output", folder / "maps"),
    )


def export_file(model, folder, **_):
    export(model, folder / "m.onnx", overwrite=True)


def export_folder(model, folder, **_):
    export(model, folder / "saved", format="tf_saved_model", overwrite=True)


def add_results(folder, **_):
    results.write_rows([{"run": 1}], folder / "results.csv", ["run"])


def fetch(folder, **_):
    source = folder.parent / "source.bin"
    source.write_bytes(b"weights")
    digest = "9bd8d5ae2a8e92ff46b9fb4f4b0f8a4d"
    with pytest.raises(ValueError, match="not the expected file"):
        download(source.as_uri(), folder / "w.bin", digest * 2)


def load_cifar10(folder, **_):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(folder))
        patch.setattr(keras.datasets.cifar10, "load_data", lambda: 1 / 0)
        patch.setattr(data.cifar10, "_fetch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            data.load_cifar10()


@pytest.mark.parametrize(
    ("write", "own_folder"),
    [
        (save, None),
        (save_to_preset, "preset"),
        (save_statistics, None),
        (plot, None),
        (fit_with_pictures, "pictures"),
        (train, None),
        (resume, "run"),
        (evaluate, "run"),
        (explain, "maps"),
        (export_file, None),
        # Four processes of TensorFlow.
        pytest.param(export_folder, "saved", marks=pytest.mark.large),
        (add_results, None),
        (fetch, None),
        (load_cifar10, "datasets/keras_aib"),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_what_others_wrote_stays(
    material, trained, model, tmp_path, write, own_folder
):
    folder = tmp_path / "folder"
    folder.mkdir()
    put_foreign(folder)
    arguments = {
        "material": material,
        "trained": trained,
        "model": model,
        "folder": folder,
    }
    write(**arguments)
    check_foreign(folder)
    if own_folder is not None:
        put_foreign(folder / own_folder)
    # Again, over what it wrote itself.
    write(**arguments)
    check_foreign(folder)
    if own_folder is not None:
        check_foreign(folder / own_folder)


def test_a_photo_is_not_taken_for_an_earlier_picture(model, tmp_path):
    photo = tmp_path / "epoch_0001.png"
    Image.fromarray(IMAGES[0]).save(photo)
    before = photo.read_bytes()
    with pytest.raises(FileExistsError, match="Choose another `directory`"):
        fit_with_pictures(model, tmp_path, "")
    assert photo.read_bytes() == before


@pytest.mark.parametrize("directory", ["gs://bucket/pictures", "s3://x"])
def test_pictures_do_not_go_elsewhere(directory):
    with pytest.raises(ValueError, match="no path on this machine"):
        AttentionPictures(IMAGES, directory)


@pytest.mark.filterwarnings("ignore:Names of class folders that are no UTF-8")
def test_names_whose_bytes_are_no_text_cost_no_epoch(tmp_path):
    names = [os.fsdecode(name) for name in (b"caf\xe9", b"a\x80\xffb", b"$x_$")]
    for index, name in enumerate(names):
        (tmp_path / "drinks" / name).mkdir(parents=True)
        for i in range(3):
            photo = tmp_path / "drinks" / name / f"{i}\udce9.png"
            pixels = np.full((16, 16, 3), 20 * index + i, "uint8")
            with open(photo, "wb") as file:
                Image.fromarray(pixels).save(file, "PNG")
    tiny_model(num_classes=3).save_to_preset(tmp_path / "preset")
    config = tiny_config(tmp_path, data=str(tmp_path / "drinks"), epochs=1)
    TrainingRun.start(tmp_path / "run", config).train(verbose=0)
    assert (tmp_path / "run" / "pictures" / "epoch_0001.png").is_file()
    TrainingRun.resume(tmp_path / "run", epochs=2).train(verbose=0)
    figures = json.loads(command("evaluate", tmp_path / "run", "--json").stdout)
    assert figures["num_images"] == 3
