"""Nothing breaks the page of examples/browser: bad input gives a message."""

import http.client
import io
import json
import shutil
from pathlib import Path

import pytest
from browser_page import FOLDER
from browser_page import check_message
from browser_page import choose
from browser_page import drop
from browser_page import explain
from browser_page import serving
from browser_page import start
from browser_page import visiting
from PIL import Image

pytestmark = pytest.mark.deployment
pytest_plugins = ["browser_page_fixtures"]


def encoded(file_format, size=(300, 200), mode="RGB"):
    content = io.BytesIO()
    Image.new(mode, size).save(content, file_format)
    return content.getvalue()


UNREADABLE = "cannot be read as a photograph"
BAD_FILES = {
    "text.png": (lambda: b"These are words.", UNREADABLE),
    "empty.png": (lambda: b"", UNREADABLE),
    "report.pdf": (lambda: encoded("PDF"), UNREADABLE),
    "drawing.svg": (
        lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        UNREADABLE,
    ),
    "cut.jpg": (lambda: encoded("JPEG")[:-100], UNREADABLE),
    "cut.png": (lambda: encoded("PNG")[:-100], UNREADABLE),
    "damaged.png": (
        lambda: encoded("PNG").replace(b"IDAT", b"IDAT!", 1),
        UNREADABLE,
    ),
    "huge.png": (lambda: encoded("PNG", (9000, 8000), "1"), "too large"),
    "too_wide.png": (lambda: encoded("PNG", (20_000, 10), "1"), "too large"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_gives_a_message(page, photo, tmp_path, name):
    content, message = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(content())
    explain(page, photo)
    choose(page, path)
    check_message(page, message)
    assert name in page.inner_text("#status")
    assert explain(page, photo)["probabilities"]
    assert page.is_visible("#result")


def test_a_drop_of_anything_else_gives_a_message(page, photo, tmp_path):
    explain(page, photo)
    drop(page, text="some words")
    check_message(page, "text or a link")
    drop(page)
    check_message(page, "no file")
    drop(page, photo, photo)
    check_message(page, "2 files")
    drop(page, tmp_path)
    check_message(page, UNREADABLE)
    # The browser's own complaint about the folder.
    page.faults.remove("Failed to load resource: net::ERR_FILE_NOT_FOUND")
    drop(page, photo)
    assert page.evaluate("window.explanation.name") == photo.name


def rename_input(model_path):
    import onnx

    model = onnx.load(model_path)
    model.graph.input[0].name = "pixels"
    for node in model.graph.node:
        names = ["pixels" if n == "images" else n for n in node.input]
        node.input[:] = names
    onnx.save(model, model_path)


def edit_description(path, edit):
    description = json.loads(path.read_text())
    edit(description)
    path.write_text(json.dumps(description))


FAULTS = {
    "no_model": (
        lambda model, description: model.unlink(),
        "model.onnx cannot be fetched",
    ),
    "no_description": (
        lambda model, description: description.unlink(),
        "model.onnx.json cannot be fetched",
    ),
    "description_is_no_json": (
        lambda model, description: description.write_text("{"),
        "not valid JSON",
    ),
    "description_of_another_layout": (
        lambda model, description: edit_description(
            description, lambda content: content["input"].update(name="pixels")
        ),
        "Received: the input `pixels`",
    ),
    "model_of_another_layout": (
        lambda model, description: rename_input(model),
        "model.onnx has another layout",
    ),
    "damaged_model": (
        lambda model, description: model.write_bytes(
            model.read_bytes()[:100_000]
        ),
        "model.onnx cannot be loaded",
    ),
    "another_size": (
        lambda model, description: edit_description(
            description,
            lambda content: content["input"].update(shape=[None, 64, 64, 3]),
        ),
        "model.onnx cannot be run",
    ),
    "names_of_another_model": (
        lambda model, description: edit_description(
            description, lambda content: content["class_names"].pop()
        ),
        "names 9 classes",
    ),
}


def copy_model(exported, folder):
    description = exported.with_name(exported.name + ".json")
    return (
        Path(shutil.copy(exported, folder)),
        Path(shutil.copy(description, folder)),
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_model_gives_a_message(
    browser, exported, photo, tmp_path, name
):
    spoil, message = FAULTS[name]
    copies = copy_model(exported, tmp_path)
    with serving(copies[0]) as url:
        spoil(*copies)
        with visiting(browser, url) as page:
            choose(page, photo)
            check_message(page, message)
            assert not any("uncaught" in fault for fault in page.faults)
            page.faults.clear()
            copy_model(exported, tmp_path)
            assert explain(page, photo)["probabilities"]
            assert page.faults == []


def test_the_server_gives_away_nothing_else(url):
    expected = {
        "/": "text/html; charset=utf-8",
        "/page.js": "text/javascript; charset=utf-8",
        "/style.css": "text/css; charset=utf-8",
        "/model.onnx": "application/octet-stream",
        "/model.onnx.json": "application/json",
        "/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.mjs": (
            "text/javascript; charset=utf-8"
        ),
        "/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm": (
            "application/wasm"
        ),
        "/serve.py": None,
        "/package.json": None,
        "/node_modules/onnxruntime-web/package.json": None,
        "/node_modules/../serve.py": None,
        "/../browser/serve.py": None,
        "/%2e%2e/browser/serve.py": None,
        "/..%2fbrowser%2fserve.py": None,
        "//etc/passwd": None,
        "../serve.py": None,
    }
    received = {}
    for path in expected:
        connection = http.client.HTTPConnection(url.partition("//")[2])
        connection.putrequest("GET", path)
        connection.endheaders()
        response = connection.getresponse()
        found = response.status == http.HTTPStatus.OK
        received[path] = response.headers["Content-Type"] if found else None
        connection.close()
    assert received == expected


def test_the_server_says_what_is_missing(exported, tmp_path, url):
    model, description = copy_model(exported, tmp_path)
    port = url.rpartition(":")[2]
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for path in FOLDER.glob("*.*"):
        if path.is_file():
            shutil.copy(path, fresh)
    cases = [
        ((FOLDER / "serve.py", model, "--port", port), "--port"),
        ((FOLDER / "serve.py", model, "--port", "70000"), "--port"),
        ((FOLDER / "serve.py", description), "ending in .onnx"),
        (
            (FOLDER / "serve.py", tmp_path / "other.onnx"),
            "other.onnx is missing",
        ),
        ((fresh / "serve.py", model), "npm ci"),
    ]
    for command, message in cases:
        finished = start(*command)
        _, error = finished.communicate(timeout=30)
        assert finished.returncode == 1
        assert message in error
    description.unlink()
    finished = start(FOLDER / "serve.py", model)
    assert "model.onnx.json is missing" in finished.communicate(timeout=30)[1]
