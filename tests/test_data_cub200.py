"""CUB-200-2011 is read from its published folder, and cropped to the bird."""

import sys

import numpy as np
import pytest
from image_folders import collect
from PIL import Image
from published_layouts import bird_image
from published_layouts import write_cub200

from keras_aib import data

pytestmark = pytest.mark.once


def cub200(directory, name="cub200_2011", **kwargs):
    kwargs = {"image_size": (6, 8), "shuffle": False, "workers": 1, **kwargs}
    return data.from_published(name, directory, **kwargs)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["caltech_birds2011", "cub200_2011"])
def test_cub_follows_the_published_split(tmp_path, name, split):
    folder = write_cub200(tmp_path / "birds")
    dataset = cub200(folder, name, split=split, image_size=(12, 20))
    images, labels = collect(dataset)
    np.testing.assert_array_equal(images, np.stack([bird_image()] * 2))
    assert labels.tolist() == dataset.labels.tolist() == [0, 1]
    assert dataset.class_names == ["001.Albatross", "002.Auklet"]
    odd = {"train": ["a_1", "b_3"], "test": ["a_2", "b_4"]}[split]
    for path in folder.rglob("*.png"):
        path.unlink()
    with pytest.raises(ValueError, match=rf"{odd[0]}.*{odd[1]}"):
        dataset[0]


def test_cub_is_cropped_to_the_bird(tmp_path):
    images, _ = collect(cub200(write_cub200(tmp_path / "b"), crop_to_box=True))
    np.testing.assert_array_equal(images[0], bird_image()[2:8, 4:12])
    whole, _ = collect(cub200(tmp_path / "b"))
    assert whole[0, :, 0].max() == 0


def test_the_crop_of_a_large_jpeg_is_sharp(tmp_path):
    """A JPEG is decoded at a fraction of its size, which moves the box."""
    folder = write_cub200(tmp_path / "b")
    stripes = np.zeros((400, 800, 3), "uint8")
    stripes[100:120, 300:340:2] = 255
    for path in folder.rglob("*.png"):
        Image.fromarray(stripes).save(path, "jpeg", quality=100, subsampling=0)
    boxes = "".join(f"{i} 300 100 40 20\n" for i in (1, 2, 3, 4))
    (folder / "bounding_boxes.txt").write_text(boxes)
    dataset = cub200(folder, image_size=(20, 40), crop_to_box=True)
    image = dataset[0][0][0]
    np.testing.assert_allclose(image, stripes[100:120, 300:340], atol=12)


def test_the_crop_of_a_reduced_jpeg_is_in_place(tmp_path):
    folder = write_cub200(tmp_path / "b")
    halves = np.zeros((400, 800, 3), "uint8")
    halves[80:240, 320:480] = 100
    halves[80:240, 480:640] = 200
    for path in folder.rglob("*.png"):
        Image.fromarray(halves).save(path, "jpeg", quality=100)
    boxes = "".join(f"{i} 320 80 320 160\n" for i in (1, 2, 3, 4))
    (folder / "bounding_boxes.txt").write_text(boxes)
    dataset = cub200(folder, image_size=(8, 16), crop_to_box=True)
    image = dataset[0][0][0]
    np.testing.assert_allclose(image[:, :7], 100, atol=6)
    np.testing.assert_allclose(image[:, 9:], 200, atol=6)


def test_the_crop_is_turned_by_its_exif_orientation(tmp_path):
    folder = write_cub200(tmp_path / "b")
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn it a quarter clockwise to show it.
    for path in folder.rglob("*.png"):
        Image.fromarray(bird_image()).save(path, exif=exif)
    image = cub200(folder, image_size=(8, 6), crop_to_box=True)[0][0][0]
    np.testing.assert_array_equal(image, np.rot90(bird_image()[2:8, 4:12], -1))


def test_a_box_over_the_edge_is_cut_off(tmp_path):
    folder = write_cub200(tmp_path / "b")
    boxes = "".join(f"{i} 12 2 9 10.5\n" for i in (1, 2, 3, 4))
    (folder / "bounding_boxes.txt").write_text(boxes)
    images, _ = collect(cub200(folder, image_size=(10, 8), crop_to_box=True))
    np.testing.assert_array_equal(images[0], bird_image()[2:, 12:])


@pytest.mark.parametrize("box", ["30 2 8 6", "12 2 17 6", "-9 2 10 6"])
def test_a_box_outside_of_its_image(tmp_path, box):
    folder = write_cub200(tmp_path / "b")
    path = folder / "bounding_boxes.txt"
    lines = path.read_text().splitlines()
    lines[2] = f"3 {box}"
    path.write_text("\n".join(lines))
    message = r"b_3\.png.*lies mostly outside of its 20x12 pixels"
    with pytest.raises(ValueError, match=message):
        cub200(folder, crop_to_box=True, strict=True)[0]
    dataset = cub200(folder, crop_to_box=True)
    assert dataset[0][1].tolist() == [0]
    with pytest.warns(UserWarning, match=message):
        dataset.on_epoch_end()


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("images.txt", "", "the same images: 1 are in one only.*number 3"),
        ("images.txt", "3", "line 3 is '3' instead of"),
        ("images.txt", "2 again.png", "line 3 is '2 again.png'"),
        ("train_test_split.txt", "3 x", "image 3 has 'x', which is not a flag"),
        ("train_test_split.txt", "", "1 are in one only"),
        ("image_class_labels.txt", "3 7", "image 3 has '7'.* not a class"),
        ("bounding_boxes.txt", "3 1 2 3", "image 3 has '1 2 3' instead of"),
        ("bounding_boxes.txt", "3 1 2 0 4", "without an area, '1 2 0 4'"),
        ("bounding_boxes.txt", "3 nan 2 4 4", "without an area"),
    ],
)
def test_damaged_tables_of_cub(tmp_path, file, line, message):
    folder = write_cub200(tmp_path / "b")
    lines = (folder / file).read_text().splitlines()
    lines[2] = line
    (folder / file).write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message):
        cub200(folder, crop_to_box=True)


def test_an_empty_table_and_an_empty_split_of_cub(tmp_path):
    folder = write_cub200(tmp_path / "b")
    flags = "".join(f"{i} 1\n" for i in (1, 2, 3, 4))
    (folder / "train_test_split.txt").write_text(flags)
    with pytest.raises(ValueError, match="no image is in the test split"):
        cub200(folder, split="test")
    (folder / "classes.txt").write_text("")
    with pytest.raises(ValueError, match=r"classes\.txt.*it is empty"):
        cub200(folder)


def test_without_pillow_it_says_what_to_install(tmp_path, monkeypatch):
    folder = write_cub200(tmp_path / "b")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        cub200(folder)
