"""Runs whose images, or whose start, have come, gone or moved since."""

import os
import shutil

import keras
import numpy as np
import pytest
from command_runs import run as command
from PIL import Image
from training_runs import check_same_end
from training_runs import make_material
from training_runs import tiny_config

from keras_aib.runs import RunConfig
from keras_aib.runs import TrainingRun
from keras_aib.runs.evaluation import open_images
from keras_aib.runs.model_source import ModelSource
from keras_aib.runs.run_images import RunImages

pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore:tensorboard is not installed"),
]
CLASSES = ("ant", "bee")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one epoch, with all that it began with beside it."""
    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("trained")
    make_material(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "_pictures", lambda *arguments: [])
        config = tiny_config(folder, epochs=1)
        TrainingRun.start(folder / "run", config).train(verbose=0)
        yield folder


@pytest.fixture
def copy(trained, tmp_path):
    """The same in a folder that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    config = RunConfig.read(folder / "run")
    RunConfig(
        **{
            **vars(config),
            "data": str(folder / "images"),
            "model": str(folder / "preset"),
        }
    ).write(folder / "run")
    return folder


def photo(path, value):
    Image.new("RGB", (16, 16), (value, 0, 0)).save(path)


def content(dataset):
    return sorted(
        images[index].tobytes()
        for images, _ in dataset
        for index in (range(len(images)))
    )


def held_out(folder, subset="validation", **options):
    source = ModelSource(folder / "run")
    return content(open_images(source, subset=subset, **options))


def test_a_run_writes_down_its_images(trained):
    images = RunImages.read(trained / "run")
    names = {
        image.name: image.label for image in images.training + images.validation
    }
    assert names == {
        f"{name}/{i}.png": label
        for label, name in enumerate(CLASSES)
        for i in range(6)
    }
    assert (len(images.training), len(images.validation)) == (10, 2)
    assert images.others == 0


def add(images):
    for name in CLASSES:
        photo(images / name / "new.png", 3)
        photo(images / name / "00.png", 4)
    return "4 images have come"


def remove_one_held_out(images):
    # The first of a class, so that a split drawn anew would differ.
    for image in RunImages.read(images.parent / "run").validation[:1]:
        (images / image.name).unlink()
    return "1 of the 2 images"


def remove_some_trained_on(images):
    for image in RunImages.read(images.parent / "run").training[::2]:
        (images / image.name).unlink()


def renumber(images):
    """As a camera does: the names stay, each with another's content."""
    for name in CLASSES:
        files = sorted((images / name).iterdir())
        contents = [file.read_bytes() for file in files]
        for file, other in zip(files, contents[1:] + contents[:1], strict=True):
            file.write_bytes(other)


@pytest.mark.parametrize("change", [add, remove_one_held_out])
def test_what_is_evaluated_was_held_out(copy, change):
    before, trained_on = held_out(copy), held_out(copy, subset="training")
    message = change(copy / "images")
    with pytest.warns(UserWarning, match=message):
        now = held_out(copy)
    assert now and set(now) <= set(before)
    assert not set(now) & set(trained_on)


def test_images_that_were_trained_on_are_not_needed_to_evaluate(copy):
    before = held_out(copy)
    remove_some_trained_on(copy / "images")
    assert held_out(copy) == before


@pytest.mark.parametrize(
    "change", [renumber, shutil.rmtree, lambda images: images.rename("away")]
)
def test_without_an_image_left_the_remedy_is_named(copy, change, monkeypatch):
    monkeypatch.chdir(copy)
    change(copy / "images")
    result = command("evaluate", "run", code=1)
    assert "None of the 2 images" in result.output
    assert "--data" in result.output
    result = command("train", "--resume", "run", "--epochs", 2, code=1)
    assert "of the 12 images that the run run began with" in result.output
    assert "--data DIR" in result.output


@pytest.mark.parametrize("limit", [None, 1])
def test_other_images_are_taken_but_for_what_was_trained_on(
    copy, tmp_path, limit
):
    trained_on = held_out(copy, subset="training")
    others = tmp_path / "others"
    for name in CLASSES:
        (others / name).mkdir(parents=True)
        photo(others / name / "a.png", 3)
        # The same photo under another name.
        for i in (0, 1):
            shutil.copy(
                copy / "images" / name / f"{i}.png", others / name / f"x{i}.png"
            )
    source = ModelSource(copy / "run" / "last.keras")
    overlap = sum(
        path.read_bytes() in [p.read_bytes() for p in others.rglob("*.png")]
        for path in [
            copy / "images" / image.name
            for image in RunImages.read(copy / "run").training
        ]
    )
    with pytest.warns(UserWarning, match=f"{overlap} of 6 images are left out"):
        found = content(open_images(source, str(others), limit=limit))
    assert len(found) == (limit or 6 - overlap)
    assert not set(found) & set(trained_on)


def test_only_images_that_were_trained_on_are_refused(copy):
    for image in RunImages.read(copy / "run").validation:
        (copy / "images" / image.name).unlink()
    result = command(
        "evaluate", copy / "run", "--data", copy / "images", code=1
    )
    assert "trained on all 10 images" in result.output


