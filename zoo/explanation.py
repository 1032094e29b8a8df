"""A folder of photos in; overlays, and a page that shows them, out."""

import os
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_aib.attribution.class_probabilities import class_probabilities
from keras_aib.data.decoding import read_image
from keras_aib.data.decoding import require_pillow
from keras_aib.data.folder import find_images
from keras_aib.explanation_index import Explanation
from keras_aib.explanation_index import ExplanationIndex
from keras_aib.files import written_whole
from keras_aib.models import AIBClassifier
from keras_aib.visualization import overlay_attention
from keras_aib.zoo import metrics
from keras_aib.zoo.map_kind import MapKind

INDEX_FILE = "index.html"
LONGEST_SIDE = 640
OVERLAY_FOLDER = "overlays"
ROTATED_BY_A_QUARTER = (5, 6, 7, 8)


class Explained(NamedTuple):
    """What `explain_folder` did.

    Attributes:
        page: The HTML file.
        num_images: How many images are on it.
        unreadable: Those that could not be read, and why.
    """

    page: Path
    num_images: int
    unreadable: list[str]


def explain_folder(
    model: keras.Model,
    maps: MapKind,
    directory: str | os.PathLike,
    output: str | os.PathLike,
    image_size: tuple[int, int],
    class_names: Sequence[str] | None = None,
    scale: str = "fixed",
    batch_size: int = 32,
) -> Explained:
    """Draw what a decision rests on in each image of a folder.

    Args:
        model: The model.
        maps: How to make the maps.
        directory: Folder of images; those in its subfolders are taken too.
        output: Folder for `overlays/` and `index.html`.
        image_size: Height and width in pixels that the model takes. The maps
            are drawn over the images in their own proportions.
        class_names: Names of the classes; their numbers by default.
        scale: `"fixed"` or `"image"`, as in
            `keras_aib.visualization.overlay_attention`.
        batch_size: Images at once.

    Returns:
        The page, the number of images on it, and which could not be read.

    Raises:
        ImportError: If Pillow or matplotlib is missing.
        ValueError: If there are no images, or none can be read.
    """
    directory, output = Path(directory), Path(output)
    paths = find_images_to_explain(directory, output)
    index = ExplanationIndex(
        f"Where the model looks in {directory.name}", maps.name
    )
    num_images = 0
    unreadable: list[str] = []
    for start in range(0, len(paths), batch_size):
        batch = list(
            _read(
                directory,
                paths[start : start + batch_size],
                image_size,
                unreadable,
            )
        )
        if not batch:
            continue
        images = np.stack([pixels for _, pixels, _ in batch])
        for (name, _, photo), one_map, row in zip(
            batch,
            maps.explain(images),
            _probabilities(model, images),
            strict=True,
        ):
            overlay = overlay_attention(
                photo, one_map, scale=scale, data_format="channels_last"
            )
            _save(overlay, output / OVERLAY_FOLDER / f"{name}.png")
            predicted = int(row.argmax())
            index.add(
                Explanation(
                    name,
                    photo,
                    overlay,
                    class_names[predicted] if class_names else str(predicted),
                    row[predicted],
                    maps.describe(one_map),
                )
            )
        num_images += len(batch)
    if not num_images:
        raise ValueError(
            f"None of the {len(paths)} images in {directory} can be read: "
            f"{'; '.join(unreadable[:10])}"
        )
    index.write(output / INDEX_FILE, unreadable)
    return Explained(output / INDEX_FILE, num_images, unreadable)


def find_images_to_explain(directory: Path, output: Path) -> list[Path]:
    """Paths of a folder's images.

    Args:
        directory: The folder.
        output: Where the overlays will go.

    Raises:
        ImportError: If Pillow is missing.
        ValueError: If there are no images, or the overlays would be among
            them.
    """
    require_pillow()
    if not directory.is_dir():
        raise ValueError(
            f"There is no folder {directory} (seen from {Path.cwd()}). Pass "
            "the folder that holds the images."
        )
    if output.resolve().is_relative_to(directory.resolve()):
        raise ValueError(
            f"The output {output} lies in {directory}, and would be taken for "
            "images to explain the next time. Choose another folder."
        )
    paths = find_images(directory)
    if not paths:
        raise ValueError(f"There are no images in {directory}.")
    return paths


def _read(
    directory: Path,
    paths: Sequence[Path],
    image_size: tuple[int, int],
    unreadable: list[str],
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, pixels for the model and pixels to look at of each image."""
    for path in paths:
        name = path.relative_to(directory).as_posix()
        # Pillow raises whatever its decoders raise for a damaged file.
        try:
            photo = read_image(path, _shown_size(path))
            pixels = read_image(path, image_size)
        except Exception as error:
            unreadable.append(f"{name}: {error}")
            continue
        yield name, pixels.astype("float32"), photo


def _shown_size(path: Path) -> tuple[int, int]:
    from PIL import ExifTags
    from PIL import Image

    with Image.open(path) as image:
        width, height = image.size
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    if orientation in ROTATED_BY_A_QUARTER:
        width, height = height, width
    factor = min(1.0, LONGEST_SIDE / max(width, height))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _probabilities(model: keras.Model, images: np.ndarray) -> np.ndarray:
    outputs = model.predict(images, verbose=0)
    if isinstance(model, AIBClassifier):
        return metrics.class_probabilities(model, outputs)
    return class_probabilities(outputs)


def _save(pixels: np.ndarray, path: Path) -> None:
    from PIL import Image

    with written_whole(path) as temporary:
        Image.fromarray(pixels).save(temporary)
