"""Maps for a folder of images: attention, or bits by a bottleneck."""

import os
import warnings
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aib import data
from keras_aib.attribution import IBA
from keras_aib.attribution import CoIBA
from keras_aib.attribution import FeatureStatistics
from keras_aib.attribution import estimate_statistics
from keras_aib.data.decoding import UnreadableImageError
from keras_aib.data.decoding import printable
from keras_aib.data.image_files import find_images
from keras_aib.data.image_reader import ImageReader
from keras_aib.models import AIBClassifier
from keras_aib.runs.found_maps import FoundMaps
from keras_aib.runs.map_kind import MapKind
from keras_aib.utils.image_batches import fill_up

# As many as IBA's authors use.
MOST_STATISTICS_IMAGES = 10_000


def attention_maps(model: AIBClassifier, which: str = "mean") -> MapKind:
    """The maps that the model itself makes.

    Args:
        model: The model.
        which: `"mean"`, `"stddev"` or `"quantized"`: one of the maps of
            `model.attention`.

    Returns:
        A kind of map that raises `ValueError` if the model has no such map.
    """

    def explain(images: np.ndarray) -> FoundMaps:
        maps = model.attention(images)
        if which not in maps:
            raise ValueError(
                f"The model has no {which!r} attention map. It has: "
                f"{sorted(maps)}"
            )
        return FoundMaps(maps[which], [""] * len(images))

    return MapKind("Attention", explain)


def bottleneck_maps(
    model: keras.Model,
    method: str,
    layers: Sequence[str],
    statistics: FeatureStatistics,
    beta: float | None = None,
    batch_size: int = 8,
    output_kind: str | None = None,
) -> MapKind:
    """Bits per pixel that the predicted class rests on.

    Args:
        model: The model.
        method: `"iba"` or `"coiba"`.
        layers: Where to restrict: one layer for IBA.
        statistics: Of these layers.
        beta: Price of information; the method's own by default.
        batch_size: Most images at once. Fewer are filled up, so that a step
            is compiled once.
        output_kind: What the model gives, where it does not tell.

    Raises:
        ValueError: If a layer does not exist, or statistics are of others.
    """
    options: dict[str, Any] = {"output_kind": output_kind}
    if beta is not None:
        options["beta"] = beta
    search: IBA | CoIBA
    if method == "coiba":
        search = CoIBA(model, layers, statistics, **options)
    else:
        (layer,) = layers
        search = IBA(model, layer, statistics, **options)

    def explain(images: np.ndarray) -> FoundMaps:
        filled = fill_up(images, batch_size)
        result = search(filled, batch_size=batch_size, verbose=0)
        count = len(images)
        notes = [
            f"{bits.sum():,.1f} bits, at most {bits.max():.2g} per pixel; "
            f"with them alone the probability is {kept:.2f}"
            for bits, kept in zip(
                result.bits[:count], result.kept_probability, strict=False
            )
        ]
        return FoundMaps(
            result.bits[:count],
            notes,
            [
                (int(index), float(share))
                for index, share in zip(
                    np.asarray(result.targets),
                    result.probability,
                    strict=True,
                )
            ][:count],
        )

    name = "CoIBA" if method == "coiba" else "IBA"
    return MapKind(f"{name} at {', '.join(layers)}", explain, is_in_bits=True)


def statistics_of_images(
    model: keras.Model,
    layers: Sequence[str],
    images: str | os.PathLike,
    image_size: tuple[int, int],
    batch_size: int = 32,
) -> FeatureStatistics:
    """Feature statistics of a folder or a dataset, 10,000 images at most.

    Args:
        model: The model.
        layers: Paths of layers.
        images: A folder, of which all images that can be read are taken, also
            those in its subfolders; or what `keras_aib.data.from_spec` takes,
            of which the training part counts.
        image_size: Height and width in pixels.
        batch_size: Images at once.

    Raises:
        ValueError: If there are no images, or a layer does not exist.
    """
    if not Path(images).is_dir():
        batches = data.from_spec(
            images,
            image_size,
            batch_size,
            subset="training",
            shuffle=False,
            limit=MOST_STATISTICS_IMAGES,
        )
        return estimate_statistics(model, layers, batches)
    paths = find_images(Path(images))
    if len(paths) > MOST_STATISTICS_IMAGES:
        random = np.random.default_rng(0)
        chosen = random.permutation(len(paths))[:MOST_STATISTICS_IMAGES]
        paths = [paths[index] for index in chosen]
    statistics = estimate_statistics(
        model,
        layers,
        _read(paths, image_size),
        batch_size,
        num_images=len(paths) or None,
    )
    if statistics.count < 2:
        raise ValueError(
            f"One image in {images} tells no spread of the features. Name a "
            "folder of more, of what the model is meant for: "
            "`--statistics-images`."
        )
    return statistics


def _read(
    paths: Sequence[Path], image_size: tuple[int, int]
) -> Iterator[np.ndarray]:
    reader = ImageReader()
    unreadable = []
    for path in paths:
        try:
            yield reader.read(str(path), path, image_size)
        except UnreadableImageError:
            unreadable.append(printable(str(path)))
    if unreadable:
        shown = ", ".join(unreadable[:10]) + ", ..." * (len(unreadable) > 10)
        warnings.warn(
            f"{len(unreadable)} images cannot be read and are not in the "
            f"statistics: {shown}.",
            stacklevel=2,
        )
