"""What is wrong is refused, in words that say what to do."""

import keras
import numpy as np
import pytest
from explained_models import patch_model
from explained_models import pixels
from explained_models import residual_model
from explained_models import statistics_of
from keras import ops

from keras_aib import attribution


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return residual_model()


@pytest.fixture(scope="module")
def statistics(model):
    return statistics_of(model, ["stem", "block_1"])


@pytest.mark.once
def test_layers(model, statistics):
    with pytest.raises(ValueError, match=r"no layer 'steem'.*'stem'"):
        attribution.IBA(model, "steem", statistics)
    with pytest.raises(ValueError, match="no statistics of layer 'inside'"):
        attribution.IBA(model, "inside", statistics)
    with pytest.raises(ValueError, match="list of one or more layers"):
        attribution.CoIBA(model, "stem", statistics)
    with pytest.raises(ValueError, match="list of one or more layers"):
        attribution.CoIBA(model, [], statistics)
    backwards = attribution.CoIBA(model, ["block_1", "stem"], statistics)
    with pytest.raises(ValueError, match=r"Expected: \['stem', 'block_1'\]"):
        backwards(pixels(1), verbose=0)
    headed = statistics_of(model, ["head"])
    with pytest.raises(ValueError, match="before the pooling"):
        attribution.IBA(model, "head", headed)(pixels(1), verbose=0)


@pytest.mark.once
def test_resolutions_must_agree():
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, padding="same", name="fine")(images)
    x = keras.layers.Conv2D(2, 3, strides=2, padding="same", name="coarse")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(2)(x))
    layers = ["fine", "coarse"]
    explain = attribution.CoIBA(model, layers, statistics_of(model, layers))
    with pytest.raises(ValueError, match=r"one resolution"):
        explain(pixels(1), verbose=0)


@pytest.mark.once
def test_statistics(model):
    with pytest.raises(TypeError, match="estimate_statistics"):
        attribution.IBA(model, "stem", {"stem": 1})
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(2, 3, name="conv")(images)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    flexible = keras.Model(images, keras.layers.Dense(2)(pooled))
    found = statistics_of(flexible, ["conv"])
    explain = attribution.IBA(flexible, "conv", found)
    with pytest.raises(ValueError, match=r"\(6, 6, 2\).*\(10, 10, 2\).*size"):
        explain(pixels(1, size=12), verbose=0)


@pytest.mark.once
def test_few_images_are_warned_of(model):
    few = statistics_of(model, ["stem"], count=20)
    with pytest.warns(UserWarning, match="statistics are of 20 images") as seen:
        attribution.IBA(model, "stem", few)
    assert seen[0].filename == __file__


@pytest.mark.once
def test_images_and_targets(model, statistics):
    explain = attribution.IBA(model, "stem", statistics)
    broken = pixels(3)
    broken[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="index 1"):
        explain(broken, verbose=0)
    with pytest.raises(ValueError, match="batch axis"):
        explain(pixels(1)[0], verbose=0)
    with pytest.raises(ValueError, match="is empty"):
        explain(pixels(1)[:0], verbose=0)
    with pytest.raises(ValueError, match=r"0\.\.2.*-1 to 3"):
        explain(pixels(2), [-1, 3], verbose=0)
    with pytest.raises(ValueError, match="argmax"):
        explain(pixels(2), np.eye(2), verbose=0)
    with pytest.raises(ValueError, match="one loss per row"):
        explain(pixels(2), lambda outputs: outputs, verbose=0)
    with pytest.raises(ValueError, match="batch_size"):
        explain(pixels(2), batch_size=0, verbose=0)


@pytest.mark.once
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("steps", 0),
        ("copies", 1.5),
        ("beta", -1.0),
        ("beta", float("nan")),
        ("learning_rate", 0.0),
        ("smoothing_sigma", 0.0),
    ],
)
def test_options(model, statistics, option, value):
    with pytest.raises(ValueError, match=option):
        attribution.IBA(model, "stem", statistics, **{option: value})


def test_features_that_are_not_finite():
    model = patch_model()
    found = statistics_of(model, ["conv"])
    explain = attribution.IBA(model, "conv", found)
    layer = model.get_layer("conv")
    layer.set_weights([np.full_like(w, np.nan) for w in layer.get_weights()])
    with pytest.raises(ValueError, match="'conv' hold NaN"):
        explain(pixels(1), verbose=0)


@keras.saving.register_keras_serializable(package="keras_aib_tests")
class StopGradient(keras.layers.Layer):
    def call(self, inputs):
        return ops.stop_gradient(inputs)


def test_no_gradient_path():
    images = keras.Input((8, 8, 3))
    used = keras.layers.Conv2D(2, 3, name="used")(images)
    stopped = StopGradient()(used)
    pooled = keras.layers.GlobalAveragePooling2D()(stopped)
    model = keras.Model(images, keras.layers.Dense(2)(pooled))
    explain = attribution.IBA(model, "used", statistics_of(model, ["used"]))
    with pytest.raises(ValueError, match="no gradient at layer 'used'"):
        explain(pixels(1), verbose=0)


@pytest.mark.once
def test_models(model, statistics):
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="Wrap it"):
        attribution.IBA(Subclassed(), "stem", statistics)
    with pytest.raises(TypeError, match=r"must be a keras\.Model"):
        attribution.list_layers(print)
    inputs = [keras.Input((8, 8, 3)) for _ in range(2)]
    added = keras.Model(inputs, keras.layers.Add()(inputs))
    with pytest.raises(ValueError, match="one input"):
        attribution.list_layers(added)


@pytest.mark.once
def test_outputs_that_are_no_classes(model, statistics):
    dense = keras.Model(model.input, model.get_layer("block_2").output)
    explain = attribution.IBA(dense, "stem", statistics)
    with pytest.raises(ValueError, match="function of the outputs"):
        explain(pixels(1), verbose=0)

    def loss(outputs):
        return ops.mean(outputs, axis=(1, 2, 3))

    found = explain(pixels(1), loss, verbose=0)
    assert np.isfinite(found.bits).all()
    several = keras.Model(model.input, {"a": model.output, "b": model.output})
    with pytest.raises(ValueError, match="one tensor"):
        attribution.IBA(several, "stem", statistics)(pixels(1), verbose=0)


@pytest.mark.once
def test_small_maps_cannot_be_blurred():
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 4, strides=4, name="coarse")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(2)(x))
    found = statistics_of(model, ["coarse"])
    with pytest.raises(ValueError, match="smoothing_sigma=None"):
        attribution.IBA(model, "coarse", found)(pixels(1), verbose=0)
    explain = attribution.IBA(model, "coarse", found, smoothing_sigma=None)
    assert explain(pixels(1), verbose=0).bits.shape == (1, 8, 8)
