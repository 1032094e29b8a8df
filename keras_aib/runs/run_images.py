"""Which images a run is trained on, and which it holds out."""

import hashlib
import json
import os
import warnings
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_aib.data import ImageDataset
from keras_aib.data.file_source import FileSource
from keras_aib.data.folder import find_images
from keras_aib.utils.checks import ImageSize
from keras_aib.utils.checks import check_image_size
from keras_aib.utils.files import written_whole

IMAGES_FILE = "images.json"
IMAGES_FORMAT = 1
SHOWN_NAMES = 5
SIDES = ("training", "validation")


class RunImage(NamedTuple):
    """An image file as a run knows it.

    Attributes:
        name: Its path below the run's folder of images.
        label: Its class.
        fingerprint: Its size and checksum.
    """

    name: str
    label: int
    fingerprint: str


@dataclass(frozen=True)
class RunImages:
    """The two sides of a run's images, file by file.

    A split that is drawn anew falls out differently once a file has come or
    gone, and what was trained on would be evaluated on. So a run on a folder
    writes down which files it took.

    Args:
        training: Images to train on.
        validation: Images that are held out.
        others: Number of images in the folder that are neither.

    Example:

    ```python
    from keras_aib import data
    from keras_aib.runs.run_images import RunImages

    train = data.from_spec("photos")
    validation = data.from_spec("photos", subset="validation")
    RunImages.of("photos", train, validation).write("runs/photos")
    ```
    """

    training: tuple[RunImage, ...]
    validation: tuple[RunImage, ...]
    others: int = 0

    @classmethod
    def of(
        cls,
        root: str | os.PathLike,
        training: ImageDataset,
        validation: ImageDataset,
    ) -> "RunImages":
        """Write down which files two datasets take from a folder."""
        took, held_out = (
            _run_images(Path(root), dataset)
            for dataset in (training, validation)
        )
        num_others = len(find_images(Path(root))) - len(took) - len(held_out)
        return cls(took, held_out, num_others)

    def write(self, folder: str | os.PathLike) -> None:
        """Write `images.json` to the folder of a run."""
        content = {"format": IMAGES_FORMAT, **vars(self)}
        with written_whole(Path(folder) / IMAGES_FILE) as path:
            # Escaped: a file name may hold bytes that are no text.
            path.write_text(json.dumps(content) + "\n")

    @classmethod
    def read(cls, folder: str | os.PathLike) -> "RunImages | None":
        """Read `images.json`; `None` where a run has none.

        Runs on other data than a folder, and those that began with an earlier
        release, have none.

        Raises:
            ValueError: If the file is damaged.
        """
        path = Path(folder) / IMAGES_FILE
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text())
            if content["format"] > IMAGES_FORMAT:
                raise ValueError(f"its format is {content['format']}")
            training, validation = (
                tuple(RunImage(*image) for image in content[side])
                for side in SIDES
            )
            return cls(training, validation, content["others"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}, which tells the images that the run was trained on, "
                f"cannot be read: {error!r}. Restore it from a copy, or "
                "install the release of keras_aib that wrote it."
            ) from error

    def missing(
        self, root: str | os.PathLike, images: Sequence[RunImage] | None = None
    ) -> list[RunImage]:
        """Those images that are gone from a folder, or changed.

        Args:
            root: The folder.
            images: Which to look for; all by default.
        """
        images = self.training + self.validation if images is None else images
        paths = [Path(root, image.name) for image in images]
        return [
            image
            for image, found in zip(images, _fingerprints(paths), strict=True)
            if found != image.fingerprint
        ]

    def count_new(self, root: str | os.PathLike) -> int:
        """Number of images that came into a folder since the run began."""
        known = {image.name for image in self.training + self.validation}
        names = (
            path.relative_to(root).as_posix()
            for path in find_images(Path(root))
        )
        return max(0, sum(name not in known for name in names) - self.others)

    def trained_on(self, paths: Sequence[str | os.PathLike]) -> list[bool]:
        """Whether each of some files is one of the training images.

        Their content decides, wherever they lie and whatever they are called.
        """
        trained = {image.fingerprint for image in self.training}
        sizes = {fingerprint.partition("-")[0] for fingerprint in trained}
        # Reading costs more than asking for the size.
        candidates = [
            path
            for path in paths
            if os.path.isfile(path) and str(os.path.getsize(path)) in sizes
        ]
        found = dict(zip(candidates, _fingerprints(candidates), strict=True))
        return [found.get(path) in trained for path in paths]


def open_run_images(
    root: str | os.PathLike,
    images: Sequence[RunImage],
    class_names: Sequence[str],
    image_size: ImageSize,
    **settings: Any,
) -> ImageDataset:
    """Serve just these images of a folder.

    Args:
        root: The folder.
        images: Which of its files.
        class_names: Names of the classes.
        image_size: Height and width in pixels.
        **settings: As for `ImageDataset`.
    """
    source = FileSource(
        [Path(root, image.name) for image in images],
        [image.label for image in images],
        list(class_names),
        check_image_size(image_size),
    )
    return ImageDataset(source, **settings)


def without_training_images(
    dataset: ImageDataset, images: RunImages
) -> ImageDataset:
    """Leave out of a dataset what a run was trained on, and say so.

    Args:
        dataset: Images, of files or of something else.
        images: Those of the run.

    Raises:
        ValueError: If nothing remains.
    """
    trained = images.trained_on([path for path, _ in dataset.list_images()])
    if not any(trained):
        return dataset
    if all(trained):
        raise ValueError(
            f"The run was trained on all {len(trained)} images, and figures on "
            "them would flatter it. Leave `--data` out to evaluate on those "
            "that were held out, or pass others."
        )
    warnings.warn(
        f"{sum(trained)} of {len(trained)} images are left out: the run was "
        "trained on them, and figures on them would flatter it.",
        stacklevel=3,
    )
    return dataset.select(np.flatnonzero(np.logical_not(trained)))


def shown_names(images: Sequence[RunImage]) -> str:
    """The first names, for a message."""
    names = ", ".join(image.name for image in images[:SHOWN_NAMES])
    return names + ", ..." * (len(images) > SHOWN_NAMES)


def _run_images(root: Path, dataset: ImageDataset) -> tuple[RunImage, ...]:
    listed = dataset.list_images()
    fingerprints = _fingerprints([path for path, _ in listed])
    return tuple(
        RunImage(os.path.relpath(path, root), label, fingerprint)
        for (path, label), fingerprint in zip(listed, fingerprints, strict=True)
    )


def _fingerprints(paths: Iterable[str | os.PathLike]) -> list[str]:
    with ThreadPoolExecutor() as threads:
        return list(threads.map(_fingerprint, paths))


def _fingerprint(path: str | os.PathLike) -> str:
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return f"{file.tell()}-{digest[:32]}"
    except OSError:
        return "missing"
