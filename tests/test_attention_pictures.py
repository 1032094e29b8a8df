"""Every epoch leaves its picture, in a file and in TensorBoard."""

import importlib.util
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from keras_aib.callbacks import AttentionPictures
from keras_aib.callbacks import BetaWarmup
from keras_aib.models import AIBClassifier
from keras_aib.visualization import overlay_attention


class LooksLeft(keras.Model):
    """A model whose attention moves with its only weight."""

    def __init__(self, activation=None):
        images = keras.Input((16, 16, 3))
        head = keras.layers.Dense(
            2, activation=activation, kernel_initializer="ones"
        )
        pooled = keras.layers.GlobalAveragePooling2D()(images)
        super().__init__(images, head(pooled))
        self.head = head

    def attention(self, images):
        bias = keras.ops.convert_to_numpy(self.head.bias)[0]
        mean = np.full((len(images), 4, 4), 0.1)
        mean[:, :, 0] = 1 / (1 + np.exp(-bias))
        return {"mean": mean, "stddev": 0.01 * mean}


IMAGES = np.full((2, 16, 16, 3), 128, dtype="uint8")


def train(pictures, epochs=2, activation=None):
    model = LooksLeft(activation)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model(IMAGES)
    model.fit(
        IMAGES / 255.0,
        np.array([[9.0, -9.0]] * 2),
        epochs=epochs,
        verbose=0,
        callbacks=[pictures],
    )
    return model


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_every_epoch_leaves_its_own_picture(tmp_path):
    train(AttentionPictures(IMAGES, tmp_path / "new", labels=[0, 1]), epochs=3)
    files = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in files] == [
        "epoch_0001.png",
        "epoch_0002.png",
        "epoch_0003.png",
    ]
    first, second, third = (pixels(file) for file in files)
    assert first.shape == second.shape == third.shape
    assert np.abs(first - second).max() > 20
    assert np.abs(second - third).max() > 20


@pytest.mark.once
def test_every_skips_epochs(tmp_path):
    train(AttentionPictures(IMAGES, tmp_path, every=2), epochs=5)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["epoch_0002.png", "epoch_0004.png"]


@pytest.mark.once
def test_the_picture_shows_map_labels_and_probabilities(tmp_path, monkeypatch):
    seen = {}

    def plot(images, maps, **options):
        seen.update(options, images=images, maps=maps)

    monkeypatch.setattr(
        "keras_aib.callbacks.attention_pictures.plot_attention", plot
    )
    model = train(
        AttentionPictures(
            IMAGES,
            tmp_path,
            labels=[0, 1],
            class_names=["cat", "dog"],
            which="stddev",
            interpolation="nearest",
            scale="image",
            columns=3,
        )
    )
    np.testing.assert_allclose(seen["maps"], model.attention(IMAGES)["stddev"])
    logits = model.predict(IMAGES, verbose=0)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = shifted / shifted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        seen["probabilities"], softmax, rtol=1e-5, atol=1e-30
    )
    assert seen["labels"] == [0, 1]
    assert seen["class_names"] == ["cat", "dog"]
    assert seen["units"] == "score's standard deviation"
    assert seen["interpolation"] == "nearest"
    assert seen["scale"] == "image"
    assert seen["columns"] == 3


@pytest.mark.once
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_taken_as_they_are(tmp_path, monkeypatch, activation):
    seen = {}
    monkeypatch.setattr(
        "keras_aib.callbacks.attention_pictures.plot_attention",
        lambda images, maps, **options: seen.update(options),
    )
    model = train(AttentionPictures(IMAGES, tmp_path), activation=activation)
    outputs = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(seen["probabilities"], outputs, rtol=1e-6)


@pytest.mark.once
def test_what_the_model_does_not_tell_is_not_captioned(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "keras_aib.callbacks.attention_pictures.plot_attention",
        lambda *args, **options: seen.update(options),
    )
    pictures = AttentionPictures(IMAGES, tmp_path, labels=[0, 1])
    pictures.set_model(LooksLeft("relu"))
    pictures.on_epoch_end(0)
    assert seen["probabilities"] is None


