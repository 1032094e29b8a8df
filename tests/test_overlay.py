"""What the deployment examples draw."""

import importlib

import numpy as np
import pytest
from photo_module import EXAMPLES
from PIL import Image

pytestmark = pytest.mark.once


@pytest.fixture
def overlay(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("overlay")


def test_small_photo_keeps_a_legible_caption(overlay):
    photo = Image.new("RGB", (32, 24), (128, 128, 128))
    drawn = overlay.draw(photo, np.array([[0.0, 1.0]]), "sparrow  75.0%")
    assert drawn.width > 100
    pixels = np.asarray(drawn, "float32")
    colorfulness = pixels.max(-1) - pixels.min(-1)
    left, right = colorfulness[:24, :4], colorfulness[:24, 28:32]
    assert right.mean() > 2 * left.mean()
    assert (pixels[:24, 32:] == 255).all()
    caption = (pixels[24:].max(-1) < 100).any(axis=0)
    assert np.flatnonzero(caption).max() < drawn.width - 3


def test_scores_beyond_the_scale_take_the_color_of_its_end(overlay):
    photo = Image.new("RGB", (8, 8), (128, 128, 128))
    for beyond, end in ((1.2, 1.0), (-0.2, 0.0)):
        assert (
            overlay.color(photo, np.full((2, 2), beyond)).tobytes()
            == overlay.color(photo, np.full((2, 2), end)).tobytes()
        )
