"""One line of text names training and validation images."""

from pathlib import Path

import keras
import numpy as np
import pytest
from image_folders import collect
from image_folders import make_folder
from image_folders import small
from published_layouts import asymmetric_images
from published_layouts import bird_image
from published_layouts import write_cifar10
from published_layouts import write_cub200
from tiny_birds import prepare_birds

from keras_aib import data
from keras_aib.data.data_spec import DataSpec


def opened(spec, subset="training", **kwargs):
    kwargs = {"image_size": (8, 8), "shuffle": False, "workers": 1, **kwargs}
    return data.from_spec(spec, subset=subset, **kwargs)


def greys(dataset):
    return set(collect(dataset)[0][:, 0, 0, 0])


def test_a_folder_of_classes_is_split(tmp_path):
    folder = make_folder(tmp_path)
    train = opened(str(folder))
    validation = opened(folder, "validation")
    assert (train.num_images, validation.num_images) == (12, 3)
    assert not greys(train) & greys(validation)
    assert opened(folder, validation_split=0.5).num_images == 8
    assert greys(opened(folder, seed=1)) != greys(train)


@pytest.mark.parametrize("name", ["validation", "val", "test"])
def test_a_folder_with_both_sides(tmp_path, name):
    for side in ("train", name):
        (tmp_path / side).mkdir()
        make_folder(tmp_path / side)
    (tmp_path / "train" / "bee" / "3.png").unlink()
    (tmp_path / name / "cow" / "0.png").unlink()
    train, validation = opened(tmp_path), opened(tmp_path, "validation")
    assert np.bincount(train.labels).tolist() == [6, 4, 4]
    assert np.bincount(validation.labels).tolist() == [6, 5, 3]
    assert train.class_names == validation.class_names == ["ant", "bee", "cow"]


def test_validation_comes_before_test(tmp_path):
    for side in ("train", "test", "val"):
        (tmp_path / side).mkdir()
        make_folder(tmp_path / side)
    (tmp_path / "val" / "ant" / "0.png").unlink()
    assert opened(tmp_path, "validation").num_images == 14


def test_both_sides_must_have_the_same_classes(tmp_path):
    for side in ("train", "val"):
        (tmp_path / side).mkdir()
        make_folder(tmp_path / side)
    (tmp_path / "val" / "bee").rename(tmp_path / "val" / "bees")
    for subset in ("training", "validation"):
        with pytest.raises(ValueError, match=r"\['bee'\].*\['bees'\]"):
            opened(tmp_path, subset)


def test_a_class_may_be_called_train(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "ant").rename(tmp_path / "train")
    assert opened(tmp_path).class_names == ["bee", "cow", "train"]


def test_a_published_dataset_in_a_folder(tmp_path):
    write_cifar10(tmp_path / "cifar-10-batches-bin")
    spec = f"cifar10:{tmp_path}"
    train = opened(spec, image_size=(32, 32))
    np.testing.assert_array_equal(collect(train)[0], asymmetric_images(10, 32))
    validation = opened(spec, "validation", image_size=(16, 16))
    assert collect(validation)[0].shape == (2, 16, 16, 3)


def test_birds_are_cropped_when_asked(tmp_path):
    spec = f"cub200_2011:{write_cub200(tmp_path / 'b')}"
    image = opened(spec, image_size=(6, 8), crop_to_box=True)[0][0][0]
    np.testing.assert_array_equal(image, bird_image()[2:8, 4:12])
    assert opened(spec, "validation").num_images == 2


def test_cifar10_by_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "cifar10").mkdir()
    make_folder(tmp_path / "cifar10")
    monkeypatch.chdir(tmp_path)
    splits = [
        (asymmetric_images(count, 32), np.arange(count)) for count in (6, 4)
    ]
    monkeypatch.setattr("keras_aib.data.published.load_cifar10", lambda: splits)
    assert opened("cifar10").num_images == 6
    assert opened("cifar10", "validation").num_images == 4
    assert opened("cifar10")[0][0].shape == (6, 8, 8, 3)
    assert opened("./cifar10").class_names == ["ant", "bee", "cow"]


def test_limit_takes_at_most_so_many_images(tmp_path):
    folder = make_folder(tmp_path)
    assert opened(folder, limit=100).num_images == 12
    few = opened(folder, limit=5)
    assert few.num_images == 5
    assert greys(few) == greys(opened(folder, limit=5))
    assert greys(few) < greys(opened(folder))
    with pytest.raises(ValueError, match="`num_images` must be"):
        opened(folder, limit=0)


def test_the_rest_is_passed_on(tmp_path):
    folder = make_folder(tmp_path)
    dataset = opened(
        folder,
        shuffle=True,
        seed=3,
        batch_size=5,
        augmentation=keras.layers.RandomFlip("horizontal"),
    )
    assert [len(labels) for _, labels in dataset] == [5, 5, 2]
    again = data.from_folder(
        folder,
        image_size=(8, 8),
        batch_size=5,
        validation_split=0.2,
        subset="training",
        seed=3,
        augmentation=keras.layers.RandomFlip("horizontal"),
    )
    np.testing.assert_array_equal(collect(dataset)[0], collect(again)[0])


