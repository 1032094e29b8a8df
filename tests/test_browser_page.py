"""What the page of examples/browser shows is what the model says."""

import base64
import io
import re

import keras
import numpy as np
import pytest
import skimage.data
from browser_page import TRAINED
from browser_page import check_message
from browser_page import drop
from browser_page import explain
from browser_page import save
from browser_page import smooth
from browser_page import wait
from PIL import Image
from PIL import ImageCms

from keras_aib import zoo
from keras_aib.data.decoding import read_image

pytestmark = pytest.mark.deployment
pytest_plugins = ["browser_page_fixtures"]

SIZE = (96, 96)
# A score halfway between two anchors may fall to either of them.
MOST_FLIPPED_CELLS = 1


def pixels_of(result):
    return np.array(result["pixels"], "uint8").reshape(*SIZE, 3)


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
    scores = scores.clip(0, 1)
    upsampled = Image.fromarray(scores.astype("float32")).resize(
        drawn.size, Image.Resampling.BILINEAR
    )
    expected = colormaps["inferno"](np.asarray(upsampled), bytes=True)
    difference = np.abs(np.asarray(drawn) - expected.astype(int))
    # Straight lines between 17 colours stand for matplotlib's 256.
    assert difference.max() <= 10


SIZES = [
    ((90, 131), (24, 31)),
    ((37, 53), (96, 96)),
    ((96, 200), (96, 96)),
    ((101, 7), (13, 29)),
    # Pillow begins with the height if that shrinks by more than twice as many
    # pixels as the width.
    ((128, 60), (60, 26)),
    ((129, 60), (60, 26)),
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
    resized = Image.fromarray(image).resize(
        target[::-1], Image.Resampling.BILINEAR
    )
    check_same_pixels(np.reshape(received, (*target, 3)), np.asarray(resized))


def swapped_colours_profile():
    """A colour profile that a browser shows and Pillow ignores."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    red, blue, neither = b"rXYZ", b"bXYZ", b"----"
    swapped = profile.tobytes().replace(red, neither).replace(blue, red)
    return swapped.replace(neither, blue)


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
    "profile.png": lambda path: save(
        path, smooth(310, 170, 3), icc_profile=swapped_colours_profile()
    ),
    "smaller_than_the_model.png": lambda path: save(path, smooth(31, 47, 3)),
    "long.png": lambda path: save(path, smooth(3, 12_000, 3)),
    "tall.png": lambda path: save(path, smooth(12_000, 300, 3)),
    "tall_transparent.png": lambda path: save(path, smooth(7000, 300, 4)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_kind_of_picture_is_read_as_pillow_reads_it(page, tmp_path, name):
    path = tmp_path / name
    PICTURES[name](path)
    result = explain(page, path)
    check_same_pixels(pixels_of(result), read_image(path, SIZE))
    assert result["transparent"] == ("trans" in name or "alpha" in name)
    assert page.is_visible("#transparency") == result["transparent"]


def test_a_large_jpeg_is_decoded_in_full(page, tmp_path):
    """`read_image` lets libjpeg shrink it first, which no browser can."""
    path = save(tmp_path / "coffee.jpg", skimage.data.coffee())
    with Image.open(path) as image:
        expected = image.resize(SIZE[::-1], Image.Resampling.BILINEAR)
    check_same_pixels(pixels_of(explain(page, path)), np.asarray(expected))


def test_a_photo_can_be_dropped(page, photo):
    drop(page, photo)
    assert page.evaluate("window.explanation.name") == photo.name


WATCH_CAPTION = """() => {
    const caption = document.getElementById("caption");
    window.shown = [];
    window.watcher?.disconnect();
    window.watcher = new MutationObserver(
        () => window.shown.push(caption.textContent.split(",")[0])
    );
    window.watcher.observe(caption, { childList: true });
}"""


def test_the_last_of_several_photos_is_shown(page, photo, tmp_path):
    alone = explain(page, photo)
    slow = save(tmp_path / "slow.png", smooth(3000, 3000, 3))
    other = save(tmp_path / "other.png", skimage.data.coffee())
    page.evaluate(WATCH_CAPTION)
    for path in (slow, other, slow, photo):
        page.set_input_files("#file", path)
    wait(page)
    assert page.evaluate("window.shown") == [photo.name]
    last = page.evaluate("window.explanation")
    assert last["name"] == photo.name
    assert last["probabilities"] == alone["probabilities"]


def test_a_late_result_does_not_cover_a_message(page, photo, tmp_path):
    slow = save(tmp_path / "slow.png", smooth(3000, 3000, 3))
    page.evaluate(WATCH_CAPTION)
    page.set_input_files("#file", slow)
    drop(page, text="some words")
    check_message(page, "text or a link")
    # Photos are taken in their order: this one comes after the slow one.
    explain(page, photo)
    assert page.evaluate("window.shown") == [photo.name]


def test_it_needs_no_mouse(page, photo):
    assert page.get_by_label("Choose a photograph").get_attribute("id") == (
        "file"
    )
    assert page.get_by_role("status").get_attribute("aria-live") == "polite"
    page.reload()
    wait(page)
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(photo)
    page.wait_for_selector("#result:not([hidden])")
    assert (
        page.get_by_role("img")
        .get_attribute("aria-label")
        .startswith("Attention map of 6 by 6 cells")
    )
    page.keyboard.press("Tab")
    for key, opacity in (("Home", "0"), ("End", "1")):
        page.keyboard.press(key)
        assert page.eval_on_selector("#map", "e => e.style.opacity") == opacity


@pytest.mark.parametrize("width", [320, 360, 1100])
def test_it_fits_the_window(page, photo, width):
    before = page.viewport_size
    page.set_viewport_size({"width": width, "height": 740})
    explain(page, photo)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    photo_box, map_box = (
        page.locator(name).bounding_box() for name in ("#photo", "#map")
    )
    assert photo_box == pytest.approx(map_box, abs=0.1)
    page.set_viewport_size(before)
