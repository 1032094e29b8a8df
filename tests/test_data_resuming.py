"""A dataset that starts at a later pass, and a part of a dataset."""

import keras
import numpy as np
import pytest
from image_folders import collect
from image_folders import compiled_model
from image_folders import make_folder
from image_folders import noisy_images
from image_folders import small
from image_folders import truncate

from keras_aib import data


def augmented(**kwargs):
    augmentation = [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomTranslation(0.2, 0.2),
    ]
    return data.from_arrays(
        noisy_images(10),
        np.arange(10) % 3,
        batch_size=4,
        augmentation=augmentation,
        seed=7,
        **kwargs,
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_start_at_gives_the_batches_of_an_uninterrupted_run(workers):
    whole = augmented(workers=workers)
    passes = []
    for _ in range(4):
        passes.append(collect(whole))
        whole.on_epoch_end()
    resumed = augmented(workers=workers)
    resumed.start_at(2)
    for expected in passes[2:]:
        images, labels = collect(resumed)
        np.testing.assert_array_equal(images, expected[0])
        np.testing.assert_array_equal(labels, expected[1])
        resumed.on_epoch_end()
    assert not np.array_equal(passes[2][0], passes[0][0])
    resumed.start_at(0)
    np.testing.assert_array_equal(collect(resumed)[0], passes[0][0])


def test_fit_goes_on_as_if_it_had_not_been_stopped():
    def trained(dataset, model, start, end):
        epochs = {"initial_epoch": start, "epochs": end}
        model.fit(dataset, shuffle=False, verbose=0, **epochs)
        return model

    def new_model():
        keras.utils.set_random_seed(0)
        model = compiled_model()
        model.build((None, 8, 8, 3))
        return model

    whole = trained(augmented(), new_model(), 0, 3)
    stopped = trained(augmented(), new_model(), 0, 1)
    rest = augmented()
    rest.start_at(1)
    resumed = trained(rest, stopped, 1, 3)
    for expected, received in zip(
        whole.get_weights(), resumed.get_weights(), strict=True
    ):
        np.testing.assert_allclose(received, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("epoch", [-1, 1.5, None])
def test_start_at_no_epoch(epoch):
    with pytest.raises(ValueError, match="`epoch` must be an integer"):
        augmented().start_at(epoch)


def test_a_sample_is_a_part_with_its_labels(tmp_path):
    whole = small(make_folder(tmp_path), shuffle=False)
    images, labels = collect(whole)
    part = whole.sample(7)
    chosen, chosen_labels = collect(part)
    greys = chosen[:, 0, 0, 0]
    assert part.num_images == len(set(greys)) == 7
    assert set(greys) < set(images[:, 0, 0, 0])
    np.testing.assert_array_equal(greys // 80, chosen_labels)
    np.testing.assert_array_equal(part.labels, chosen_labels)
    assert part.class_names == whole.class_names
    assert set(collect(whole.sample(15))[1]) == set(labels)


def test_a_sample_follows_its_own_seed_alone(tmp_path):
    make_folder(tmp_path)

    def greys(dataset_seed, seed=0):
        dataset = small(tmp_path, seed=dataset_seed).sample(7, seed)
        return set(collect(dataset)[0][:, 0, 0, 0])

    assert greys(0) == greys(1)
    assert greys(0) != greys(0, seed=1)


def test_a_sample_keeps_the_settings(tmp_path):
    whole = augmented()
    part = whole.sample(10)
    np.testing.assert_array_equal(collect(part)[0], collect(whole)[0])
    folder = make_folder(tmp_path)
    truncate(folder / "ant" / "3.png")
    with pytest.raises(ValueError, match=r"3\.png"):
        list(small(folder, strict=True).sample(15))
    part = small(folder).sample(15)
    assert len(collect(part)[0]) == 14
    assert part.unreadable == [str(folder / "ant" / "3.png")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_images": 11}, "There are 10 images. Received: num_images=11"),
        ({"num_images": 0}, "`num_images` must be an integer of at least 1"),
        ({"num_images": 2.0}, "`num_images` must be"),
        ({"num_images": 2, "seed": -1}, "`seed` must be"),
    ],
)
def test_a_sample_that_cannot_be_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        augmented().sample(**arguments)