@pytest.mark.parametrize(
    ("counts", "validation"),
    [
        ({"train": 4, "validation": 3, "test": 2}, 3),
        ({"train": 4, "test": 2}, 2),
    ],
)
def test_tfds_with_images_for_validation(tmp_path, counts, validation):
    spec = prepare_birds(tmp_path, counts)
    assert opened(spec, data_dir=tmp_path).num_images == 4
    side = opened(spec, "validation", data_dir=tmp_path)
    assert side.num_images == validation


def test_tfds_without_images_for_validation(tmp_path):
    spec = prepare_birds(tmp_path, {"train": 10})
    where = {"data_dir": tmp_path, "validation_split": 0.3}
    train = opened(spec, **where)
    validation = opened(spec, "validation", **where)
    assert (train.num_images, validation.num_images) == (7, 3)
    values = [collect(side)[0].max((1, 2, 3)) for side in (train, validation)]
    assert len(set(np.concatenate(values))) == 10
    assert opened(spec, **{**where, "validation_split": 1e-3}).num_images == 9


def test_tfds_without_training_images(tmp_path):
    spec = prepare_birds(tmp_path, {"test": 2})
    with pytest.raises(ValueError, match=r"splits \['test'\], none"):
        opened(spec, data_dir=tmp_path)


def test_tfds_birds_are_cropped_when_asked(tmp_path):
    spec = prepare_birds(tmp_path, {"train": 2, "test": 1})
    images, _ = collect(
        opened(spec, image_size=(6, 8), crop_to_box=True, data_dir=tmp_path)
    )
    assert (images.min((1, 2, 3)) > 0).all()
    whole, _ = collect(opened(spec, image_size=(6, 8), data_dir=tmp_path))
    assert (whole.min((1, 2, 3)) == 0).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere", "names no images.*'tfds:NAME', 'cifar10' or"),
        ("cifar11", "Did you mean 'cifar10'?"),
        ("cub200-2011:/data", "Did you mean 'cub200_2011'?"),
        ("stl10", "needs `directory`.*stl10_binary"),
        ("stl10:nowhere", "There is no folder nowhere"),
        ("tfds:", "'tfds:NAME'"),
        ("", "names no images"),
    ],
)
def test_specs_that_name_nothing(tmp_path, monkeypatch, spec, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        opened(spec)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subset": "test"}, "`subset` must be one of"),
        ({"validation_split": 0}, "between 0 and 1"),
        ({"crop_to_box": True}, "a folder of images has none"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        opened(make_folder(tmp_path), **arguments)


@pytest.mark.parametrize(
    ("text", "dataset", "place"),
    [
        ("tfds:beans", "tfds", "beans"),
        ("tfds:beans:0.1.0", "tfds", "beans:0.1.0"),
        (
            "tfds:imagenet_resized/32x32:0.1.0",
            "tfds",
            "imagenet_resized/32x32:0.1.0",
        ),
        ("cifar10", "cifar10", ""),
        ("stl10:there", "stl10", "/at/there"),
        ("stl10:/data:2", "stl10", "/data:2"),
        ("there", None, "/at/there"),
        ("a:b", None, "/at/a:b"),
        ("nowhere", None, "nowhere"),
        ("beans", None, "/at/beans"),
    ],
)
def test_a_line_of_text_is_read_by_one_rule(
    tmp_path, monkeypatch, text, dataset, place
):
    """Folders that have the names of datasets change nothing."""
    for folder in ("beans", "beans:0.1.0", "there", "a:b", "cifar10"):
        (tmp_path / folder).mkdir()
    (tmp_path / "imagenet_resized" / "32x32:0.1.0").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    spec = DataSpec.parse(text)
    place = place.replace("/at", str(tmp_path))
    assert spec.dataset == dataset
    absolute = spec.absolute()
    assert DataSpec.parse(absolute) == DataSpec(dataset, place)
    assert absolute == place if dataset is None else text.startswith(dataset)
    # Read from elsewhere, it names the same.
    monkeypatch.chdir("/")
    assert DataSpec.parse(absolute).absolute() == absolute


@pytest.mark.parametrize(
    "place",
    [
        "gs://bucket/photos",
        "s3://bucket/photos",
        "https://example.org/photos.zip",
        "hf://datasets/beans",
        "GS://bucket",
    ],
)
@pytest.mark.parametrize("spec", ["{}", "stl10:{}"])
def test_a_folder_elsewhere_is_refused(place, spec):
    with pytest.raises(ValueError, match=r"folders of this machine.*Copy it"):
        opened(spec.format(place))
    with pytest.raises(ValueError, match="folders of this machine"):
        small(place)
    with pytest.raises(ValueError, match="folders of this machine"):
        small(Path(place))
    with pytest.raises(ValueError, match="folders of this machine"):
        data.from_published("stl10", place)
