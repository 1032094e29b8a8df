"""Datasets that are copied, pickled, and read in other processes."""

import copy
import multiprocessing
import pickle

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
from keras_aib.data.decoding import UnreadableImageError

pytestmark = [
    pytest.mark.timeout(180),
    # Python's of a fork beside threads, and JAX's.
    pytest.mark.filterwarnings("ignore:.*fork.*"),
]


def from_folder(tmp_path, **kwargs):
    return small(make_folder(tmp_path), workers=2, **kwargs)


def from_arrays(tmp_path, **kwargs):
    return data.from_arrays(
        noisy_images(15), np.arange(15) % 3, batch_size=4, **kwargs
    )


def sampled(tmp_path, **kwargs):
    return from_folder(tmp_path, **kwargs).sample(9)


SOURCES = [from_folder, from_arrays, sampled]


def assert_same(one, two):
    for first, second in zip(collect(one), collect(two), strict=True):
        np.testing.assert_array_equal(first, second)
    assert one.list_images() == two.list_images()


@pytest.mark.once
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))],
)
def test_a_copy_gives_the_same_batches(tmp_path, source, used, duplicate):
    layers = [keras.layers.RandomTranslation(0.3, 0.3)]
    dataset = source(tmp_path, augmentation=layers, seed=3)
    if used:
        collect(dataset)
        dataset.on_epoch_end()
    again = duplicate(dataset)
    assert_same(again, dataset)
    # The copy goes its own way, and as far.
    again.on_epoch_end()
    dataset.on_epoch_end()
    assert_same(again, dataset)


def test_augmentation_is_pickled(tmp_path):
    layers = [keras.layers.RandomTranslation(0.3, 0.3)]
    dataset = from_arrays(tmp_path, augmentation=layers)
    collect(dataset)
    assert_same(pickle.loads(pickle.dumps(dataset)), dataset)


def read_in_child(dataset, results):
    results.put(collect(dataset))


@pytest.mark.parametrize(
    ("method", "used"),
    [
        ("fork", False),
        ("fork", True),
        pytest.param("spawn", True, marks=pytest.mark.once),
    ],
)
def test_another_process_reads_the_same(tmp_path, used, method):
    dataset = from_folder(tmp_path)
    expected = collect(dataset) if used else collect(copy.copy(dataset))
    context = multiprocessing.get_context(method)
    results = context.Queue()
    child = context.Process(target=read_in_child, args=(dataset, results))
    child.start()
    received = results.get(timeout=100)
    child.join(timeout=20)
    for one, two in zip(expected, received, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.once
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("augmented", [False, True])
def test_workers_of_torch(tmp_path, source, used, augmented):
    torch_data = pytest.importorskip("torch.utils.data")
    flip = keras.layers.RandomFlip() if augmented else None
    dataset = source(tmp_path, augmentation=flip)
    expected = collect(dataset if used else copy.copy(dataset))
    loader = torch_data.DataLoader(
        dataset, batch_size=None, num_workers=2, timeout=60
    )
    for one, two in zip(expected, collect(loader), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("processes", [False, True])
def test_workers_of_keras(tmp_path, processes):
    dataset = from_folder(tmp_path, shuffle=False)
    collect(dataset)
    dataset.workers = 2
    dataset.use_multiprocessing = processes
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D()])
    # Else Keras takes a first batch, and its workers lose the order.
    model.build((None, 8, 8, 3))
    means = model.predict(dataset, verbose=0)
    np.testing.assert_array_equal(means[:, 0] // 80, dataset.labels)
    compiled_model().fit(dataset, epochs=2, verbose=0)


@pytest.mark.once
def test_a_worker_names_what_it_cannot_read(tmp_path):
    """Nobody else would: the pass of a worker process has no end."""
    dataset = from_folder(tmp_path)
    truncate(tmp_path / "ant" / "3.png")
    context = multiprocessing.get_context("fork")
    results = context.Queue()

    def read():
        with pytest.warns(UserWarning, match=r"3\.png") as caught:
            labels = collect(dataset)[1]
        results.put((len(labels), len(caught)))

    child = context.Process(target=read)
    child.start()
    assert results.get(timeout=60) == (14, 1)
    child.join(timeout=20)


@pytest.mark.once
def test_the_error_of_a_strict_worker_arrives(tmp_path):
    dataset = from_folder(tmp_path, strict=True)
    truncate(tmp_path / "ant" / "3.png")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        result = pool.apply_async(collect, (dataset,))
        with pytest.raises(UnreadableImageError, match=r"3\.png"):
            result.get(timeout=60)


def test_augmentation_in_a_fork_is_refused_instead_of_hanging(
    tmp_path, monkeypatch
):
    if keras.config.backend() == "torch":
        torch = pytest.importorskip("torch")
        monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    dataset = from_arrays(tmp_path, augmentation=keras.layers.RandomFlip())
    collect(dataset)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        result = pool.apply_async(collect, (dataset,))
        with pytest.raises(
            RuntimeError, match="cannot run in a forked process"
        ):
            result.get(timeout=60)
