"""The deployment examples, each where nothing but its own runtime is."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from deployed import ANCHOR_STEP
from deployed import EXAMPLES
from deployed import MODEL
from deployed import RUNTIMES
from deployed import SIDE
from deployed import WITNESS
from deployed import clean_environment
from deployed import every_runtime
from deployed import load
from deployed import metadata_path
from deployed import numbers
from deployed import python_of
from deployed import run
from PIL import Image
from PIL import ImageOps

from keras_aib import zoo
from keras_aib.data.decoding import read_image

pytestmark = pytest.mark.deployment
pytest_plugins = ["deployment_fixtures"]


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
