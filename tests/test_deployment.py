"""The deployment examples, each where nothing but its own runtime is."""

import http.client
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from PIL import ImageOps

from keras_aib import zoo
from keras_aib.data.decoding import read_image

pytestmark = pytest.mark.deployment

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
MODEL = "aib_efficientnet_lite0.cifar10"
SIDE = 96
ANCHOR_STEP = 1 / 19
# Environment, script and exported file of each runtime.
RUNTIMES = {
    "litert": ("litert", "run_litert.py", "model.tflite"),
    "onnx": ("onnx", "run_onnx.py", "model.onnx"),
    "tf_saved_model": ("serving", "serve_saved_model.py", "saved_model"),
}
# Runs a script as python does, then says what has been imported.
WITNESS = """
import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    names = sorted({name.partition(".")[0] for name in sys.modules})
    print("imported:", *names, file=sys.stderr)
"""
every_runtime = pytest.mark.parametrize("runtime", RUNTIMES)


def python_of(runtime):
    environment = RUNTIMES[runtime][0]
    python = ROOT / ".venvs" / environment / "bin" / "python"
    if not python.is_file():
        pytest.fail(
            f"The environment .venvs/{environment} is missing. Run these tests "
            "with `make test-deployment`, which makes it."
        )
    return python


def load(path):
    with Image.open(path) as image:
        image.load()
    return image


def metadata_path(model):
    return model / "keras_aib.json" if model.is_dir() else Path(f"{model}.json")


def clean_environment():
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "KERAS", "COV"))
    }


def run(runtime, *arguments, cwd, before=()):
    return subprocess.run(
        [
            *before,
            *(python_of(runtime), "-B", EXAMPLES / RUNTIMES[runtime][1]),
            *arguments,
        ],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean_environment(),
        timeout=300,
    )


def numbers(runtime, model, photo, cwd):
    result = run(runtime, model, photo, "--json", cwd=cwd)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def reference():
    return zoo.load(MODEL)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    from skimage import data
    from sklearn.datasets import load_sample_image

    folder = tmp_path_factory.mktemp("photos")
    cat = Image.fromarray(data.chelsea())
    cat.save(folder / "cat.png")
    Image.fromarray(load_sample_image("china.jpg")).save(folder / "temple.png")
    cat.crop((100, 0, 400, 300)).resize((32, 32)).save(folder / "small.png")
    return folder


@pytest.fixture(scope="module")
def exported(request, tmp_path_factory, photos):
    """Folder with the model in every format, as `export` writes it."""
    if folder := os.environ.get("KERAS_AIB_EXPORTED"):
        return Path(folder)
    from keras_aib.export import export

    folder = tmp_path_factory.mktemp("exported")
    reference = request.getfixturevalue("reference")
    for form, (_, _, name) in RUNTIMES.items():
        export(
            reference,
            folder / name,
            format=form,
            class_names=zoo.info(MODEL).class_names,
        )
    export(
        reference,
        folder / "model.int8.tflite",
        quantization="int8",
        representative_data=crops_of(photos),
        class_names=zoo.info(MODEL).class_names,
    )
    return folder


def crops_of(photos):
    generator = np.random.default_rng(0)
    crops = []
    for name in ("cat.png", "temple.png"):
        photo = load(photos / name)
        for _ in range(50):
            side = int(generator.integers(SIDE, min(photo.size)))
            left = int(generator.integers(photo.width - side))
            top = int(generator.integers(photo.height - side + 1))
            crop = photo.crop((left, top, left + side, top + side))
            crops.append(np.asarray(crop.resize((SIDE, SIDE))))
    return np.stack(crops).astype("float32")


@pytest.fixture
def photo_module(monkeypatch):
    # The module sets Pillow's limit for its own program, not for these tests.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    spec = importlib.util.spec_from_file_location(
        "photo", EXAMPLES / "photo.py"
    )
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "photo", module)
    spec.loader.exec_module(module)
    return module


@every_runtime
def test_environment_has_nothing_else(runtime):
    others = {
        *("keras", "keras_aib", "keras_hub", "torch", "jax", "matplotlib"),
        *("scipy", "tensorflow", "ai_edge_litert", "onnxruntime", "openvino"),
    } - {
        "litert": {"ai_edge_litert"},
        "onnx": {"onnxruntime"},
        "tf_saved_model": {"tensorflow"},
    }[runtime]
    code = (
        "import importlib.util as u, sys\n"
        "print([n for n in sys.argv[1:] if u.find_spec(n)])"
    )
    found = subprocess.run(
        [python_of(runtime), "-I", "-c", code, *sorted(others)],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=True,
    )
    assert found.stdout.strip() == "[]", "Remake it: make test-deployment"


