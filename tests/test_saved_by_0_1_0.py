"""What the first release saved keeps loading, whatever has moved since.

`saved_by_0_1_0/` was written on TensorFlow by commit adf725ab, before the
layout of the package changed: a classifier with its optimizer and its preset, a
model compiled with the paper's optimizer, a net of single layers, statistics,
and what each of them gave.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_aib import attribution
from keras_aib.models import AIBClassifier

SAVED = Path(__file__).with_name("saved_by_0_1_0")


@pytest.fixture(scope="module")
def expected():
    with np.load(SAVED / "expected.npz") as arrays:
        return dict(arrays)


def check(model, logits, images):
    np.testing.assert_allclose(
        model.predict(images, verbose=0), logits, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "name",
    [
        "grouped",
        # JAX compiles Adam's state weight by weight.
        pytest.param("classifier", marks=pytest.mark.slow),
        pytest.param("layers", marks=pytest.mark.slow),
    ],
)
def test_models_load_with_their_optimizer_and_train_on(name, expected):
    model = keras.models.load_model(SAVED / f"{name}.keras")
    check(model, expected[name], expected["images"])
    steps = int(model.optimizer.iterations)
    assert steps >= 1
    history = model.fit(expected["images"], np.array([0, 1, 0, 1]), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert int(model.optimizer.iterations) == steps + 1


def test_presets_load_and_look_where_they_looked(expected):
    model = AIBClassifier.from_preset(SAVED / "preset")
    check(model, expected["preset"], expected["images"])
    maps = model.attention(expected["images"])["mean"]
    np.testing.assert_allclose(maps, expected["attention"], atol=1e-5)


def test_statistics_load_and_explain(expected):
    statistics = attribution.FeatureStatistics.load(SAVED / "statistics.npz")
    assert statistics.layers == ["tail"]
    model = keras.models.load_model(SAVED / "classifier.keras")
    with pytest.warns(UserWarning, match="of 4 images"):
        explain = attribution.IBA(model, "tail", statistics, steps=2)
    result = explain(expected["images"][:1], verbose=0)
    assert np.isfinite(result.bits).all()
