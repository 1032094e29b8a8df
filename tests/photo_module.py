"""The examples' module for photos, for the time of one test."""

import importlib.util
import sys
from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def load_photo_module(monkeypatch):
    # The module sets Pillow's limit for its own program, not for these tests.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.syspath_prepend(EXAMPLES)
    spec = importlib.util.spec_from_file_location(
        "photo", EXAMPLES / "photo.py"
    )
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "photo", module)
    spec.loader.exec_module(module)
    return module
