"""Pixels as files store them: deep, in floats, in pages, in millions."""

import re
import warnings

import numpy as np
import pytest
from image_folders import collect
from image_folders import coloured
from image_folders import small
from PIL import Image
from PIL import TiffImagePlugin

from keras_aib.data.decoding import read_image

pytestmark = pytest.mark.once


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(coloured(200)).save(tmp_path / name / "0.png")
    return tmp_path


def ramp(most, dtype="uint16"):
    return np.linspace(0, most, 256).reshape(16, 16).astype(dtype)


def brightest(dataset):
    return collect(dataset)[0].max((1, 2, 3)).tolist()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15])
@pytest.mark.parametrize("extension", ["png", "tif", "pgm"])
def test_deep_pixels_read_as_dark_are_said_at_once(folder, bits, extension):
    for index in range(2):
        path = folder / "a" / f"x{index}.{extension}"
        Image.fromarray(ramp(2**bits - 1)).save(path)
    dataset = small(folder, shuffle=False, batch_size=2)
    with pytest.warns(UserWarning, match=r"x0.*stored in 16 bits") as caught:
        first = dataset[0]
    assert first[0][1].max() < 128
    collect(dataset)
    dataset.on_epoch_end()
    assert len(caught) == 1


def test_deep_colours_read_as_dark_are_said(folder):
    # Pillow writes no such file: 2 x 2 pixels of 12 bits in 16.
    write_png(folder / "a" / "x.png", np.full((2, 2, 3), 4095, ">u2"))
    with pytest.warns(UserWarning, match="as 15 of 255, nearly black"):
        small(folder)[0]


def write_png(path, pixels):
    import struct
    import zlib

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    height, width, _ = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_the_full_range_is_read_without_a_word(folder):
    for kind in ("png", "tif", "pgm"):
        Image.fromarray(ramp(65535)).save(folder / "a" / f"x.{kind}")
    write_png(folder / "a" / "y.png", np.full((2, 2, 3), 65535, ">u2"))
    dataset = small(folder, image_size=16, shuffle=False)
    assert brightest(dataset) == [200, 255, 255, 255, 255, 200]


def test_a_tiff_that_tells_its_bits_is_scaled(folder):
    """Two pixels of 12 bits fill three bytes."""
    path = folder / "a" / "x.tif"
    header = TiffImagePlugin.ImageFileDirectory_v2()
    shape = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1}
    # The strip is where the header ends.
    strip = {273: 0, 277: 1, 278: 1, 279: 3}
    for tag, value in {**shape, **strip}.items():
        header[tag] = value
    start = b"II*\0" + (8).to_bytes(4, "little")
    path.write_bytes(start + header.tobytes(8) + bytes([0xFF, 0xF8, 0x00]))
    image = read_image(path, (1, 2))
    assert image[0, :, 0].tolist() == [255, 128]


def test_white_may_be_zero(folder):
    path = folder / "a" / "x.tif"
    Image.fromarray(ramp(65535)).save(path, tiffinfo={262: 0})
    assert read_image(path, (16, 16))[0, 0, 0] == 255


@pytest.mark.parametrize(
    ("values", "most", "message"),
    [
        (ramp(1, "float32"), 255, r"0 \(black\) to 1 \(white\)"),
        (ramp(0.5, "float32"), 128, r"0 \(black\) to 1 \(white\)"),
        (ramp(200, "float32"), 200, r"0 \(black\) to 255 \(white\)"),
        (ramp(65535, "int32"), 255, None),
        (ramp(255, "int32"), 0, "stored in 16 bits"),
    ],
)
def test_numbers_without_a_range_are_said(folder, values, most, message):
    Image.fromarray(values).save(folder / "a" / "x.tif")
    dataset = small(folder, image_size=16, shuffle=False)
    if message is None:
        assert brightest(dataset)[1] == most
    else:
        with pytest.warns(UserWarning, match=message):
            assert brightest(dataset)[1] == most


@pytest.mark.parametrize(
    "values",
    [
        ramp(3000, "float32") - 1000,
        ramp(1000, "float32"),
        np.full((4, 4), np.nan, "float32"),
        ramp(70000, "int32"),
        ramp(10, "int32") - 5,
    ],
)
def test_numbers_of_no_usual_range_are_left_out_and_said(folder, values):
    Image.fromarray(values).save(folder / "a" / "x.tif")
    dataset = small(folder, shuffle=False)
    assert len(brightest(dataset)) == 2
    with pytest.warns(UserWarning, match="which is black") as caught:
        dataset.on_epoch_end()
    assert "Convert such images to 8 bits" in str(caught[0].message)
    assert "Repair" not in str(caught[0].message)


def test_of_several_pages_the_first_is_read_and_that_is_said(folder):
    pages = [Image.fromarray(coloured(value)) for value in (10, 20, 30)]
    for index in range(2):
        pages[0].save(
            folder / "a" / f"x{index}.tif",
            save_all=True,
            append_images=pages[1:],
        )
    dataset = small(folder, shuffle=False)
    with pytest.warns(UserWarning, match=r"x0\.tif has 3 pages") as caught:
        assert brightest(dataset) == [200, 10, 10, 200]
    assert len(caught) == 1


@pytest.fixture
def few_pixels(monkeypatch):
    """Every image of more than 40 x 40 pixels is a large one."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 40 // 2)


@pytest.mark.parametrize("size", [50, 160, 300])
def test_a_large_photo_is_read(folder, few_pixels, size):
    Image.fromarray(coloured(77, size, size)).save(folder / "a" / "x.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = brightest(small(folder, image_size=4, shuffle=False))
    assert values == [200, 77, 200]


@pytest.mark.parametrize(("kind", "size"), [("png", 50), ("jpg", 2000)])
def test_what_is_too_large_is_not_called_damaged(
    folder, few_pixels, kind, size
):
    Image.fromarray(coloured(77, size, size)).save(folder / "a" / f"x.{kind}")
    dataset = small(folder, image_size=4, shuffle=False)
    assert brightest(dataset) == [200, 200]
    with pytest.warns(UserWarning, match=r"MAX_IMAGE_PIXELS = None") as caught:
        dataset.on_epoch_end()
    said = str(caught[0].message)
    assert re.search(rf"x\.{kind} \(it has more pixels", said)
    assert "Repair" not in said
    strict = small(folder, image_size=4, strict=True)
    with pytest.raises(ValueError, match="MAX_IMAGE_PIXELS = None"):
        collect(strict)
