"""Statistics: what NumPy says of all images at once."""

import keras
import numpy as np
import pytest
from explained_models import pixels
from explained_models import residual_model

from keras_aib import attribution
from keras_aib.attribution import FeatureStatistics
from keras_aib.attribution import estimate_statistics

LAYERS = ["stem", "inside"]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return residual_model()


@pytest.fixture(scope="module")
def expected(model):
    outputs = [model.get_layer(name).output for name in LAYERS]
    return keras.Model(model.input, outputs).predict(pixels(23), verbose=0)


def features(count=50, seed=0):
    random = np.random.default_rng(seed)
    return {"conv": random.normal(3.0, 2.0, size=(count, 2, 2, 3))}


@pytest.mark.parametrize("batch_size", [5, 23, 64])
def test_one_pass_is_what_numpy_says(model, expected, batch_size):
    found = estimate_statistics(
        model, LAYERS, pixels(23), batch_size, verbose=0
    )
    assert found.count == 23
    assert found.layers == LAYERS
    for name, values in zip(LAYERS, expected, strict=True):
        np.testing.assert_allclose(found.mean(name), values.mean(0), atol=1e-5)
        stddev = np.maximum(values.std(0, ddof=1), 0.01)
        np.testing.assert_allclose(found.stddev(name), stddev, atol=1e-4)


def test_parts_merge_into_the_whole():
    values = features(50)["conv"]
    whole, one, other = (FeatureStatistics() for _ in range(3))
    whole.update({"conv": values})
    one.update({"conv": values[:7]})
    one.update({"conv": values[7:20]})
    other.update({"conv": values[20:]})
    merged = one.merge(other)
    assert merged.count == 50
    assert one.count == 20
    for name in ("mean", "stddev", "active"):
        np.testing.assert_allclose(
            getattr(merged, name)("conv"),
            getattr(whole, name)("conv"),
            rtol=1e-6,
        )


def test_large_means_do_not_swallow_small_spreads():
    random = np.random.default_rng(0)
    values = 1e4 + random.normal(0, 0.1, size=(1000, 1, 1, 1))
    statistics = FeatureStatistics()
    for start in range(0, 1000, 10):
        statistics.update({"conv": values[start : start + 10]})
    np.testing.assert_allclose(
        statistics.stddev("conv"), values.std(0, ddof=1), rtol=1e-4
    )


def test_floor_and_dead_neurons():
    values = np.zeros((200, 1, 1, 3))
    values[:2, ..., 1] = 1.0
    values[:3, ..., 2] = 1.0
    statistics = FeatureStatistics()
    statistics.update({"conv": values})
    assert statistics.stddev("conv")[0, 0, 0] == np.float32(0.01)
    assert statistics.active("conv").ravel().tolist() == [False, False, True]


def test_saved_and_loaded(tmp_path):
    statistics = FeatureStatistics()
    statistics.update(features())
    statistics.save(tmp_path / "deep" / "statistics.npz")
    loaded = FeatureStatistics.load(tmp_path / "deep" / "statistics.npz")
    assert loaded.count == 50
    assert loaded.layers == ["conv"]
    for name in ("mean", "stddev", "active"):
        np.testing.assert_array_equal(
            getattr(loaded, name)("conv"), getattr(statistics, name)("conv")
        )
    loaded.update(features(5, seed=1))
    assert loaded.count == 55


def test_files_that_cannot_be_read_say_what_to_do(tmp_path):
    path = tmp_path / "statistics.npz"
    with pytest.raises(FileNotFoundError):
        FeatureStatistics.load(path)
    statistics = FeatureStatistics()
    statistics.update(features())
    statistics.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        ValueError, match=r"statistics.npz.*Estimate them again"
    ):
        FeatureStatistics.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValueError, match="format_version"):
        FeatureStatistics.load(path)
    path.write_text("no archive")
    with pytest.raises(ValueError, match="no statistics that can be read"):
        FeatureStatistics.load(path)


def test_what_does_not_fit_is_refused(model):
    statistics = FeatureStatistics()
    statistics.update(features())
    other = FeatureStatistics()
    other.update({"dense": np.zeros((2, 3))})
    with pytest.raises(ValueError, match="same layers"):
        statistics.merge(other)
    with pytest.raises(ValueError, match=r"\(2, 2, 3\) and \(3, 3, 3\)"):
        statistics.update({"conv": np.zeros((2, 3, 3, 3))})
    with pytest.raises(ValueError, match="no statistics of layer 'dense'"):
        statistics.mean("dense")
    with pytest.raises(ValueError, match="'conv' hold NaN"):
        statistics.update({"conv": np.full((2, 2, 2, 3), np.nan)})
    with pytest.raises(ValueError, match="gave no images"):
        estimate_statistics(model, LAYERS, iter(()), verbose=0)
    with pytest.raises(TypeError, match="must be an array"):
        estimate_statistics(model, LAYERS, 3, verbose=0)
    with pytest.raises(ValueError, match="NaN"):
        estimate_statistics(model, LAYERS, pixels(3) * np.nan, verbose=0)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_tell_no_spread(model, count):
    statistics = FeatureStatistics()
    if count:
        statistics.update({"stem": np.zeros((1, 8, 8, 4))})
    match = "2 images at least" if count else "no statistics of layer"
    with pytest.raises(ValueError, match=match):
        attribution.IBA(model, "stem", statistics)
