"""A folder of photos in; overlays, and a page that shows them, out."""

import os
import warnings
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from typing import NamedTuple

import keras
import numpy as np

from keras_aib.data.decoding import UnreadableImageError
from keras_aib.data.decoding import find_failure
from keras_aib.data.decoding import open_image
from keras_aib.data.decoding import printable
from keras_aib.data.decoding import require_pillow
from keras_aib.data.image_files import FolderContent
from keras_aib.data.image_files import describe_suffixes
from keras_aib.data.image_reader import ImageReader
from keras_aib.models.output_head import OutputHead
from keras_aib.models.output_head import find_output_head
from keras_aib.runs.found_maps import FoundMaps
from keras_aib.runs.map_kind import MapKind
from keras_aib.runs.overlay_folder import OverlayFolder
from keras_aib.utils.files import check_local
from keras_aib.utils.image_batches import fill_up
from keras_aib.visualization import overlay_attention
from keras_aib.visualization.page import Explanation
from keras_aib.visualization.page import ExplanationIndex

INDEX_FILE = "index.html"
LONGEST_SIDE = 640
OVERLAY_FOLDER = "overlays"
ROTATED_BY_A_QUARTER = (5, 6, 7, 8)
HEADLINE = "Where the model looks in"
# Of a label, to be said of an image.
THRESHOLD = 0.5


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
    output_kind: str | None = None,
    warned: Sequence[str] = (),
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
        output_kind: What the model gives, where it does not tell: one of
            `keras_aib.models.output_head.OUTPUT_KINDS`.
        warned: What the page should warn of; more may be appended meanwhile.

    Returns:
        The page, the number of images on it, and which could not be read.

    Raises:
        ImportError: If Pillow or matplotlib is missing.
        ValueError: If there are no images, or none can be read.
    """
    directory, output = Path(directory), Path(output)
    paths = find_images_to_explain(directory, output)
    head = find_output_head(model, output_kind)
    batch_size = model.input_shape[0] or batch_size
    overlays = OverlayFolder(output / OVERLAY_FOLDER)
    index = ExplanationIndex(
        f"{HEADLINE} {printable(directory.resolve().name)}", maps.name
    )
    reader = ImageReader()
    num_images = 0
    unreadable: list[str] = []
    for start in range(0, len(paths), batch_size):
        batch = list(
            _read(
                directory,
                paths[start : start + batch_size],
                image_size,
                unreadable,
                reader,
            )
        )
        if not batch:
            continue
        images = np.stack([pixels for _, pixels, _ in batch])
        found = maps.explain(images)
        said = _said(model, head, images, found, class_names, batch_size)
        for (name, _, photo), one_map, note, (first, *others) in zip(
            batch, found.maps, found.notes, said, strict=True
        ):
            overlay = overlay_attention(
                photo, one_map, scale=scale, data_format="channels_last"
            )
            overlays.write(name, overlay)
            index.add(
                Explanation(
                    printable(name),
                    photo,
                    overlay,
                    *first,
                    note=note,
                    others=others,
                )
            )
        num_images += len(batch)
    if not num_images:
        raise ValueError(
            f"None of the {len(paths)} images in {directory} can be read: "
            f"{'; '.join(unreadable[:10])}"
        )
    index.write(output / INDEX_FILE, unreadable, warned)
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
        OSError: If something of the user's would be replaced.
    """
    require_pillow()
    if not directory.is_dir():
        raise ValueError(
            f"There is no folder {directory} (seen from {Path.cwd()}). Pass "
            "the folder that holds the images."
        )
    check_local(output)
    if output.exists() and not output.is_dir():
        raise NotADirectoryError(
            f"The output {output} is a file. Pass a folder, which need not be "
            "there yet."
        )
    for target in (output, output / OVERLAY_FOLDER):
        if target.resolve().is_relative_to(directory.resolve()):
            raise ValueError(
                f"The output {target} lies in {directory}, and would be taken "
                "for images to explain the next time. Choose another folder."
            )
    content = FolderContent(directory)
    paths = content.images
    if content.others:
        warnings.warn(
            f"{content.others.total()} files in {directory} have endings of "
            "no image that Pillow reads, and are left out: "
            f"{describe_suffixes(content.others)}.",
            stacklevel=2,
        )
    if not paths:
        raise ValueError(f"There are no images in {directory}.")
    if not ExplanationIndex.may_write(output / INDEX_FILE):
        raise FileExistsError(
            f"{output / INDEX_FILE} would be replaced, and was not written by "
            "`keras-aib explain`. Choose another output, or move it away."
        )
    OverlayFolder(output / OVERLAY_FOLDER).check_free(
        [path.relative_to(directory).as_posix() for path in paths]
    )
    return paths


def _read(
    directory: Path,
    paths: Sequence[Path],
    image_size: tuple[int, int],
    unreadable: list[str],
    reader: ImageReader,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, pixels for the model and pixels to look at of each image."""
    for path in paths:
        name = path.relative_to(directory).as_posix()
        try:
            photo, pixels = _read_one(reader, path, name, image_size)
        except UnreadableImageError as error:
            reason, remedy = error.failure
            unreadable.append(f"{printable(name)}: {reason}. {remedy}")
            continue
        yield name, pixels.astype("float32"), photo


def _read_one(
    reader: ImageReader, path: Path, name: str, image_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    # Opened once; for the model it is decoded as it was in training. Pillow
    # raises whatever its decoders raise for a damaged file.
    try:
        with path.open("rb") as file:
            photo = reader.read(name, file, _shown_size(file))
            file.seek(0)
            return photo, reader.read(name, file, image_size)
    except UnreadableImageError:
        raise
    except Exception as error:
        raise UnreadableImageError(name, find_failure(error)) from error


def _shown_size(file: IO[bytes]) -> tuple[int, int]:
    """Height and width to show an image at, upright."""
    from PIL import ExifTags

    image = open_image(file)
    width, height = image.size
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    file.seek(0)
    if orientation in ROTATED_BY_A_QUARTER:
        width, height = height, width
    factor = min(1.0, LONGEST_SIDE / max(width, height))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _said(
    model: keras.Model,
    head: OutputHead,
    images: np.ndarray,
    found: FoundMaps,
    class_names: Sequence[str] | None,
    batch_size: int,
) -> list[list[tuple[str, float]]]:
    """For each image classes or labels and probabilities, falling."""
    names = [str(name) for name in class_names or ()]
    if len(names) != head.num_classes:
        names = [str(index) for index in range(head.num_classes)]
    # Of classes one is right, of labels any number.
    has_one = not head.is_multi_label or head.is_binary
    if has_one and found.predicted is not None:
        return [[(names[index], share)] for index, share in found.predicted]
    # Compiled for one size.
    filled = fill_up(images, batch_size)
    outputs = model.predict(filled, batch_size=batch_size, verbose=0)
    said = []
    for row in head.class_probabilities(outputs[: len(images)]):
        order = np.argsort(-row, kind="stable")
        pairs = [(names[index], float(row[index])) for index in order]
        others = [] if has_one else pairs[1:]
        said.append(
            [pairs[0], *(pair for pair in others if pair[1] > THRESHOLD)]
        )
    return said
