"""A tiny model, a tiny image folder, and runs of the one on the other."""

import keras
import numpy as np
from PIL import Image

from keras_aib.models import AIBClassifier
from keras_aib.runs import RunConfig

CLASS_NAMES = ("ant", "bee")
IMAGE_SIZE = 12


def tiny_model(num_classes=2, fixed_size=True):
    """All that a resumed run must get right: noise, dropout, statistics."""
    side = IMAGE_SIZE if fixed_size else None
    pixels = keras.Input((side, side, 3))
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Conv2D(3, 3, strides=2, name="stem")(x)
    x = keras.layers.BatchNormalization(name="attended")(x)
    x = keras.layers.Conv2D(3, 3, name="tail")(x)
    x = keras.layers.BatchNormalization(name="statistics")(x)
    x = keras.layers.Dropout(0.3)(x)
    return AIBClassifier(
        keras.Model(pixels, x),
        num_classes,
        attention_layer="attended",
        num_anchors=3,
        latent_dim=3,
    )


def make_material(directory):
    """Write `images/` and `preset/`; the preset knows three classes."""
    generator = np.random.default_rng(0)
    for label, name in enumerate(CLASS_NAMES):
        (directory / "images" / name).mkdir(parents=True)
        for index in range(6):
            pixels = generator.integers(0, 128, (16, 16, 3)) + 100 * label
            Image.fromarray(pixels.astype("uint8")).save(
                directory / "images" / name / f"{index}.png"
            )
    tiny_model(num_classes=3).save_to_preset(directory / "preset")
    return directory


def tiny_config(material, **options):
    return RunConfig(
        **{
            "data": str(material / "images"),
            "model": str(material / "preset"),
            "epochs": 3,
            # Even batches: a short one would be traced once more.
            "batch_size": 2,
            "learning_rate": 1e-2,
            "warmup_epochs": 2,
            "workers": 1,
            **options,
        }
    )


def arrays(run):
    with np.load(run / "state.npz", allow_pickle=False) as file:
        return [file[name] for name in file.files]


def check_same_end(run, reference):
    """Every variable, the log and the kept models are equal to the bit."""
    received, expected = arrays(run), arrays(reference)
    assert len(received) == len(expected) > 40
    for array, other in zip(received, expected, strict=True):
        np.testing.assert_array_equal(array, other)
    log = (run / "log.csv").read_bytes()
    assert log == (reference / "log.csv").read_bytes()
    for name in ("best.keras", "last.keras"):
        models = [
            keras.saving.load_model(folder / name, compile=False)
            for folder in (run, reference)
        ]
        for weights in zip(*(m.get_weights() for m in models), strict=True):
            np.testing.assert_array_equal(*weights)
    assert not list(run.glob(".*"))
