"""What stands beside an export, and what an interruption leaves."""

import json
import os
from pathlib import Path

import pytest

from keras_aib.export import target
from keras_aib.export.conversion import FORMATS

pytestmark = pytest.mark.once

NAMES = {
    "tf_saved_model": "model",
    "litert": "model.tflite",
    "onnx": "model.onnx",
    "openvino": "model.xml",
}


def write_export(form, path, content):
    """Files as an export of `form` writes them."""
    if form == "tf_saved_model":
        (path / "variables").mkdir(parents=True)
        for name in (
            "fingerprint.pb",
            "saved_model.pb",
            "variables/variables.index",
            "variables/variables.data-00000-of-00001",
        ):
            (path / name).write_text(content)
    for file in FORMATS[form].files(path):
        file.write_text(content)
    metadata = {"keras_aib": "1", "content": content}
    FORMATS[form].metadata_path(path).write_text(json.dumps(metadata))


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def publish(form, path, content):
    target.check_target(FORMATS[form], path, overwrite=True)
    with target.hidden_folder(path) as folder:
        write_export(form, folder / path.name, content)
        target.publish(FORMATS[form], folder / path.name, path)


@pytest.fixture(params=NAMES)
def form(request):
    return request.param


def test_only_what_an_export_wrote_is_replaced(form, tmp_path):
    path = tmp_path / NAMES[form]
    write_export(form, path, "old")
    foreign = [tmp_path / "labels.txt", tmp_path / "model.csv"]
    if form == "tf_saved_model":
        shard = path / "variables" / "variables.data-00001-of-00002"
        shard.write_text("old")
        foreign += [
            path / "labels.txt",
            path / "model.tflite",
            path / "assets.extra" / "tf_serving_warmup_requests",
            path / "2" / "saved_model.pb",
            path / "variables" / "notes.txt",
        ]
    for file in foreign:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("precious")
    publish(form, path, "new")
    values = contents(tmp_path)
    kept = {str(file.relative_to(tmp_path)) for file in foreign}
    assert {name for name in values if values[name] == b"precious"} == kept
    # No shard of the old variables is left.
    assert b"old" not in values.values()
    assert len(values) == len(kept) + len(FORMATS[form].files(path))


@pytest.mark.parametrize("step", range(5))
def test_an_interruption_leaves_the_old_export(
    form, step, tmp_path, monkeypatch
):
    path = tmp_path / NAMES[form]
    write_export(form, path, "old")
    (tmp_path / "labels.txt").write_text("precious")
    before = contents(tmp_path)
    replace, calls = os.replace, []

    def interrupted(source, destination):
        calls.append(source)
        if len(calls) == step + 1:
            raise KeyboardInterrupt
        replace(source, destination)

    monkeypatch.setattr(os, "replace", interrupted)
    if step >= len(FORMATS[form].files(path)):
        publish(form, path, "new")
        assert contents(tmp_path) != before
        return
    with pytest.raises(KeyboardInterrupt):
        publish(form, path, "new")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["model.bin", "model.xml.json"])
def test_what_nobody_named_is_not_replaced(name, tmp_path):
    (tmp_path / name).write_text('{"my": "weights"}')
    with pytest.raises(FileExistsError, match="No export has written"):
        publish("openvino", tmp_path / "model.xml", "new")
    assert contents(tmp_path) == {name: b'{"my": "weights"}'}


def test_a_link_stays_a_link(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    write_export("onnx", store / "version1.onnx", "old")
    link = tmp_path / "model.onnx"
    link.symlink_to(store / "version1.onnx")
    Path(f"{link}.json").symlink_to(store / "version1.onnx.json")
    publish("onnx", link, "new")
    assert link.is_symlink()
    assert (store / "version1.onnx").read_text() == "new"
    assert "new" in (store / "version1.onnx.json").read_text()


def test_an_empty_folder_may_be_used(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    target.check_target(FORMATS["tf_saved_model"], folder, overwrite=False)
    publish("tf_saved_model", folder, "new")
    assert (folder / "saved_model.pb").read_text() == "new"


@pytest.mark.parametrize("form", NAMES)
def test_other_things_at_the_path(form, tmp_path):
    path = tmp_path / NAMES[form]
    if form == "tf_saved_model":
        path.write_text("precious")
    else:
        path.mkdir()
        (path / "photo").write_text("precious")
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match="hoose another path"):
        publish(form, path, "new")
    assert contents(tmp_path) == before
