"""A map that says nothing is said to, and errors name what is wrong."""

import keras
import numpy as np
import pytest
from explained_models import patch_model
from explained_models import pixels
from explained_models import residual_model
from explained_models import statistics_of

from keras_aib import attribution


@pytest.fixture(scope="module")
def patch():
    model = patch_model()
    return model, statistics_of(model, ["conv"])


def explain(model, statistics, images, targets=None, **options):
    method = attribution.IBA(model, "conv", statistics, **options)
    return method(images, targets, verbose=0)


def test_what_is_kept_is_told_and_a_lost_decision_warned_of(patch):
    model, statistics = patch
    images = 2 * pixels(4)
    logits = model.predict(images, verbose=0)
    said = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    kept = explain(model, statistics, images, beta=0.01)
    np.testing.assert_allclose(kept.probability, said.max(axis=-1), atol=1e-5)
    with pytest.warns(UserWarning, match=r"decision is lost.*Lower `beta`"):
        lost = explain(model, statistics, images, beta=1000.0)
    assert (lost.kept_probability < kept.kept_probability).all()


def test_features_unlike_the_statistics_are_told(patch):
    model, statistics = patch
    assert explain(model, statistics, pixels(1)).outside_statistics[0] < 0.01
    flat = np.zeros((1000, 8, 8, 3), "float32")
    flat[:500] += 1e-3
    still = attribution.estimate_statistics(model, ["conv"], flat, 250, 0)
    speck = flat[:1].copy()
    speck[:, 2, 5] = 1.0
    with pytest.warns(UserWarning, match=r"unlike those of the.*0\.001 to 1"):
        found = explain(model, still, speck, steps=1)
    assert 0 < found.outside_statistics[0] < 0.05


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_statistics_of_other_weights_are_told(tmp_path, dtype):
    model = residual_model()
    found = statistics_of(model, ["inside"])
    found.save(tmp_path / "found.npz")
    found = attribution.FeatureStatistics.load(tmp_path / "found.npz")
    assert found.pixel_range[0] < -2 < 2 < found.pixel_range[1]
    method = attribution.IBA(model, "inside", found, steps=1)
    stem, head = model.get_layer("stem"), model.get_layer("head")
    stem.set_weights([w.astype(dtype) for w in stem.get_weights()])
    # Training of what comes later leaves the features as they were.
    head.set_weights([2 * w for w in head.get_weights()])
    method(pixels(1), verbose=0)
    stem.set_weights([1.1 * w for w in stem.get_weights()])
    with pytest.warns(UserWarning, match=r"'inside'.*other weights"):
        method(pixels(1), verbose=0)
    with pytest.raises(ValueError, match="models of different weights"):
        found.merge(statistics_of(model, ["inside"]))
    found.fingerprints.clear()  # As in files of earlier releases.
    method(pixels(1), verbose=0)


def test_saturated_outputs_are_no_wrong_layer(patch):
    model, statistics = patch
    with pytest.raises(ValueError, match=r"saturated.*scale them") as error:
        explain(model, statistics, 1e4 + pixels(1), [0])
    assert "another layer" not in str(error.value)


def test_a_trained_subclass_is_explained():
    class Trained(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv2D(2, 3, name="conv")
            self.pooling = keras.layers.GlobalAveragePooling2D()
            self.head = keras.layers.Dense(3)

        def call(self, images):
            return self.head(self.pooling(self.conv(images)))

    with pytest.raises(ValueError, match="never built"):
        attribution.list_layers(Trained())
    model = Trained()
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(pixels(4), np.arange(4) % 3, verbose=0)
    (path,) = attribution.list_layers(model)
    assert path.endswith("/conv")
    found = explain(model, statistics_of(model, ["conv"]), pixels(2))
    assert found.bits.shape == (2, 8, 8)
