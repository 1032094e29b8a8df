"""Common corruptions of small pictures, at five severities.

The kinds and strengths that Hendrycks and Dietterich chose for CIFAR-10
([2019](https://arxiv.org/abs/1903.12261)), applied before resizing.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from PIL import ImageFilter

SEVERITIES = (1, 2, 3, 4, 5)


def corrupt(
    pictures: np.ndarray, corruption: str, severity: int, seed: int = 0
) -> np.ndarray:
    """Corrupt uint8 pictures.

    Args:
        pictures: `[N, H, W, 3]`.
        corruption: A key of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: Of the noise.

    Returns:
        uint8, the same shape.

    Raises:
        ValueError: If there is no such corruption or severity.
    """
    if corruption not in CORRUPTIONS or severity not in SEVERITIES:
        raise ValueError(
            f"Expected a corruption of {list(CORRUPTIONS)} and a severity of "
            f"{SEVERITIES}. Received: {corruption!r}, {severity!r}"
        )
    apply, strengths = CORRUPTIONS[corruption]
    random = np.random.default_rng(seed)
    strength = strengths[severity - 1]
    return np.stack([apply(picture, strength, random) for picture in pictures])


def _to_pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype("uint8")


def _gaussian_noise(
    picture: np.ndarray, stddev: float, random: np.random.Generator
) -> np.ndarray:
    noise = random.normal(0, 255 * stddev, picture.shape)
    return _to_pixels(picture + noise)


def _impulse_noise(
    picture: np.ndarray, share: float, random: np.random.Generator
) -> np.ndarray:
    hit = random.random(picture.shape) < share
    extremes = 255 * random.integers(2, size=picture.shape)
    return np.where(hit, extremes, picture).astype("uint8")


def _gaussian_blur(
    picture: np.ndarray, radius: float, random: np.random.Generator
) -> np.ndarray:
    image = Image.fromarray(picture)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)))


def _contrast(
    picture: np.ndarray, factor: float, random: np.random.Generator
) -> np.ndarray:
    means = picture.mean(axis=(0, 1), keepdims=True)
    return _to_pixels((picture - means) * factor + means)


def _pixelate(
    picture: np.ndarray, factor: float, random: np.random.Generator
) -> np.ndarray:
    image = Image.fromarray(picture)
    small = int(image.width * factor), int(image.height * factor)
    reduced = image.resize(small, Image.Resampling.BOX)
    return np.asarray(reduced.resize(image.size, Image.Resampling.BOX))


def _jpeg(
    picture: np.ndarray, quality: float, random: np.random.Generator
) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=int(quality))
    return np.asarray(Image.open(file))


_Corruption = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]

CORRUPTIONS: dict[str, tuple[_Corruption, tuple[float, ...]]] = {
    "gaussian_noise": (_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "impulse_noise": (_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "gaussian_blur": (_gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1.0)),
    "contrast": (_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "pixelate": (_pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    "jpeg": (_jpeg, (80, 65, 58, 50, 40)),
}