def test_a_moved_folder_is_evaluated_on_what_was_held_out(copy):
    before = held_out(copy)
    (copy / "images").rename(copy / "moved")
    source = ModelSource(copy / "run")
    with pytest.warns(UserWarning, match="10 of 12 images are left out"):
        assert content(open_images(source, str(copy / "moved"))) == before


def test_a_limited_run_holds_out_no_more_than_it_did(trained, tmp_path):
    config = tiny_config(trained, epochs=1, limit=1)
    TrainingRun.start(tmp_path / "run", config).train(verbose=0)
    assert RunImages.read(tmp_path / "run").others == 10
    assert len(held_out(tmp_path)) == 1


def test_a_run_of_an_earlier_release_says_that_it_cannot_tell(copy):
    before = held_out(copy)
    (copy / "run" / "images.json").unlink()
    assert held_out(copy) == before
    add(copy / "images")
    with pytest.warns(UserWarning, match="trained on 10 images, and a split"):
        held_out(copy)


def test_damaged_lists_are_refused(copy):
    for text in ("{", "[]", '{"format": 1}', '{"format": 9}'):
        (copy / "run" / "images.json").write_text(text)
        with pytest.raises(ValueError, match="Restore it from a copy"):
            held_out(copy)
    (copy / "run" / "images.json").unlink()
    (copy / "run" / "model.json").write_text("{")
    with pytest.raises(ValueError, match="Restore it from a copy"):
        TrainingRun.resume(copy / "run", epochs=2).train(verbose=0)


@pytest.fixture(scope="module")
def two_epochs(trained):
    shutil.copytree(trained / "run", trained / "longer")
    TrainingRun.resume(trained / "longer", epochs=2).train(verbose=0)
    return trained / "longer"


def start_is_gone(folder):
    shutil.rmtree(folder / "preset")


def photos_were_moved(folder):
    (folder / "images").rename(folder / "moved")


def photos_have_come(folder):
    add(folder / "images")


def all_of_it(folder):
    start_is_gone(folder)
    photos_have_come(folder)
    photos_were_moved(folder)


@pytest.mark.filterwarnings("ignore:4 images have come")
@pytest.mark.parametrize(
    "change", [start_is_gone, photos_were_moved, photos_have_come, all_of_it]
)
def test_a_run_goes_on_as_if_nothing_had_happened(copy, two_epochs, change):
    change(copy)
    moved = copy / "moved"
    options = ("--data", moved) if moved.exists() else ()
    command("train", "--resume", copy / "run", "--epochs", 2, *options)
    check_same_end(copy / "run", two_epochs)
    assert RunConfig.read(copy / "run").data == str(
        moved if options else copy / "images"
    )


def test_a_run_of_an_earlier_release_goes_on_without_its_start(
    copy, two_epochs
):
    for name in ("images.json", "model.json"):
        (copy / "run" / name).unlink()
    start_is_gone(copy)
    TrainingRun.resume(copy / "run", epochs=2).train(verbose=0)
    check_same_end(copy / "run", two_epochs)


def test_a_run_killed_in_its_first_epoch_needs_no_start(
    trained, tmp_path, monkeypatch
):
    shutil.copytree(trained / "preset", tmp_path / "start")
    config = tiny_config(trained, epochs=1, model=str(tmp_path / "start"))
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            TrainingRun.start(tmp_path / "run", config).train(verbose=0)
    shutil.rmtree(tmp_path / "start")
    TrainingRun.resume(tmp_path / "run").train(verbose=0)
    check_same_end(tmp_path / "run", trained / "run")


def test_other_photos_are_not_taken_for_the_moved_ones(copy):
    photos_were_moved(copy)
    photo(copy / "moved" / "bee" / "3.png", 9)
    result = command(
        *("train", "--resume", copy / "run", "--data", copy / "moved"), code=1
    )
    assert "1 of the 12 images" in result.output
    assert "bee/3.png" in result.output


def test_what_numpy_and_pathlib_give_is_written_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = RunConfig(
        data=tmp_path / "images",
        model=tmp_path / "preset",
        epochs=np.int64(2),
        batch_size=np.int32(4),
        learning_rate=np.float32(0.5),
        image_size=np.array([12, 16]),
        beta=np.float64(0.25),
        limit=np.uint8(3),
        seed=np.int64(1),
        class_names=np.array(["ant", "bee"]),
        num_images=np.int64(7),
    )
    config.write(tmp_path / "run")
    assert RunConfig.read(tmp_path / "run") == config
    assert config.image_size == (12, 16)
    assert config.data == str(tmp_path / "images")
    assert RunConfig(data="", model="", image_size=8).image_size == (8, 8)
    for options in ({"seed": -1}, {"seed": 0.5}, {"num_anchors": 2.0}):
        with pytest.raises(ValueError, match="must be an integer"):
            RunConfig(data="", model="", **options)
    with pytest.raises(ValueError, match="`beta` must be"):
        RunConfig(data="", model="", beta="much")


@pytest.mark.parametrize("output", ["gs://bucket/run", "hf://user/run"])
def test_a_run_is_not_written_elsewhere(trained, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    result = command(
        *("train", "--data", trained / "images", "--output", output),
        *("--model", trained / "preset"),
        code=1,
    )
    assert "no path on this machine" in result.output
    assert os.listdir(tmp_path) == []
