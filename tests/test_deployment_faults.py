"""What the deployment examples refuse, in one line."""

import json
import os
import re
import shutil

import pytest
from deployed import RUNTIMES
from deployed import assert_one_line
from deployed import every_runtime
from deployed import metadata_path
from deployed import run
from PIL import Image

pytestmark = pytest.mark.deployment
pytest_plugins = ["deployment_fixtures"]


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def edit_metadata(model, edit):
    path = metadata_path(model)
    metadata = json.loads(path.read_text("utf-8"))
    edit(metadata)
    path.write_text(json.dumps(metadata))


def resize_input(metadata):
    metadata["input"]["shape"] = [None, 64, 64, 3]


def drop_class(metadata):
    metadata["class_names"] = metadata["class_names"][:-1]


def drop_attention(metadata):
    del metadata["outputs"]["attention"]


def rename_format(metadata):
    metadata["format"] = "openvino"


def main_file(model):
    return model / "saved_model.pb" if model.is_dir() else model


def weights_file(model):
    shard = model / "variables" / "variables.data-00000-of-00001"
    return shard if model.is_dir() else model


# What is done to model and photo, and what the line then says.
BAD_INPUTS = {
    "no model": (lambda m, p: m.rename(f"{m}.gone"), "There is no .*export"),
    "no json": (lambda m, p: metadata_path(m).unlink(), "json is missing"),
    "damaged json": (lambda m, p: truncate(metadata_path(m)), "is damaged"),
    "json is a list": (
        lambda m, p: metadata_path(m).write_text("[]"),
        "does not describe",
    ),
    "other size": (
        lambda m, p: edit_metadata(m, resize_input),
        "do not belong together",
    ),
    "other classes": (
        lambda m, p: edit_metadata(m, drop_class),
        "do not belong together",
    ),
    "no attention": (
        lambda m, p: edit_metadata(m, drop_attention),
        'outputs=\\("probabilities", "attention"\\)',
    ),
    "other format": (
        lambda m, p: edit_metadata(m, rename_format),
        "is of the format openvino. Export it",
    ),
    "truncated model": (
        lambda m, p: truncate(main_file(m)),
        "cannot load .*export it again",
    ),
    "truncated weights": (
        lambda m, p: truncate(weights_file(m)),
        "cannot load .*export it again",
    ),
    "empty model": (
        lambda m, p: main_file(m).write_bytes(b""),
        "cannot load .*export it again",
    ),
    "no photo": (lambda m, p: p.unlink(), "There is no photo"),
    "photo is text": (lambda m, p: p.write_text("no"), "is no photo"),
    "photo is a folder": (
        lambda m, p: (p.unlink(), p.mkdir()),
        "cannot be read",
    ),
    "truncated photo": (lambda m, p: truncate(p), "cannot be read.*truncated"),
    "photo is huge": (
        lambda m, p: Image.new("1", (10_001, 10_000)).save(p),
        "Make it smaller",
    ),
}


@every_runtime
@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input(case, runtime, exported, photos, tmp_path):
    _, script, name = RUNTIMES[runtime]
    source, model = exported / name, tmp_path / name
    if source.is_dir():
        shutil.copytree(source, model)
    else:
        shutil.copy(source, model)
        shutil.copy(metadata_path(source), metadata_path(model))
    photo = tmp_path / "photo.png"
    shutil.copy(photos / "cat.png", photo)
    damage, message = BAD_INPUTS[case]
    damage(model, photo)
    result = run(runtime, model, photo, cwd=tmp_path)
    assert_one_line(result, script, message)
    assert not (tmp_path / "overlay.png").exists()


@every_runtime
def test_file_of_another_runtime(runtime, exported, photos, tmp_path):
    script = RUNTIMES[runtime][1]
    for other, (_, other_script, name) in RUNTIMES.items():
        if other != runtime:
            result = run(
                runtime, exported / name, photos / "cat.png", cwd=tmp_path
            )
            assert_one_line(
                result, script, f"format {other}.*{re.escape(other_script)}"
            )


@pytest.mark.parametrize("runtime", ["litert", "onnx"])
def test_file_with_another_name(runtime, exported, photos, tmp_path):
    """The JSON is right, what stands beside it is something else."""
    _, script, name = RUNTIMES[runtime]
    other = "model.onnx" if runtime == "litert" else "model.tflite"
    shutil.copy(exported / other, tmp_path / name)
    shutil.copy(metadata_path(exported / name), tmp_path / f"{name}.json")
    result = run(runtime, tmp_path / name, photos / "cat.png", cwd=tmp_path)
    assert_one_line(result, script, "cannot load")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("overlay.jpg", "does not end in .png"),
        ("photo.png", "is the photo itself"),
        ("photo.png/overlay.png", "cannot be written"),
        ("folder.png", "cannot be written"),
    ],
)
def test_bad_output(output, message, exported, photos, tmp_path):
    photo = tmp_path / "photo.png"
    shutil.copy(photos / "small.png", photo)
    before = photo.read_bytes()
    (tmp_path / "folder.png").mkdir()
    result = run(
        *("litert", exported / "model.tflite", photo),
        *("--output", tmp_path / output),
        cwd=tmp_path,
    )
    assert_one_line(result, "run_litert.py", message)
    assert photo.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["folder.png", "photo.png"]


def test_disk_that_fills_up_leaves_the_old_picture(exported, photos, tmp_path):
    output = tmp_path / "overlay.png"
    output.write_bytes(b"the old picture")
    result = run(
        *("litert", exported / "model.tflite", photos / "cat.png"),
        cwd=tmp_path,
        before=("bash", "-c", 'ulimit -f 8 && exec "$@"', "bash"),
    )
    assert_one_line(result, "run_litert.py", "cannot be written")
    assert os.listdir(tmp_path) == ["overlay.png"]
    assert output.read_bytes() == b"the old picture"
