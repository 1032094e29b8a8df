"""Photos, and the trained model as files, for the deployment examples."""

import os
from pathlib import Path

import numpy as np
import pytest
from deployed import MODEL
from deployed import RUNTIMES
from deployed import SIDE
from deployed import load
from photo_module import load_photo_module
from PIL import Image

from keras_aib import zoo


@pytest.fixture(scope="session")
def reference():
    return zoo.load(MODEL)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    from skimage import data
    from sklearn.datasets import load_sample_image

    folder = tmp_path_factory.mktemp("photos")
    cat = Image.fromarray(data.chelsea())
    cat.save(folder / "cat.png")
    Image.fromarray(load_sample_image("china.jpg")).save(folder / "temple.png")
    cat.crop((100, 0, 400, 300)).resize((32, 32)).save(folder / "small.png")
    return folder


@pytest.fixture(scope="session")
def exported(request, tmp_path_factory, photos):
    """Folder with the model in every format, as `export` writes it."""
    if folder := os.environ.get("KERAS_AIB_EXPORTED"):
        return Path(folder)
    from keras_aib.export import export

    folder = tmp_path_factory.mktemp("exported")
    reference = request.getfixturevalue("reference")
    for form, (_, _, name) in RUNTIMES.items():
        export(
            reference,
            folder / name,
            format=form,
            class_names=zoo.info(MODEL).class_names,
        )
    export(
        reference,
        folder / "model.int8.tflite",
        quantization="int8",
        representative_data=crops_of(photos),
        class_names=zoo.info(MODEL).class_names,
    )
    return folder


def crops_of(photos):
    generator = np.random.default_rng(0)
    crops = []
    for name in ("cat.png", "temple.png"):
        photo = load(photos / name)
        for _ in range(50):
            side = int(generator.integers(SIDE, min(photo.size)))
            left = int(generator.integers(photo.width - side))
            top = int(generator.integers(photo.height - side + 1))
            crop = photo.crop((left, top, left + side, top + side))
            crops.append(np.asarray(crop.resize((SIDE, SIDE))))
    return np.stack(crops).astype("float32")


@pytest.fixture
def photo_module(monkeypatch):
    return load_photo_module(monkeypatch)
