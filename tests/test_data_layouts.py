"""Image folders as people have them: recognised, or refused with the call."""

import os
import re
import warnings

import numpy as np
import pytest
from image_folders import collect
from image_folders import coloured
from image_folders import compiled_model
from PIL import Image

from keras_aib import data

pytestmark = pytest.mark.once
CLASSES = ("cat", "dog")


def put(root, *paths):
    """Write images, each of its own grey, in the order given."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        count = sum(1 for _ in root.rglob("*.png"))
        Image.fromarray(coloured(count)).save(file)


def put_classes(root, *folders, count=2):
    for folder in folders:
        for index in range(count):
            put(root, f"{folder}/{index}.png")


def opened(root, subset="training", **kwargs):
    return data.from_spec(root, 8, subset=subset, workers=1, **kwargs)


def from_folder(root, **kwargs):
    return data.from_folder(root, 8, workers=1, **kwargs)


def names_of(dataset):
    return [name for name, _ in dataset.list_images()]


def folders_of(dataset, root):
    return {
        path.removeprefix(f"{root}/").rpartition("/")[0]
        for path in (names_of(dataset))
    }


@pytest.mark.parametrize(
    ("train", "validation", "others"),
    [
        ("train", "validation", ["test"]),
        ("train", "val", ["test"]),
        ("Train", "Valid", []),
        ("Training", "Testing", []),
        ("TRAIN", "TEST", []),
        ("training_set", "test_set", []),
        ("trainset", "valset", ["testset"]),
        ("train_images", "val_images", []),
        ("train2017", "val2017", []),
        ("seg_train", "seg_test", []),
        ("birds-train", "birds-dev", ["birds-test"]),
    ],
)
@pytest.mark.parametrize("litter", [False, True])
def test_sides_of_a_split(tmp_path, train, validation, others, litter):
    sides = (train, validation, *others)
    put_classes(tmp_path, *(f"{side}/{c}" for side in sides for c in CLASSES))
    if litter:
        for name in (".git", "__MACOSX", "@eaDir", ".ipynb_checkpoints"):
            put_classes(
                tmp_path, name, f"{train}/{name}", f"{train}/cat/{name}"
            )
        for folder in (".", train, f"{train}/cat"):
            for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png"):
                (tmp_path / folder / name).write_bytes(b"")
    for subset, side in (("training", train), ("validation", validation)):
        dataset = opened(tmp_path, subset)
        assert dataset.class_names == ["cat", "dog"]
        assert folders_of(dataset, tmp_path) == {f"{side}/cat", f"{side}/dog"}
        assert dataset.num_images == 4
    with pytest.raises(ValueError, match=r"from_spec\(directory, subset="):
        from_folder(tmp_path)


def test_sides_inside_the_classes(tmp_path):
    put_classes(
        tmp_path,
        *(f"{c}/{s}" for c in CLASSES for s in ("Train", "val", "test")),
    )
    for subset, side in (("training", "Train"), ("validation", "val")):
        dataset = opened(tmp_path, subset)
        assert dataset.class_names == ["cat", "dog"]
        assert folders_of(dataset, tmp_path) == {f"cat/{side}", f"dog/{side}"}
    with pytest.raises(ValueError, match=r"from_spec\(directory, subset="):
        from_folder(tmp_path)
    put_classes(tmp_path, "cow")
    with pytest.raises(ValueError, match="Lay them out alike, such as"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["photos", "Photos"])
def test_a_folder_in_a_folder_of_its_name(tmp_path, name):
    put_classes(tmp_path, *(f"photos/{name}/{c}" for c in CLASSES))
    root = tmp_path / "photos"
    assert opened(root, validation_split=0.5).class_names == ["cat", "dog"]
    assert from_folder(root).class_names == ["cat", "dog"]
    put_classes(tmp_path, "other/data/cat", "other/data/dog")
    for call in (opened, from_folder):
        with pytest.raises(
            ValueError, match=re.escape(f"pass '{tmp_path}/other/data'")
        ):
            call(tmp_path / "other")


def test_each_side_in_a_folder_of_its_name(tmp_path):
    sides = ("seg_train/seg_train", "seg_test/seg_test")
    put_classes(tmp_path, *(f"{side}/{c}" for side in sides for c in CLASSES))
    assert opened(tmp_path).class_names == ["cat", "dog"]
    assert opened(tmp_path, "validation").num_images == 4


def test_a_copy_beside_the_sides_is_left_out_and_said(tmp_path):
    root = tmp_path / "xray"
    sides = [f"{side}/{c}" for side in ("train", "test") for c in CLASSES]
    put_classes(root, *sides, *(f"xray/{side}" for side in sides))
    with pytest.warns(UserWarning, match=r"left out: \['xray'\]"):
        assert opened(root).num_images == 4


def test_images_to_be_judged_are_no_validation_set(tmp_path):
    """A competition's test images have no class folders."""
    put_classes(tmp_path, "train/cat", "train/dog", "test", count=4)
    with pytest.warns(UserWarning, match=r"left out: \['test'\]"):
        train = opened(tmp_path, validation_split=0.25)
    with pytest.warns(UserWarning, match=r"left out: \['test'\]"):
        validation = opened(tmp_path, "validation", validation_split=0.25)
    assert (train.num_images, validation.num_images) == (6, 2)
    assert not {*names_of(train)} & {*names_of(validation)}


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["train", "test"], "each class needs its own folder inside them"),
        (["train", "val", "test"], "each class needs its own folder inside"),
        (["train/cat", "train/dog"], "pass '.*/train'"),
        (["train/a", "Train/a", "val/a"], "several folders for training"),
        (
            ["val/cat", "val/dog", "test/cat", "test/dog"],
            "Add a folder 'train'",
        ),
        (["train/a", "train/b", "val", "test/a"], "val has no subfolders"),
        (["train/a", "train/b", "val/a", "val/c"], r"\['b'\].*\['c'\]"),
        (["train/Cat", "train/b", "val/cat", "val/b"], r"\['Cat'\].*\['cat'\]"),
        (["train/a", "train/b", "masks", "notes"], "If the classes are inside"),
        (["cat/0", "cat/1"], "pass '.*/cat' if"),
    ],
)
def test_what_a_folder_does_not_tell_is_refused(tmp_path, folders, message):
    put_classes(tmp_path, *folders)
    for subset in ("training", "validation"):
        with pytest.raises(ValueError, match=message):
            opened(tmp_path, subset)


