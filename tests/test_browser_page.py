"""The page of examples/browser, in a headless browser, against the model."""

import base64
import contextlib
import http.client
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import skimage.data
from PIL import Image
from PIL import ImageCms

from keras_aib import zoo
from keras_aib.data.decoding import read_image

pytestmark = pytest.mark.deployment

FOLDER = Path(__file__).parents[1] / "examples" / "browser"
TRAINED = "aib_efficientnet_lite0.cifar10"
SIZE = (96, 96)
# A score halfway between two anchors may fall to either of them.
MOST_FLIPPED_CELLS = 1


@pytest.fixture(scope="module")
def model():
    return zoo.load(TRAINED)


@pytest.fixture(scope="module")
def exported(request, tmp_path_factory):
    """The ONNX file; from KERAS_AIB_EXPORTED, or exported here."""
    if "KERAS_AIB_EXPORTED" in os.environ:
        return Path(os.environ["KERAS_AIB_EXPORTED"]) / "model.onnx"
    from keras_aib.export import export

    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(
        request.getfixturevalue("model"),
        path,
        class_names=zoo.info(TRAINED).class_names,
    )
    return path


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("Chromium is missing: `apt-get install chromium`.")
    if not (FOLDER / "node_modules").is_dir():
        pytest.fail("Run `npm ci --prefix examples/browser` first.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


def start_server(*arguments):
    return subprocess.Popen(
        [sys.executable, FOLDER / "serve.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def serving(model_path):
    with start_server(model_path, "--port", "0") as server:
        try:
            yield server.stdout.readline().split()[0].rstrip("/")
        finally:
            server.terminate()
            server.communicate()


@pytest.fixture(scope="module")
def url(exported):
    with serving(exported) as url:
        yield url


@contextlib.contextmanager
def visiting(browser, url, tolerated="never tolerated"):
    """Open the page; no foreign request, no error but the tolerated one."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(30_000)
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: message.type == "error" and errors.append(message.text),
    )
    page.goto(url)
    wait(page)
    yield page
    context.close()
    assert requests
    assert all(r.startswith((url, f"blob:{url}", "data:")) for r in requests)
    assert [error for error in errors if tolerated not in error] == []


@pytest.fixture
def page(browser, url):
    with visiting(browser, url) as page:
        yield page


def wait(page):
    """Until the page has said how the last thing it was given went."""
    page.wait_for_selector("main[aria-busy=false]")


def choose(page, path):
    page.set_input_files("#file", path)
    wait(page)


def explain(page, path):
    choose(page, path)
    result = page.evaluate("window.explanation")
    assert result is not None, page.inner_text("#status")
    assert result["name"] == Path(path).name
    return result


def pixels_of(result):
    return np.array(result["pixels"], "uint8").reshape(*SIZE, 3)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def photo(tmp_path):
    return save(tmp_path / "chelsea.png", skimage.data.chelsea())


def check_same_pixels(received, expected):
    difference = np.abs(received.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert np.mean(difference == 0) > 0.999


@pytest.mark.parametrize("name", ["chelsea", "rocket", "coffee"])
def test_the_page_says_what_the_model_says(page, model, tmp_path, name):
    path = save(tmp_path / f"{name}.png", getattr(skimage.data, name)())
    images = read_image(path, SIZE)[None].astype("float32")
    logits = model.predict(images, verbose=0)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]
    attention = model.attention(images)["quantized"][0]

    result = explain(page, path)

    check_same_pixels(pixels_of(result), images[0])
    np.testing.assert_allclose(
        result["probabilities"], probabilities, atol=1e-3
    )
    assert result["attentionSize"] == list(attention.shape)
    received = np.reshape(result["attention"], attention.shape)
    flipped = np.abs(received - attention) > 1e-3
    assert flipped.sum() <= MOST_FLIPPED_CELLS
    best = zoo.info(TRAINED).class_names[int(probabilities.argmax())]
    assert page.inner_text("#classes tr:first-child th") == best
    assert best in page.inner_text("#status")
    assert re.search(r"\d+ ms.* \d+ ms", page.inner_text("#duration"))


def test_the_colours_are_those_of_the_scores(page, photo):
    from matplotlib import colormaps

    result = explain(page, photo)
    drawn = page.evaluate("document.getElementById('map').toDataURL()")
    drawn = Image.open(io.BytesIO(base64.b64decode(drawn.partition(",")[2])))
    scores = np.reshape(result["attention"], result["attentionSize"])
    upsampled = Image.fromarray(scores.astype("float32")).resize(
        drawn.size, Image.Resampling.BILINEAR
    )
    expected = colormaps["inferno"](np.asarray(upsampled), bytes=True)
    difference = np.abs(np.asarray(drawn) - expected.astype(int))
    # Straight lines between 17 colours stand for matplotlib's 256.
    assert difference.max() <= 10


def resize_with_pillow(image, size):
    return np.asarray(
        Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
    )


SIZES = [
    ((300, 451), (96, 96)),
    ((37, 53), (96, 96)),
    ((96, 200), (96, 96)),
    ((101, 7), (13, 29)),
    ((1, 1), (5, 3)),
    ((500, 3), (1, 1)),
]


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_it_resizes_as_pillow_does(page, source, target):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (*source, 3), dtype="uint8")
    received = page.evaluate(
        """async ([pixels, shape, target]) => {
            const { resize } = await import("/resize.js");
            return Array.from(resize(Uint8Array.from(pixels), shape, target));
        }""",
        [image.ravel().tolist(), [*source, 3], list(target)],
    )
    received = np.reshape(received, (*target, 3))
    narrow = resize_with_pillow(image, (source[0], target[1]))
    np.testing.assert_array_equal(received, resize_with_pillow(narrow, target))
    # From version 13 on, Pillow takes the height first where it shrinks much
    # more than the width.
    whole = resize_with_pillow(image, target).astype(int)
    assert np.abs(received - whole).max() <= 1


def smooth(height, width, channels):
    """Colours and transparency that change slowly, as a photograph's do."""
    rows = np.linspace(0, 3, height)[:, None, None]
    columns = np.linspace(0, 5, width)[None, :, None]
    waves = np.sin(rows + columns * np.arange(1, channels + 1) / channels)
    return np.uint8(127.5 + 127.5 * waves)


def wide_gamut_profile():
    """Display profiles are common in photos of phones; Pillow ignores them."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def exif_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


PICTURES = {
    "transparent.png": lambda path: save(path, smooth(310, 170, 4)),
    "grey.png": lambda path: save(path, smooth(310, 170, 1)[..., 0]),
    "grey_and_alpha.png": lambda path: (
        Image.fromarray(smooth(310, 170, 4)).convert("LA").save(path)
    ),
    "palette.png": lambda path: (
        Image.fromarray(smooth(310, 170, 3)).quantize(64).save(path)
    ),
    "lossless.webp": lambda path: save(
        path, smooth(310, 170, 3), lossless=True
    ),
    "upside_down.png": lambda path: save(
        path, smooth(310, 170, 3), exif=exif_orientation(3)
    ),
    "on_its_side.jpg": lambda path: save(
        path,
        smooth(310, 170, 3),
        exif=exif_orientation(6),
        quality=95,
        subsampling=0,
    ),
    "smaller_than_the_model.png": lambda path: save(path, smooth(31, 47, 3)),
    "long.png": lambda path: save(path, smooth(3, 12_000, 3)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_kind_of_picture_is_read_as_pillow_reads_it(page, tmp_path, name):
    path = tmp_path / name
    PICTURES[name](path)
    result = explain(page, path)
    expected = read_image(path, SIZE).astype(int)
    assert np.abs(pixels_of(result) - expected).max() <= 1
    assert result["transparent"] == ("trans" in name or "alpha" in name)
    assert page.is_visible("#transparency") == result["transparent"]
