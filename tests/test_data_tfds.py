"""TFDS datasets are read without TensorFlow."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from image_folders import collect
from image_folders import coloured
from image_folders import compiled_model

from keras_aib import data


@pytest.fixture(scope="module")
def tfds():
    return pytest.importorskip("tensorflow_datasets")


@pytest.fixture(scope="module")
def prepared(tfds, tmp_path_factory):
    """A dataset of twelve images, prepared in the array_record format."""
    directory = tmp_path_factory.mktemp("tfds")
    builder(tfds)(
        data_dir=directory, file_format="array_record"
    ).download_and_prepare()
    return directory


def builder(tfds):
    if "tiny_pictures" in tfds.core.registered.list_imported_builders():
        return tfds.builder_cls("tiny_pictures")

    class TinyPictures(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = None

        def _info(self):
            features = tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(names=["dark", "light"]),
                    "id": tfds.features.Text(),
                }
            )
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i in range(12):
                yield (
                    i,
                    {
                        "image": coloured(20 + i + 180 * (i % 2), 6 + i),
                        "label": i % 2,
                        "id": str(i),
                    },
                )

    return TinyPictures


def tiny(prepared, **kwargs):
    return data.from_tfds(
        "tiny_pictures",
        data_dir=prepared,
        **{"image_size": (8, 8), "batch_size": 5, "shuffle": False, **kwargs},
    )


def test_tfds_batches(prepared):
    dataset = tiny(prepared)
    assert dataset.class_names == ["dark", "light"]
    assert (dataset.num_images, len(dataset)) == (12, 3)
    images, labels = collect(dataset)
    assert images.shape == (12, 8, 8, 3)
    np.testing.assert_array_equal(images[:, 0, 0, 0] > 127, labels)
    np.testing.assert_array_equal(dataset.labels, labels)
    assert set(images[:, 0, 0, 0]) == {
        20 + i + 180 * (i % 2) for i in range(12)
    }
    assert tiny(prepared, split="train[:25%]").num_images == 3


def test_fit_from_tfds(prepared):
    dataset = tiny(prepared, shuffle=True, split="train[:50%]")
    history = compiled_model().fit(dataset, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.once
def test_reading_tfds_does_not_import_tensorflow(prepared):
    if keras.backend.backend() == "tensorflow":
        backend = "import tensorflow"
    else:
        backend = "pass"
    script = (
        f"{backend}\nimport sys\nfrom keras_aib import data\n"
        "before = 'tensorflow' in sys.modules\n"
        f"dataset = data.from_tfds('tiny_pictures', data_dir={str(prepared)!r},"
        " image_size=(8, 8))\n"
        "images, labels = dataset[0]\n"
        "print(images.shape, len(dataset.labels),"
        " before == ('tensorflow' in sys.modules))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert result.stdout.strip() == "(12, 8, 8, 3) 12 True", result.stderr


def test_tfds_not_prepared(tfds, tmp_path):
    builder(tfds)
    with pytest.raises(ValueError, match=r"not prepared.*download=True"):
        tiny(tmp_path, download=False)


def test_tfds_download_that_fails(tfds, tmp_path, monkeypatch):
    def fail(self):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(builder(tfds), "download_and_prepare", fail)
    with pytest.raises(
        ValueError, match=r"no route to host.*with TensorFlow and internet"
    ):
        tiny(tmp_path)


def test_tfds_prepared_in_another_format(tfds, tmp_path):
    builder(tfds)(
        data_dir=tmp_path, file_format="tfrecord"
    ).download_and_prepare()
    with pytest.raises(ValueError, match="use another data_dir"):
        tiny(tmp_path)


def test_unknown_tfds_name(tfds, tmp_path):
    with pytest.raises(ValueError, match="not found"):
        data.from_tfds("no_such_dataset", data_dir=tmp_path)


def test_unknown_tfds_split(prepared):
    with pytest.raises(ValueError, match="Unknown split 'nope'"):
        tiny(prepared, split="nope")


def test_tfds_without_one_image_and_one_class(tfds, tmp_path, monkeypatch):
    features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
    monkeypatch.setattr(
        builder(tfds),
        "_info",
        lambda self: tfds.core.DatasetInfo(builder=self, features=features),
    )
    with pytest.raises(ValueError, match="must have one image and one class"):
        tiny(tmp_path)


def test_without_tfds_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match="pip install tensorflow-datasets"):
        data.from_tfds("beans")