@pytest.mark.parametrize(
    "names",
    [
        ("bus", "car", "train"),
        ("test_negative", "test_positive"),
        ("invalid", "valid"),
        ("control", "test"),
        ("test_tube", "train_station"),
        ("1", "2", "10"),
        ("data", "images"),
    ],
)
def test_classes_that_only_sound_like_sides(tmp_path, names):
    put_classes(tmp_path, *names)
    assert opened(tmp_path, validation_split=0.5).class_names == sorted(names)
    assert from_folder(tmp_path).class_names == sorted(names)


@pytest.mark.parametrize(
    "names", [("train", "test"), ("train/steam", "train/diesel", "bus")]
)
def test_the_user_can_say_that_they_are_classes(tmp_path, names):
    put_classes(tmp_path, *names)
    classes = sorted({name.partition("/")[0] for name in names})
    with pytest.raises(ValueError, match=re.escape(f"class_names={classes}")):
        from_folder(tmp_path)
    assert from_folder(tmp_path, class_names=classes).class_names == classes


def test_links_are_followed_and_not_for_ever(tmp_path):
    put_classes(tmp_path, "store/dog", "store/more", "photos/cat")
    root = tmp_path / "photos"
    (root / "dog").symlink_to(tmp_path / "store" / "dog")
    (root / "cat" / "more").symlink_to(tmp_path / "store" / "more")
    (root / "cat" / "round").symlink_to(root)
    assert np.bincount(from_folder(root).labels).tolist() == [4 + 2, 2]


