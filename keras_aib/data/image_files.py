"""Which files of a folder are images, and which are left out."""

import collections
import os
from collections.abc import Iterator
from pathlib import Path

from keras_aib.data.decoding import printable
from keras_aib.data.decoding import require_pillow

# Written by systems and programs, never by who made the images.
_SYSTEM_NAMES = {
    "#recycle",
    "$recycle.bin",
    "@eadir",
    "__macosx",
    "__pycache__",
    "desktop.ini",
    "ehthumbs.db",
    "icon\r",
    "lost+found",
    "system volume information",
    "thumbs.db",
}
# Postscript would start Ghostscript; of MPEG only the size is read.
_NOT_READ = {"EPS", "MPEG"}
_MAX_NAMES = 10


def is_hidden(name: str) -> bool:
    """Whether a file or folder is there for a program, not for its user."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def readable_suffixes() -> set[str]:
    """The endings, as `.png`, of what Pillow and its plugins can decode."""
    require_pillow()
    from PIL import Image
    from PIL import ImageFile

    Image.init()
    readable = {
        kind
        for kind, (factory, _) in Image.OPEN.items()
        if kind not in _NOT_READ
        and not (
            isinstance(factory, type)
            and issubclass(factory, ImageFile.StubImageFile)
        )
    }
    return {
        suffix
        for suffix, kind in Image.registered_extensions().items()
        if kind in readable
    }


class FolderContent:
    """The visible files in a folder and those inside it.

    Links to folders are followed.

    Args:
        folder: Where to look.
        deep: Whether to look into folders inside it.

    Attributes:
        images: Paths of the images, sorted.
        others: Count of the other files by their suffix.
    """

    def __init__(self, folder: Path, deep: bool = True) -> None:
        suffixes = readable_suffixes()
        self.images: list[Path] = []
        self.others: collections.Counter[str] = collections.Counter()
        for path in _walk(folder, set(), deep):
            suffix = path.suffix.lower()
            if suffix in suffixes:
                self.images.append(path)
            else:
                self.others[suffix] += 1
        self.images.sort()


def _walk(folder: Path, above: set[str], deep: bool) -> Iterator[Path]:
    # A link to a folder above would go round for ever.
    above = {*above, os.path.realpath(folder)}
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if not entry.is_dir():
                yield Path(entry.path)
            elif deep and os.path.realpath(entry.path) not in above:
                yield from _walk(Path(entry.path), above, deep)


def find_images(folder: Path) -> list[Path]:
    """Return the images in a folder and those inside it, sorted."""
    return FolderContent(folder).images


def describe_suffixes(counts: dict[str, int]) -> str:
    """Say how many files of which kind, the most first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [
        f"{printable(suffix) or 'without a suffix'} ({count})"
        for suffix, count in ordered[:_MAX_NAMES]
    ]
    return ", ".join(parts) + ", ..." * (len(ordered) > _MAX_NAMES)
