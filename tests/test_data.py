"""What an `ImageDataset` feeds to Keras: order, gaps, training."""

import re
import warnings

import keras
import numpy as np
import pytest
from image_folders import collect
from image_folders import compiled_model
from image_folders import make_folder
from image_folders import small
from image_folders import small_model
from image_folders import truncate
from PIL import ImageFile


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path)


def test_folder_batches_and_attributes(folder):
    dataset = small(folder, shuffle=False)
    assert dataset.class_names == ["ant", "bee", "cow"]
    assert (dataset.num_classes, dataset.num_images) == (3, 15)
    assert len(dataset) == 4
    assert [len(labels) for _, labels in dataset] == [4, 4, 4, 3]
    images, labels = collect(dataset)
    assert (images.shape, images.dtype) == ((15, 8, 8, 3), np.float32)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, dataset.labels)
    expected = [
        80 * c + 10 * i for c, n in enumerate([6, 5, 4]) for i in range(n)
    ]
    np.testing.assert_array_equal(images[:, 0, 0, 0], expected)
    assert dataset.unreadable == []


def test_batch_out_of_range(folder):
    with pytest.raises(IndexError, match="4 batches"):
        small(folder)[4]


def test_shuffle_keeps_labels_aligned_and_is_new_each_pass(folder):
    dataset = small(folder)
    first = collect(dataset)
    np.testing.assert_array_equal(first[0][:, 0, 0, 0] // 80, first[1])
    np.testing.assert_array_equal(first[0], collect(dataset)[0])
    dataset.on_epoch_end()
    second = collect(dataset)
    assert not np.array_equal(first[0], second[0])
    assert sorted(first[0][:, 0, 0, 0]) == sorted(second[0][:, 0, 0, 0])
    again = small(folder)
    again.on_epoch_end()
    np.testing.assert_array_equal(second[0], collect(again)[0])
    other = small(folder, seed=1)
    assert not np.array_equal(first[0], collect(other)[0])


def test_channels_first(folder):
    keras.config.set_image_data_format("channels_first")
    images, _ = small(folder, image_size=(8, 10))[0]
    assert images.shape == (4, 3, 8, 10)


@pytest.mark.parametrize("extension", ["jpg", "png", "bmp", "gif", "webp"])
def test_truncated_image_is_left_out_and_named_once(folder, extension):
    bad = folder / "bee" / f"2.{extension}"
    truncate(bad)
    (folder / "bee" / "2.png").unlink(missing_ok=extension != "png")
    if extension == "png":
        truncate(bad)
    dataset = small(folder, shuffle=False)
    images, labels = collect(dataset)
    assert len(images) == 14
    np.testing.assert_array_equal(images[:, 0, 0, 0] // 80, labels)
    assert dataset.unreadable == [str(bad)]
    assert dataset.num_images == 14
    np.testing.assert_array_equal(dataset.labels, labels)
    with pytest.warns(UserWarning, match=re.escape(str(bad))) as caught:
        dataset.on_epoch_end()
    assert len(caught) == 1
    assert "1 of 15 images" in str(caught[0].message)
    assert len(collect(dataset)[0]) == 14
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset.on_epoch_end()


@pytest.mark.parametrize("content", [b"", b"no image at all"])
def test_a_file_that_is_no_image(folder, content):
    (folder / "ant" / "0.png").write_bytes(content)
    dataset = small(folder)
    assert len(collect(dataset)[0]) == 14
    with pytest.warns(UserWarning, match=r"0\.png"):
        dataset.on_epoch_end()


def test_a_file_that_went_away(folder):
    dataset = small(folder)
    (folder / "ant" / "0.png").unlink()
    assert len(collect(dataset)[0]) == 14
    assert dataset.unreadable == [str(folder / "ant" / "0.png")]


def test_strict_names_the_file(folder):
    bad = folder / "ant" / "3.png"
    truncate(bad)
    dataset = small(folder, shuffle=False, strict=True)
    with pytest.raises(ValueError, match=re.escape(str(bad))):
        dataset[0]


def test_a_batch_without_a_readable_image_borrows_one(folder):
    for index in range(4):
        truncate(folder / "ant" / f"{index}.png")
    dataset = small(folder, shuffle=False)
    for _ in range(2):
        images, labels = dataset[0]
        assert labels.tolist() == [0]
        np.testing.assert_array_equal(images[0], dataset[1][0][0])
    assert len(dataset[1][0]) == 4


def test_a_folder_without_a_readable_image(folder):
    for path in folder.rglob("*.png"):
        truncate(path)
    with pytest.raises(ValueError, match=r"None of 15 images can be"):
        small(folder)[0]


def test_many_unreadable_images_are_not_all_spelt_out(folder):
    for index in range(30):
        (folder / "ant" / f"bad{index}.png").write_bytes(b"")
    dataset = small(folder, batch_size=45)
    collect(dataset)
    with pytest.warns(UserWarning, match="30 of 45 images.*and 10 more"):
        dataset.on_epoch_end()
    assert len(dataset.unreadable) == 30


def test_pillow_set_to_fill_truncated_images(folder, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.warns(UserWarning, match="filled with grey"):
        small(folder)


@pytest.mark.parametrize("workers", [1, 2])
def test_fit_goes_on_past_an_unreadable_image(folder, workers):
    truncate(folder / "ant" / "3.png")
    dataset = small(folder, workers=workers)
    with pytest.warns(UserWarning, match="1 of 15 images") as caught:
        history = compiled_model().fit(dataset, epochs=2, verbose=0)
    messages = [str(warning.message) for warning in caught]
    assert sum("cannot be read" in message for message in messages) == 1
    assert len(history.history["loss"]) == 2


def test_predictions_line_up_with_labels(folder):
    truncate(folder / "ant" / "3.png")
    dataset = small(folder, shuffle=False, workers=2)
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D()])
    with pytest.warns(UserWarning, match="cannot be read"):
        means = model.predict(dataset, verbose=0)
    assert len(means) == len(dataset.labels) == 14
    np.testing.assert_array_equal(means[:, 0] // 80, dataset.labels)


@pytest.mark.parametrize("workers", [1, 2])
def test_fit_evaluate_predict_from_a_folder(folder, workers):
    train = small(folder, workers=workers)
    validation = small(
        folder,
        validation_split=0.3,
        subset="validation",
        shuffle=False,
        workers=workers,
    )
    model = compiled_model()
    history = model.fit(
        train, validation_data=validation, epochs=6, verbose=0
    ).history
    assert history["loss"][-1] < history["loss"][0]
    loss, accuracy = model.evaluate(validation, verbose=0)
    logits = model.predict(validation, verbose=0)
    agreement = np.mean(logits.argmax(-1) == validation.labels)
    assert accuracy == pytest.approx(agreement)
    assert np.isfinite(loss)


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("steps", [None, 2])
def test_each_image_is_served_once_in_a_pass(folder, built, steps):
    """Keras's own workers carry queued batches over into the next pass."""

    class Recorder(keras.layers.Layer):
        def call(self, images):
            return images[:, 0, 0, :1]

    dataset = small(folder, shuffle=False, workers=3)
    model = keras.Sequential([Recorder()])
    if built:
        model.build((None, 8, 8, 3))
    if steps:
        model.predict(dataset, steps=steps, verbose=0)
    greys = model.predict(dataset, verbose=0)[:, 0]
    np.testing.assert_array_equal(greys, collect(dataset)[0][:, 0, 0, 0])


def test_threads_change_nothing(folder):
    def weights(workers):
        keras.utils.set_random_seed(0)
        augmentation = keras.layers.RandomTranslation(0.3, 0.3, seed=1)
        dataset = small(folder, workers=workers, augmentation=augmentation)
        model = small_model()
        model.build((None, 8, 8, 3))
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(dataset, epochs=2, verbose=0, shuffle=False)
        return model.layers[-1].get_weights()[0]

    np.testing.assert_allclose(weights(1), weights(4), rtol=1e-6)
