"""`keras-aib explain` beside a user's files, whatever these are called."""

import os
import re

import keras
import numpy as np
import pytest
from command_runs import run
from PIL import Image
from training_runs import tiny_model

from keras_aib.runs.overlay_folder import OverlayFolder
from keras_aib.visualization.page import Explanation
from keras_aib.visualization.page import ExplanationIndex

pytestmark = pytest.mark.once

LONG = "猫" * 80 + ".png"
NAMES = (
    *("a.jpg", "a.png", "a.jpg.png", "b/a.jpg", "#1 100%.png", "q?'\".png"),
    *(LONG, "猫" * 79 + "x" + ".jpeg", os.fsdecode(b"caf\xe9.png")),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "aib.keras"
    keras.utils.set_random_seed(0)
    tiny_model().save(path)
    return path


def put(folder, *names):
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((20, 30, 3), 20 * index, "uint8")
        form = "JPEG" if path.suffix in (".jpg", ".jpeg") else "PNG"
        Image.fromarray(pixels).save(path, form)
    return folder


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def explain(model, photos, output, *more, code=0):
    arguments = ("--images", photos, "--output", output)
    return run("explain", model, *arguments, *more, code=code)


def test_every_name_that_a_file_can_have(model, tmp_path):
    photos, output = put(tmp_path / "photos", *NAMES), tmp_path / "maps"
    (photos / os.fsdecode(b"torn\xe9.png")).write_bytes(b"")
    result = explain(model, photos, output)
    assert f"{len(NAMES)} images" in result.output
    assert r"Not readable: torn\udce9.png: Pillow cannot" in result.stderr
    overlays = [x for x in (output / "overlays").rglob("*") if x.is_file()]
    assert len(overlays) == len(NAMES)
    for name in ("a.jpg.png", "a.png.png", "a.jpg.png.png", "b/a.jpg.png"):
        assert output / "overlays" / name in overlays
    page = (output / "index.html").read_text(encoding="utf-8")
    for name in (LONG, r"caf\udce9.png", "#1 100%.png", "q?&#x27;&quot;.png"):
        assert f"<td>{name}</td>" in page
    # An earlier call's are replaced.
    explain(model, photos, output)
    again = [x for x in (output / "overlays").rglob("*") if x.is_file()]
    assert sorted(again) == sorted(overlays)


def test_what_is_left_out_is_said_once(model, tmp_path):
    photos = put(tmp_path / "photos", "1.png", "2.png")
    for name in ("notes.txt", "raw.xyz", "torn.png"):
        (photos / name).write_bytes(b"")
    wide = Image.new("L", (16384, 12288))
    wide.save(photos / "phone_200MP.jpg")
    output = tmp_path / "maps"
    result = explain(model, photos, output, "--method", "iba")
    assert "3 images:" in result.output
    page = (output / "index.html").read_text()
    for said in ("left out: .txt (1), .xyz (1)", "not in the statistics"):
        assert result.stderr.count(said) == 1
        assert page.count(said) == 1
    assert "torn.png: " in page


def test_long_names_stay_apart(tmp_path):
    folder = OverlayFolder(tmp_path)
    names = ["x" * 251 + ".png", "x" * 250 + ".jpg", "é" * 125 + ".png"]
    paths = [folder.find(f"b/{name}") for name in (*names, names[0])]
    assert len(set(paths)) == 3
    for path in paths:
        folder.write(f"b/{path.name}", np.zeros((2, 2, 3), "uint8"))
        assert len(os.fsencode(path.name)) <= 255


@pytest.mark.parametrize(
    ("foreign", "more"),
    [
        ("overlays/1.png.png", ()),
        ("index.html", ()),
        ("statistics.npz", ("--method", "iba")),
    ],
)
def test_what_others_wrote_stays(model, tmp_path, foreign, more):
    photos = put(tmp_path / "photos", "1.png", "2.png")
    output = tmp_path / "maps"
    mine = put(output, "overlays/holiday.png") / foreign
    mine.write_bytes(b"\x89PNG mine")
    before = contents(tmp_path)
    result = explain(model, photos, output, *more, code=1)
    assert f"{mine} would be replaced" in result.output
    assert contents(tmp_path) == before
    mine.unlink()
    explain(model, photos, output, *more)
    after = contents(tmp_path)
    assert before.items() - after.items() == {
        (mine.relative_to(tmp_path), b"\x89PNG mine")
    }


def test_places_that_are_no_output(model, tmp_path):
    photos = put(tmp_path / "maps" / "overlays", "1.png")
    result = explain(model, photos, tmp_path / "maps", code=1)
    assert "Choose another folder" in result.output
    (tmp_path / "file").write_text("mine")
    result = explain(model, photos, tmp_path / "file", code=1)
    assert "is a file" in result.output
    result = explain(model, photos, "gs://bucket/maps", code=1)
    assert "no path on this machine" in result.output
    assert {x.name for x in tmp_path.rglob("*") if x.is_file()} == {
        *("1.png", "file")
    }


def test_the_page_lists_labels_and_warnings(tmp_path):
    index = ExplanationIndex("Labels")
    photo = np.zeros((4, 4, 3), "uint8")
    others = [("<dog>", 0.75)]
    index.add(Explanation("1.png", photo, photo, "cat", 0.9, "", others))
    index.write(tmp_path / "index.html", warned=["few < images"])
    page = (tmp_path / "index.html").read_text()
    assert "<td>cat<br>&lt;dog&gt;</td>" in page
    assert re.findall(r"[\d.]+%", page) == ["90.0%", "75.0%"]
    assert "<h2>Warnings</h2>\n<ul><li>few &lt; images</li></ul>" in page
    assert ExplanationIndex.may_write(tmp_path / "index.html")
