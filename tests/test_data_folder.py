"""An image folder: which files, which pixels, which errors."""

import sys

import numpy as np
import pytest
from image_folders import collect
from image_folders import coloured
from image_folders import make_folder
from image_folders import small
from PIL import Image

pytestmark = pytest.mark.once


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path)


def test_class_names_set_the_order_of_labels(folder):
    dataset = small(folder, class_names=["cow", "ant", "bee"], shuffle=False)
    assert dataset.class_names == ["cow", "ant", "bee"]
    images, labels = collect(dataset)
    assert (images[0, 0, 0, 0], labels[0]) == (160, 0)
    assert np.bincount(labels).tolist() == [4, 6, 5]


def test_which_files_are_taken(folder):
    image = Image.fromarray(coloured(1))
    (folder / "ant" / "deep" / "er").mkdir(parents=True)
    (folder / "ant" / ".cache").mkdir()
    (folder / ".hidden").mkdir()
    image.save(folder / "ant" / "deep" / "er" / "x.JPG")
    image.save(folder / "ant" / "y.WebP")
    image.save(folder / "ant" / ".z.png")
    image.save(folder / "ant" / ".cache" / "z.png")
    image.save(folder / ".hidden" / "z.png")
    image.save(folder / "loose.png")
    (folder / "ant" / "notes.txt").write_text("no image")
    with pytest.warns(UserWarning) as caught:
        dataset = small(folder)
    said = [str(warning.message) for warning in caught]
    assert [".txt (1)" in text for text in said] == [False, True]
    assert ["such as loose.png" in text for text in said] == [True, False]
    assert dataset.num_images == 17
    assert dataset.class_names == ["ant", "bee", "cow"]
    collect(dataset)
    assert dataset.unreadable == []