@every_runtime
def test_keras_is_never_imported(runtime, exported, photos, tmp_path):
    _, script, name = RUNTIMES[runtime]
    result = subprocess.run(
        [
            *(python_of(runtime), "-B", "-c", WITNESS, EXAMPLES / script),
            *(exported / name, photos / "small.png"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean_environment(),
    )
    assert result.returncode == 0, result.stderr
    imported = result.stderr.rpartition("imported:")[2].split()
    assert {"numpy", "PIL", "photo"} <= set(imported)
    assert not {"keras", "keras_aib"} & set(imported)


@pytest.mark.parametrize("name", ["cat.png", "temple.png", "small.png"])
def test_every_runtime_says_what_keras_says(
    name, exported, photos, reference, tmp_path
):
    pixels = read_image(photos / name, (SIDE, SIDE))[None].astype("float32")
    logits = reference.predict(pixels, verbose=0)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]
    expected_map = reference.attention(pixels)["quantized"][0]
    class_names = list(zoo.info(MODEL).class_names)
    for runtime, (_, _, file) in RUNTIMES.items():
        got = numbers(runtime, exported / file, photos / name, tmp_path)
        assert got["class"] == class_names[expected.argmax()], runtime
        assert list(got["probabilities"]) == class_names
        np.testing.assert_allclose(
            list(got["probabilities"].values()), expected, atol=1e-4
        )
        differences = np.abs(np.array(got["attention"]) - expected_map)
        assert differences.shape == (6, 6)
        # A score between two anchors may fall to either side.
        flipped = differences > 1e-4
        assert flipped.sum() <= 2, differences
        assert differences.max() < 1.5 * ANCHOR_STEP, differences


@pytest.mark.parametrize("name", ["cat.png", "temple.png"])
def test_int8_gives_the_same_class(name, exported, photos, tmp_path):
    photo = photos / name
    exact = numbers("litert", exported / "model.tflite", photo, tmp_path)
    int8 = numbers("litert", exported / "model.int8.tflite", photo, tmp_path)
    assert int8["class"] == exact["class"]
    assert np.shape(int8["attention"]) == np.shape(exact["attention"])
    assert np.abs(np.subtract(int8["attention"], exact["attention"])).mean() < (
        2 * ANCHOR_STEP
    )


def test_litert_believes_the_file_more_than_the_json(
    exported, photos, tmp_path
):
    source, model = exported / "model.int8.tflite", tmp_path / "model.tflite"
    shutil.copy(source, model)
    metadata = json.loads(metadata_path(source).read_text("utf-8"))
    assert metadata["input"]["dtype"] == "uint8"
    metadata["input"]["dtype"] = "float32"
    metadata_path(model).write_text(json.dumps(metadata))
    photo = photos / "cat.png"
    assert numbers("litert", model, photo, tmp_path) == numbers(
        "litert", source, photo, tmp_path
    )


@every_runtime
def test_text_and_picture(runtime, exported, photos, tmp_path):
    model, photo = exported / RUNTIMES[runtime][2], photos / "temple.png"
    expected = numbers(runtime, model, photo, tmp_path)
    output = tmp_path / "deeper" / "drawn.png"
    result = run(runtime, model, photo, "--output", output, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    best = sorted(expected["probabilities"].items(), key=lambda item: -item[1])
    for line, (name, probability) in zip(lines[:3], best[:3], strict=True):
        percentage, printed = line.split()
        assert printed == name
        assert float(percentage.rstrip("%")) == pytest.approx(
            100 * probability, abs=0.006
        )
    mean = re.fullmatch(r"mean score (\d\.\d{3})", lines[3])
    assert float(mean[1]) == pytest.approx(
        np.mean(expected["attention"]), abs=6e-4
    )
    assert lines[4] == str(output)

    photo, drawn = load(photo), load(output)
    assert drawn.format == "PNG"
    assert drawn.width == photo.width
    assert photo.height + 30 < drawn.height < photo.height + 120
    pixels = np.asarray(drawn, "float32")
    overlay, caption = pixels[: photo.height], pixels[photo.height :]
    scores = np.asarray(
        Image.fromarray(np.array(expected["attention"], "float32")).resize(
            photo.size, Image.Resampling.BILINEAR
        )
    )
    colorfulness = overlay.max(-1) - overlay.min(-1)
    assert scores.min() < 0.2 and scores.max() > 0.9
    assert colorfulness[scores > 0.9].min() > 60
    assert colorfulness[scores < 0.2].max() < 40
    # The photo is still there under the colours.
    gray = np.asarray(ImageOps.grayscale(photo), "float32")
    high = scores > 0.99
    assert np.corrcoef(overlay.mean(-1)[high], gray[high])[0, 1] > 0.9
    dark = (caption.max(-1) < 100).mean()
    assert 0.005 < dark < 0.3


def test_photo_is_turned_upright(exported, photos, tmp_path):
    upright, turned = tmp_path / "upright.png", tmp_path / "turned.png"
    photo = load(photos / "cat.png")
    photo.save(upright)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    model = exported / "model.tflite"
    assert numbers("litert", model, turned, tmp_path) == numbers(
        "litert", model, upright, tmp_path
    )
    drawn = load(tmp_path / "overlay.png")
    assert drawn.width == photo.width


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGBA", "CMYK", "I;16"])
def test_pixels_are_those_of_training(mode, photo_module, photos, tmp_path):
    photo = load(photos / "cat.png")
    if mode in ("RGBA", "LA"):
        photo = photo.convert(mode)
        mask = Image.linear_gradient("L").resize(photo.size)
        photo.putalpha(mask)
    elif mode == "I;16":
        gray = np.asarray(photo.convert("L"), "uint16")
        photo = Image.fromarray(257 * gray)
    else:
        photo = photo.convert(mode)
    path = tmp_path / f"photo.{'tiff' if mode == 'CMYK' else 'png'}"
    photo.save(path)
    with Image.open(path) as saved:
        assert saved.mode == mode
    picture, pixels = photo_module.read_photo(path, (80, 96))
    np.testing.assert_array_equal(pixels, read_image(path, (80, 96)))
    assert picture.mode == "RGB"
    assert picture.size == photo.size


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_gray_and_transparent_photos_run(mode, exported, photos, tmp_path):
    photo = tmp_path / "photo.png"
    load(photos / "cat.png").convert(mode).save(photo)
    model = exported / "model.tflite"
    assert numbers("litert", model, photo, tmp_path)["class"] == "cat"
    assert load(tmp_path / "overlay.png").mode == "RGB"


def test_small_photo_keeps_a_legible_caption(photo_module):
    photo = Image.new("RGB", (32, 24), (128, 128, 128))
    explanation = photo_module.Explanation(
        ["Prothonotary Warbler", "sparrow"],
        np.array([0.25, 0.75], "float32"),
        np.array([[0.0, 1.0]]),
    )
    drawn = photo_module.draw(photo, explanation)
    assert drawn.width > 100
    pixels = np.asarray(drawn, "float32")
    colorfulness = pixels.max(-1) - pixels.min(-1)
    left, right = colorfulness[:24, :4], colorfulness[:24, 28:32]
    assert right.mean() > 2 * left.mean()
    assert (pixels[:24, 32:] == 255).all()
    caption = (pixels[24:].max(-1) < 100).any(axis=0)
    assert np.flatnonzero(caption).max() < drawn.width - 3


def test_scores_beyond_the_scale_take_the_color_of_its_end(photo_module):
    photo = Image.new("RGB", (8, 8), (128, 128, 128))
    for beyond, end in ((1.2, 1.0), (-0.2, 0.0)):
        assert (
            photo_module.color(photo, np.full((2, 2), beyond)).tobytes()
            == photo_module.color(photo, np.full((2, 2), end)).tobytes()
        )


def test_fixed_batch_is_filled(photo_module):
    pixels = np.arange(4 * 5 * 3, dtype="uint8").reshape(4, 5, 3)
    path = Path("model.onnx")
    for batch, expected in ((8, 8), ("batch", 1), (None, 1), (-1, 1)):
        images = photo_module.make_batch(
            path, pixels, (batch, 4, 5, 3), np.float32
        )
        assert images.dtype == np.float32
        assert images.shape == (expected, 4, 5, 3)
        assert (images == pixels).all()


def test_classes_without_names_are_numbered(photo_module, exported, tmp_path):
    model = tmp_path / "model.onnx"
    model.touch()
    source = metadata_path(exported / "model.onnx")
    metadata = json.loads(source.read_text("utf-8"))
    metadata["class_names"] = None
    metadata_path(model).write_text(json.dumps(metadata))
    description = photo_module.read_description(model, "onnx")
    assert description.class_names == [str(number) for number in range(10)]
    assert description.image_size == (SIDE, SIDE)


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


def assert_one_line(result, script, message):
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    # TensorFlow and LiteRT may greet before.
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith(f"{script}: "), result.stderr
    assert sum(line.startswith(script) for line in lines) == 1
    assert re.search(message, lines[-1]), lines[-1]


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


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    """The port of a server, which must end by itself on Ctrl-C."""
    errors = tmp_path_factory.mktemp("server") / "errors.txt"
    with errors.open("w") as file:
        process = subprocess.Popen(
            [
                *(python_of("tf_saved_model"), "-B"),
                *(EXAMPLES / "serve_saved_model.py", exported / "saved_model"),
                *("--port", "0"),
            ],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=clean_environment(),
        )
    with process:
        try:
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
            assert address, errors.read_text()
            yield int(address[1])
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, errors.read_text()
            assert "Traceback" not in errors.read_text()
        finally:
            process.kill()


def request(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        assert answer.getheader("Content-Type") == "application/json"
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_server_answers_what_the_command_prints(
    server, exported, photos, tmp_path
):
    photo = photos / "cat.png"
    printed = numbers(
        "tf_saved_model", exported / "saved_model", photo, tmp_path
    )
    status, answer = request(server, "POST", "/", photo.read_bytes())
    assert status == 200
    assert answer["class"] == printed["class"] == "cat"
    assert answer["probabilities"] == pytest.approx(
        printed["probabilities"], abs=1e-6
    )
    np.testing.assert_allclose(
        answer["attention"], printed["attention"], atol=1e-6
    )


def test_server_keeps_a_connection(server, photos):
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=120)
    answers = []
    for name in ("cat.png", "temple.png"):
        connection.request("POST", "/", (photos / name).read_bytes())
        answers.append(json.loads(connection.getresponse().read())["class"])
    connection.close()
    assert answers == ["cat", "ship"]


def huge_photo():
    file = io.BytesIO()
    Image.new("1", (10_001, 10_000)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda photo: b"no photo", "is no photo"),
        (lambda photo: b"", "is no photo"),
        (lambda photo: photo[: len(photo) // 2], "cannot be read"),
        (lambda photo: b"%!PS-Adobe-3.0 EPSF-3.0\n", "is no photo"),
        (lambda photo: huge_photo(), "Make it smaller"),
    ],
)
def test_server_refuses_bad_bytes(body, message, server, photos):
    content = body((photos / "cat.png").read_bytes())
    status, answer = request(server, "POST", "/", content)
    assert status == 400
    assert message in answer["error"]
    assert "BytesIO" not in answer["error"]


def test_server_refuses_a_large_body(server):
    status, answer = request(server, "POST", "/", bytes(33 * 1024 * 1024))
    assert status == 413
    assert "32 MB" in answer["error"]
    # A client that asks first need not send it.
    status, _ = request(
        *(server, "POST", "/"),
        headers={"Content-Length": str(1 << 40), "Expect": "100-continue"},
    )
    assert status == 413


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/", {}, 405),
        ("POST", "/photo", {}, 404),
        ("POST", "/", {"Content-Length": "-1"}, 411),
        ("POST", "/", {"Content-Length": "9" * 5000}, 411),
        ("POST", "/", {"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_server_refuses_other_requests(method, path, headers, expected, server):
    status, answer = request(server, method, path, None, headers)
    assert status == expected
    assert answer["error"].endswith(".")


def test_server_says_that_its_port_is_taken(server, exported, tmp_path):
    result = run(
        *("tf_saved_model", exported / "saved_model", "--port", str(server)),
        cwd=tmp_path,
    )
    assert_one_line(
        result, "serve_saved_model.py", f"Port {server} .*Choose another one"
    )


@pytest.mark.parametrize("arguments", [(), ("cat.png", "--port", "0")])
def test_photo_or_port(arguments, exported, tmp_path):
    result = run(
        "tf_saved_model", exported / "saved_model", *arguments, cwd=tmp_path
    )
    assert result.returncode == 2
    assert "give either a photo or --port" in result.stderr
