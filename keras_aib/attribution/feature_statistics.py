"""Mean and spread of the features of a model's layers."""

import os
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_aib.attribution.fingerprint import are_equal
from keras_aib.utils.files import written_whole

SMALLEST_STDDEV = 0.01
LARGEST_DEAD_SHARE = 0.01
FEWEST_IMAGES = 2
FORMAT_VERSION = 1


@dataclass(frozen=True)
class _Moments:
    """Of one layer: sums over the images, in float64."""

    mean: np.ndarray
    squares: np.ndarray
    nonzero: np.ndarray


class FeatureStatistics:
    """Mean and standard deviation of features, position by position.

    The noise that a bottleneck injects must look like the features
    themselves, so that it removes information without leaving what the model
    knows. `estimate_statistics` makes one; parts that were made of different
    images, on different machines, merge into one.

    Paper: [Restricting the Flow](https://arxiv.org/abs/2001.00396) (ICLR 2020).

    Attributes:
        count: Images seen.
        layers: Paths of the layers.
        pixel_range: Smallest and largest pixel of the images, if known.
        fingerprints: Path to values of the weights that the features come
            from, for layers of which they are known. `IBA` and `CoIBA` warn
            where the model has others.

    Example:

    ```python
    import numpy as np
    from keras_aib.attribution import FeatureStatistics

    statistics = FeatureStatistics()
    statistics.update({"conv": np.random.normal(size=(100, 4, 4, 8))})
    statistics.save("statistics.npz")
    again = FeatureStatistics.load("statistics.npz")
    print(again.count, again.mean("conv").shape)
    ```
    """

    def __init__(self) -> None:
        self.count = 0
        self.pixel_range: tuple[float, float] | None = None
        self.fingerprints: dict[str, np.ndarray] = {}
        self._moments: dict[str, _Moments] = {}

    @property
    def layers(self) -> list[str]:
        return list(self._moments)

    def update(self, features: dict[str, Any]) -> None:
        """Add a batch.

        Args:
            features: Path to features, `[images, ...]`, the same layers in
                every batch.

        Raises:
            ValueError: If layers or shapes differ from those before, or
                features are not finite.
        """
        batch = FeatureStatistics()
        for path, values in features.items():
            values = np.asarray(values, "float64")
            if not np.isfinite(values).all():
                raise ValueError(
                    f"Features of layer {path!r} hold NaN or infinity. Look "
                    "for broken images, or weights that training spoiled."
                )
            mean = values.mean(axis=0)
            batch.count = len(values)
            batch._moments[path] = _Moments(
                mean,
                np.square(values - mean).sum(axis=0),
                np.count_nonzero(values, axis=0).astype("float64"),
            )
        merged = self.merge(batch) if self.count else batch
        self.count, self._moments = merged.count, merged._moments

    def update_pixels(self, images: np.ndarray) -> None:
        """Note the range of the pixels of a batch of images."""
        pixels = (float(images.min()), float(images.max()))
        self.pixel_range = _range_of_both(self.pixel_range, pixels)

    def merge(self, other: "FeatureStatistics") -> "FeatureStatistics":
        """Statistics of the images of both.

        Args:
            other: Statistics of the same layers, of other images.

        Raises:
            ValueError: If layers, shapes or the models' weights differ.
        """
        if set(self.layers) != set(other.layers):
            raise ValueError(
                "Only statistics of the same layers can be merged. Received: "
                f"{self.layers} and {other.layers}."
            )
        merged = FeatureStatistics()
        merged.pixel_range = _range_of_both(self.pixel_range, other.pixel_range)
        merged.fingerprints = {**other.fingerprints, **self.fingerprints}
        for path in set(self.fingerprints) & set(other.fingerprints):
            if not are_equal(self.fingerprints[path], other.fingerprints[path]):
                raise ValueError(
                    f"Features of layer {path!r} come from models of different "
                    "weights. Merge statistics of one model only."
                )
        merged.count = count = self.count + other.count
        for path, mine in self._moments.items():
            theirs = other._moments[path]
            if mine.mean.shape != theirs.mean.shape:
                raise ValueError(
                    f"Features of layer {path!r} have shapes "
                    f"{mine.mean.shape} and {theirs.mean.shape}, one image "
                    "each. Use images of one size."
                )
            difference = theirs.mean - mine.mean
            share = other.count / count
            merged._moments[path] = _Moments(
                mine.mean + share * difference,
                mine.squares
                + theirs.squares
                + np.square(difference) * (self.count * share),
                mine.nonzero + theirs.nonzero,
            )
        return merged

    def mean(self, layer: str) -> np.ndarray:
        """Mean per position and channel, float32."""
        return self._of(layer).mean.astype("float32")

    def stddev(self, layer: str) -> np.ndarray:
        """Standard deviation per position and channel, at least 0.01."""
        variance = self._of(layer).squares / (self.count - 1)
        return np.maximum(np.sqrt(variance), SMALLEST_STDDEV).astype("float32")

    def active(self, layer: str) -> np.ndarray:
        """Whether a neuron is non-zero in more than 1 % of the images."""
        return self._of(layer).nonzero > LARGEST_DEAD_SHARE * self.count

    def seen(self, layer: str) -> np.ndarray:
        """Whether a neuron is non-zero in any image."""
        return self._of(layer).nonzero > 0

    def _of(self, layer: str) -> _Moments:
        if layer not in self._moments:
            raise ValueError(
                f"There are no statistics of layer {layer!r}, only of "
                f"{self.layers}. Estimate them: `keras_aib.attribution."
                f"estimate_statistics(model, [{layer!r}], images)`."
            )
        if self.count < FEWEST_IMAGES:
            raise ValueError(
                f"Statistics of {self.count} image tell no spread. Estimate "
                "them on 2 images at least, better 10,000."
            )
        return self._moments[layer]

    def save(self, path: str | os.PathLike) -> None:
        """Write everything, the count too, to one `.npz` file."""
        arrays: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "count": self.count,
            "layers": np.array(self.layers, "U"),
        }
        if self.pixel_range is not None:
            arrays["pixel_range"] = np.array(self.pixel_range)
        for index, layer in enumerate(self.layers):
            if layer in self.fingerprints:
                arrays[f"fingerprint_{index}"] = self.fingerprints[layer]
        for index, moments in enumerate(self._moments.values()):
            arrays[f"mean_{index}"] = moments.mean
            arrays[f"squares_{index}"] = moments.squares
            arrays[f"nonzero_{index}"] = moments.nonzero
        with written_whole(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "FeatureStatistics":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it holds something else, or is damaged.
        """
        statistics = cls()
        try:
            with (
                open(path, "rb") as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                version = int(arrays["format_version"])
                if version != FORMAT_VERSION:
                    raise ValueError(f"its format is {version}")
                statistics.count = int(arrays["count"])
                # Earlier releases did not write these.
                if "pixel_range" in arrays:
                    low, high = arrays["pixel_range"].tolist()
                    statistics.pixel_range = (low, high)
                for index, layer in enumerate(arrays["layers"].tolist()):
                    statistics._moments[layer] = _Moments(
                        arrays[f"mean_{index}"],
                        arrays[f"squares_{index}"],
                        arrays[f"nonzero_{index}"],
                    )
                    if f"fingerprint_{index}" in arrays:
                        statistics.fingerprints[layer] = arrays[
                            f"fingerprint_{index}"
                        ]
        except FileNotFoundError:
            raise
        except (KeyError, TypeError, ValueError, OSError, EOFError) as error:
            raise _unreadable(path, error) from error
        except zipfile.BadZipFile as error:
            raise _unreadable(path, error) from error
        return statistics


def _range_of_both(
    one: tuple[float, float] | None, other: tuple[float, float] | None
) -> tuple[float, float] | None:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def _unreadable(path: str | os.PathLike, error: BaseException) -> ValueError:
    return ValueError(
        f"{os.fspath(path)!r} holds no statistics that can be read: {error}. "
        "Estimate them again with `keras_aib.attribution.estimate_statistics`."
    )
