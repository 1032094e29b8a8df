"""Keras still keeps to itself what the package reads there."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_aib.utils import keras_internals

ROOT = Path(__file__).parents[1]
PRIVATE = re.compile(
    r"\._flatten_layers|\._keras_history|\._inbound_nodes|\._tracker\b"
    r"|\._get_variable_index|\bkeras(_hub|_cv)?\.src\b"
)


def nested():
    inner = keras.Sequential([keras.layers.Dense(2, name="deep")], name="in")
    outer = keras.Sequential([keras.Input((3,)), inner])
    return outer, inner


def test_layers_are_found_at_any_depth():
    outer, inner = nested()
    deep = inner.get_layer("deep")
    assert {outer, inner, deep} <= set(keras_internals.flat_layers(outer))
    held = keras_internals.inner_layers(outer)
    assert inner in held
    assert outer not in held
    assert deep not in held


def test_a_tensor_tells_its_call():
    images = keras.Input((4,))
    split = keras.ops.split(images, 2, axis=-1)
    source = keras_internals.find_source(split[1])
    assert isinstance(source.operation, keras.Operation)
    assert source.output_index == 1
    assert source.inputs == [images]


def test_an_optimizer_tells_the_index_of_a_variable():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    seen = []

    class Optimizer(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            seen.append(keras_internals.variable_index(self, variable))
            super().update_step(gradient, variable, learning_rate)

    model.compile(Optimizer(), "mse")
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    assert set(seen) == {0, 1}


@pytest.mark.once
def test_nothing_else_touches_what_is_private():
    paths = [*ROOT.glob("keras_aib/**/*.py"), *ROOT.glob("zoo/**/*.py")]
    assert len(paths) > 100
    found = [
        str(path.relative_to(ROOT))
        for path in paths
        if PRIVATE.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["keras_aib/utils/keras_internals.py"]