@pytest.mark.once
def test_tensorboard_gets_the_pictures_where_it_is_installed(tmp_path):
    logs, files = tmp_path / "logs", tmp_path / "pictures"

    def pictures():
        return AttentionPictures(IMAGES, files, tensorboard_directory=logs)

    if importlib.util.find_spec("tensorboard") is None:
        with pytest.warns(UserWarning, match="pip install tensorboard"):
            train(pictures())
        assert len(list(files.iterdir())) == 2
        assert not logs.exists()
        return
    had_tensorflow = "tensorflow" in sys.modules
    train(pictures())
    assert ("tensorflow" in sys.modules) == had_tensorflow
    from tensorboard.backend.event_processing import event_accumulator

    events = event_accumulator.EventAccumulator(str(logs / "attention"))
    images = events.Reload().Images("attention/mean")
    assert [image.step for image in images] == [0, 1]
    for image in images:
        written = files / f"epoch_{image.step + 1:04d}.png"
        assert image.encoded_image_string == written.read_bytes()
        with Image.open(written) as picture:
            assert picture.size == (image.width, image.height)


@pytest.mark.once
def test_without_tensorboard_a_warning_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="pip install tensorboard"):
        pictures = AttentionPictures(
            IMAGES, tmp_path, tensorboard_directory=tmp_path / "logs"
        )
    monkeypatch.undo()
    train(pictures, epochs=1)
    assert [file.name for file in tmp_path.iterdir()] == ["epoch_0001.png"]


def test_the_real_classifier_is_pictured_while_beta_warms_up(tmp_path):
    pixels = keras.Input((16, 16, 3))
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    backbone = keras.Model(pixels, keras.layers.Conv2D(4, 3)(scaled))
    model = AIBClassifier(
        backbone, num_classes=2, num_anchors=3, latent_dim=2, beta=0.5
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    pictures = AttentionPictures(IMAGES, tmp_path, which="quantized")
    history = model.fit(
        np.repeat(IMAGES, 2, axis=0),
        np.array([0, 0, 1, 1]),
        batch_size=2,
        epochs=2,
        verbose=0,
        callbacks=[BetaWarmup(warmup_steps=2), pictures],
    )
    assert history.history["beta"] == [0.25, 0.5]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.once
def test_mistakes_are_found_before_the_first_epoch(tmp_path):
    with pytest.raises(ValueError, match="has no 'quantized' attention map"):
        train(AttentionPictures(IMAGES, tmp_path, which="quantized"))
    model = keras.Sequential([keras.layers.Flatten()])
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="with an `attention` method"):
        model.fit(
            IMAGES,
            np.zeros((2, 768)),
            verbose=0,
            callbacks=[AttentionPictures(IMAGES, tmp_path)],
        )


@pytest.mark.once
@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (IMAGES[:0], {}, "at least one photo"),
        (IMAGES[0], {}, r"Received: \(16, 16, 3\)"),
        (IMAGES, {"labels": [1]}, "2 images, 1 labels"),
        (IMAGES, {"every": 0}, "`every` must be at least 1"),
        (IMAGES, {"which": "median"}, "`which` must be one of"),
    ],
)
def test_bad_picture_arguments_are_refused(tmp_path, images, options, message):
    with pytest.raises(ValueError, match=message):
        AttentionPictures(images, tmp_path, **options)


def test_maps_may_be_tensors():
    maps = np.full((2, 4, 6), 0.2)
    maps[0, 0, 5] = 0.9
    expected = overlay_attention(IMAGES, maps)
    tensors = keras.ops.convert_to_tensor(maps.astype("float32"))
    assert np.all(overlay_attention(IMAGES, tensors) == expected)
    half = keras.ops.cast(tensors, "bfloat16")
    assert overlay_attention(IMAGES, half).shape == expected.shape