def test_a_class_folder_that_is_not_mounted(tmp_path):
    put_classes(tmp_path, *CLASSES)
    (tmp_path / "cow").symlink_to(tmp_path / "nowhere")
    for call in (opened, from_folder):
        with pytest.raises(ValueError, match=r"cow is a link to .*nowhere"):
            call(tmp_path)


@pytest.mark.parametrize("kind", ["tif", "tiff", "ppm", "ico", "tga", "jp2"])
def test_whatever_pillow_reads_is_read(tmp_path, kind):
    put_classes(tmp_path, *CLASSES)
    Image.fromarray(coloured(9, 16, 16)).save(tmp_path / "cat" / f"x.{kind}")
    dataset = from_folder(tmp_path)
    assert dataset.num_images == 5
    assert len(collect(dataset)[0]) == 5


@pytest.mark.parametrize(
    "names",
    [
        ["a.heic"],
        ["a.dcm", "b.dcm", "c.nii"],
        ["a.npy", "IMG_0001"],
        ["a.jpg.part", "b.h5", "c.mpeg", "d.eps", "e.txt"],
    ],
)
def test_files_left_out_are_counted_in_one_warning(tmp_path, names):
    put_classes(tmp_path, *CLASSES)
    for name in names:
        (tmp_path / "cat" / name).write_bytes(b"")
    with pytest.warns(UserWarning, match="are left out") as caught:
        dataset = from_folder(tmp_path)
    assert len(caught) == 1
    said = str(caught[0].message)
    assert said.startswith(f"{len(names)} files")
    for name in names:
        assert f".{name.rpartition('.')[2]} (" in said or (
            "." not in name and "without a suffix (1)" in said
        )
    assert dataset.num_images == 4


def test_names_that_are_no_text(tmp_path):
    """Unpacked from an old archive."""
    put_classes(tmp_path, "the")
    odd = str(tmp_path).encode() + b"/caf\xe9"
    os.makedirs(odd)
    for index in range(2):
        os.link(tmp_path / "the" / f"{index}.png", odd + b"/%d\xff.png" % index)
    with pytest.warns(UserWarning, match=r"no UTF-8.*Rename") as caught:
        dataset = from_folder(tmp_path, shuffle=False)
    assert len(caught) == 1
    for text in (*dataset.class_names, str(caught[0].message)):
        text.encode("utf-8")
    assert dataset.num_classes == 2
    assert len(collect(dataset)[0]) == 4
    with pytest.warns(UserWarning, match="no UTF-8"):
        again = from_folder(tmp_path, class_names=dataset.class_names[::-1])
    assert again.class_names == dataset.class_names[::-1]
    with open(odd + b"/0\xff.png", "wb") as file:
        file.write(b"no image")
    collect(dataset)
    with pytest.warns(UserWarning, match="cannot be read") as caught:
        dataset.on_epoch_end()
    str(caught[0].message).encode("utf-8")


def test_classes_that_differ_by_case(tmp_path):
    put_classes(tmp_path, "Cat", "cat")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("the file system knows no case")
    with pytest.warns(UserWarning, match="upper and lower case only"):
        assert from_folder(tmp_path).class_names == ["Cat", "cat"]


@pytest.mark.parametrize("call", [opened, from_folder])
def test_predictions_of_a_validation_side_line_up_with_labels(tmp_path, call):
    put_classes(tmp_path, *CLASSES, count=20)
    validation = call(tmp_path, subset="validation", validation_split=0.5)
    model = compiled_model()
    model.fit(
        call(tmp_path, subset="training", validation_split=0.5),
        validation_data=validation,
        verbose=0,
    )
    for _ in range(2):
        assert collect(validation)[1].tolist() == validation.labels.tolist()
        assert [
            f"/{CLASSES[label]}/" in name
            for label, name in zip(
                validation.labels, names_of(validation), strict=True
            )
        ] == [True] * 20
        validation.on_epoch_end()
    shuffled = call(
        tmp_path, subset="validation", validation_split=0.5, shuffle=True
    )
    assert collect(shuffled)[1].tolist() != shuffled.labels.tolist()
    train = call(tmp_path, subset="training", validation_split=0.5)
    assert collect(train)[1].tolist() != train.labels.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validation.on_epoch_end()