def one_image(tmp_path, save, image_size=(8, 8)):
    """Write an image by `save` and read it back through a dataset."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    Image.fromarray(coloured(0)).save(tmp_path / "b" / "0.png")
    save(tmp_path / "a")
    dataset = small(tmp_path, image_size=image_size, shuffle=False, strict=True)
    return collect(dataset)[0][0]


@pytest.mark.parametrize(
    ("mode", "extension"),
    [
        ("L", "png"),
        ("1", "png"),
        ("LA", "png"),
        ("P", "png"),
        ("P", "gif"),
        ("RGBA", "png"),
        ("RGBA", "webp"),
        ("CMYK", "jpg"),
        ("RGB", "bmp"),
        ("RGB", "jpeg"),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, extension):
    # 204 is in the palette of web colours.
    value = 255 if mode == "1" else 204
    image = Image.fromarray(coloured(value)).convert(mode)
    pixels = one_image(tmp_path, lambda a: image.save(a / f"0.{extension}"))
    assert pixels.shape == (8, 8, 3)
    np.testing.assert_allclose(pixels, value, atol=3)


def test_palette_with_transparency(tmp_path):
    image = Image.fromarray(coloured(204)).convert("P")
    image.info["transparency"] = bytes([0, 128, 255])
    pixels = one_image(tmp_path, lambda a: image.save(a / "0.png"))
    np.testing.assert_allclose(pixels, 204, atol=3)


def test_16_bit_grey_is_scaled_not_clipped(tmp_path):
    ramp = np.repeat(np.arange(0, 65536, 8192, "uint16")[None], 8, axis=0)
    image = Image.fromarray(ramp)
    assert image.mode.startswith("I")
    pixels = one_image(tmp_path, lambda a: image.save(a / "0.png"))
    np.testing.assert_array_equal(pixels[0, :, 0], np.arange(0, 256, 32))


def test_exif_orientation_is_honoured(tmp_path):
    pixels = coloured(0, 16, 16)
    pixels[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn it a quarter clockwise to show it.
    image = Image.fromarray(pixels)
    upright = one_image(
        tmp_path, lambda a: image.save(a / "0.jpg", exif=exif, quality=100)
    )
    assert upright[:, -2:].min() > 250
    assert upright[:, :2].max() < 5


def test_resize_takes_the_whole_image(tmp_path):
    pixels = coloured(0, 40, 80)
    pixels[:, 40:] = 200
    image = Image.fromarray(pixels)
    resized = one_image(tmp_path, lambda a: image.save(a / "0.png"), (4, 10))
    assert resized.shape == (4, 10, 3)
    np.testing.assert_allclose(resized[:, :4], 0, atol=1)
    np.testing.assert_allclose(resized[:, 6:], 200, atol=1)


def test_large_jpeg_is_close_to_its_full_decoding(tmp_path):
    rows, columns = np.mgrid[0:600, 0:800]
    pixels = np.stack([rows / 3, columns / 4, 100 + 0 * rows], -1)
    image = Image.fromarray(pixels.astype("uint8"))
    resized = one_image(tmp_path, lambda a: image.save(a / "0.jpg"), (32, 32))
    exact = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(resized - exact).mean() < 1


@pytest.mark.parametrize("validation_split", [0.01, 0.3, 0.99])
def test_split_is_disjoint_whole_and_has_every_class(folder, validation_split):
    sides = [
        small(
            folder,
            validation_split=validation_split,
            subset=subset,
            shuffle=False,
        )
        for subset in ("training", "validation")
    ]
    greys = [set(collect(side)[0][:, 0, 0, 0]) for side in sides]
    assert not greys[0] & greys[1]
    assert len(greys[0] | greys[1]) == 15
    for side in sides:
        assert set(side.labels) == {0, 1, 2}
    again = small(
        folder,
        validation_split=validation_split,
        subset="validation",
        class_names=["cow", "bee", "ant"],
    )
    assert set(collect(again)[0][:, 0, 0, 0]) == greys[1]


def test_split_follows_the_seed_and_the_shares(folder):
    def validation(seed):
        dataset = small(
            folder, validation_split=0.5, subset="validation", seed=seed
        )
        return dataset, set(collect(dataset)[0][:, 0, 0, 0])

    assert validation(0)[1] != validation(1)[1]
    assert np.bincount(validation(0)[0].labels).tolist() == [3, 2, 2]


def test_split_of_a_class_with_one_image(folder):
    (folder / "dog").mkdir()
    Image.fromarray(coloured(7)).save(folder / "dog" / "0.png")
    with pytest.raises(ValueError, match=r"\['dog'\] have one image each"):
        small(folder, validation_split=0.5, subset="training")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_split": 0.2}, "go together"),
        ({"subset": "training"}, "go together"),
        ({"validation_split": 0, "subset": "training"}, "between 0 and 1"),
        ({"validation_split": 1.0, "subset": "training"}, "between 0 and 1"),
        ({"validation_split": "a", "subset": "training"}, "between 0 and 1"),
        ({"validation_split": 0.2, "subset": "test"}, "must be one of"),
        ({"image_size": (0, 8)}, "positive integer or two"),
        ({"image_size": True}, "positive integer or two"),
        ({"image_size": (8.0, 8.0)}, "positive integer or two"),
        ({"image_size": None}, "positive integer or two"),
        ({"batch_size": 0}, "`batch_size` must be"),
        ({"batch_size": 2.5}, "`batch_size` must be"),
        ({"seed": -1}, "`seed` must be"),
        ({"workers": 0}, "`workers` must be"),
        ({"seed": None}, "`seed` must be"),
        ({"class_names": ["ant", "be", "cow"]}, r"\{'be': \['bee'\]\}"),
        ({"class_names": ["ant", "bee"]}, r"folders not named: \['cow'\]"),
        ({"class_names": ["ant", "ant", "bee", "cow"]}, "once"),
    ],
)
def test_bad_arguments_of_a_folder(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        small(folder, **arguments)


def test_missing_folder(tmp_path):
    with pytest.raises(ValueError, match="There is no folder"):
        small(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "images.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"is a file.*unpack"):
        small(tmp_path / "images.zip")


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="has no subfolders, and each class"):
        small(tmp_path)


def test_images_without_class_folders(tmp_path):
    Image.fromarray(coloured(1)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="1 images lie directly in it"):
        small(tmp_path)


def test_a_single_class(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match="single class folder, 'cat'"):
        small(tmp_path)


def test_an_empty_class(folder):
    (folder / "dog").mkdir()
    (folder / "dog" / "a.heic").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"No images.*\['dog'\].*\.heic \(1\).*register"
    ):
        small(folder)


def test_without_pillow_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        small(folder)
