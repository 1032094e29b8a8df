"""Photographs that come installed with scikit-image and scikit-learn."""

from pathlib import Path

import keras
import numpy as np

# ImageNet's class of what is shown, for every photograph that the first guess
# of EfficientNet-Lite0 at 224 pixels is right for. The others are a portrait,
# textures, microscopy and documents.
RECOGNISED = {
    "camera": 872,
    "chelsea": 285,
    "china": 698,
    "coffee": 967,
    "flower": 985,
    "motorcycle": 665,
    "rocket": 657,
}


def load_photographs(side: int) -> dict[str, np.ndarray]:
    """The photographs of `RECOGNISED`, as squares from their middle.

    Args:
        side: Height and width in pixels.

    Returns:
        float32 `[side, side, 3]`, pixels 0..255, by name; one is grey.

    Raises:
        ImportError: If scikit-image or scikit-learn is not installed.
    """
    try:
        from skimage import data
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise ImportError(
            "The photographs are those of scikit-image and scikit-learn: "
            "`pip install scikit-image scikit-learn`."
        ) from error
    samples = load_sample_images()
    originals = {
        "camera": np.repeat(data.camera()[..., None], 3, axis=-1),
        "chelsea": data.chelsea(),
        "coffee": data.coffee(),
        "motorcycle": data.stereo_motorcycle()[0],
        "rocket": data.rocket(),
        **{
            Path(path).stem: image
            for path, image in zip(
                samples.filenames, samples.images, strict=True
            )
        },
    }
    return {
        name: keras.ops.convert_to_numpy(
            keras.ops.image.resize(
                originals[name].astype("float32"),
                (side, side),
                interpolation="bilinear",
                antialias=True,
                crop_to_aspect_ratio=True,
                data_format="channels_last",
            )
        )
        for name in RECOGNISED
    }
