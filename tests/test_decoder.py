"""The decoder's hidden layer: as wide as asked, or none."""

import keras
import numpy as np
import pytest
from small_classifier import NUM_CLASSES
from small_classifier import make_images
from small_classifier import make_model

from keras_aib.models import AIBClassifier

LATENT_DIM = 6


def widths(model):
    return [weight.shape for weight in model.decoder.weights]


@pytest.mark.parametrize(("hidden_units", "width"), [(None, 6), (4, 4)])
def test_width(hidden_units, width):
    assert widths(make_model(hidden_units=hidden_units)) == [
        (LATENT_DIM, width),
        (width,),
        (width, NUM_CLASSES),
        (NUM_CLASSES,),
    ]


def test_without_a_hidden_layer_the_latent_goes_through_the_relu():
    model = make_model(hidden_units=0)
    latent = np.random.normal(size=(5, LATENT_DIM)).astype("float32")
    kernel, bias = model.decoder.get_weights()
    np.testing.assert_allclose(
        model.decoder.predict(latent, verbose=0),
        np.maximum(latent, 0) @ kernel + bias,
        atol=1e-5,
    )
    images, labels = make_images()
    model.fit(images, labels, verbose=0)
    assert model.predict_samples(images, 2).shape == (2, 6, NUM_CLASSES)


def test_it_survives_saving(tmp_path):
    images, _ = make_images()
    model = make_model(hidden_units=0)
    expected = model.predict(images, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    for loaded in (
        keras.models.load_model(tmp_path / "model.keras", compile=False),
        AIBClassifier.from_preset(tmp_path / "preset"),
    ):
        received = loaded.predict(images, verbose=0)
        np.testing.assert_allclose(received, expected, atol=1e-6)
    renewed = AIBClassifier.from_preset(tmp_path / "preset", num_classes=7)
    assert widths(renewed) == [(LATENT_DIM, 7), (7,)]


def test_a_configuration_from_before_the_argument_loads():
    config = make_model().get_config()
    del config["hidden_units"]
    model = AIBClassifier.from_config(config)
    assert widths(model)[0] == (LATENT_DIM, LATENT_DIM)


@pytest.mark.parametrize("hidden_units", [-1, 2.5, True])
def test_bad_width(hidden_units):
    with pytest.raises(ValueError, match="hidden_units="):
        make_model(hidden_units=hidden_units)
