"""Where the file goes, whole or not at all."""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

from keras_aib.export.export_format import ExportFormat

FULL_DISK = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def check_target(form: ExportFormat, path: Path, overwrite: bool) -> None:
    """Refuse a path that is taken, or cannot be written to.

    Raises:
        FileExistsError: If something stands there, and is not to be replaced.
        OSError: If the folder cannot be made or written to.
    """
    taken = [file for file in form.files(path) if file.exists()]
    if taken and not overwrite:
        raise FileExistsError(
            errno.EEXIST,
            "The file exists. Choose another path, or pass overwrite=True to "
            "replace it",
            str(taken[-1]),
        )
    if path.is_dir() and not form.metadata_path(path).is_file():
        raise FileExistsError(
            errno.EEXIST,
            "This is a folder that no export has made, and it is not "
            "replaced. Choose another path",
            str(path),
        )
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise PermissionError(
            errno.EACCES,
            "Nothing can be written to this folder. Choose another path",
            str(path.absolute().parent),
        )


@contextlib.contextmanager
def hidden_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path`, gone at the end with all that is left in it."""
    folder = path.absolute().parent / f".{uuid.uuid4().hex[:8]}-{path.name}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def publish(files: Sequence[Path], folder: Path) -> int:
    """Move finished files to where they belong; return their bytes.

    The last one is what users open, so it comes when the others are there.
    """
    size = sum(_size(file) for file in files)
    for file in files:
        target = folder / file.name
        if target.is_dir():
            # Out of the way first: a folder replaces no folder.
            os.replace(target, file.with_name(f"previous-{file.name}"))
        os.replace(file, target)
    return size


def remove(files: Sequence[Path]) -> None:
    """Delete files and folders, those that exist."""
    for file in files:
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that there is no room left."""
    return isinstance(error, OSError) and error.errno in FULL_DISK


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(_size(entry) for entry in path.iterdir())
    return path.stat().st_size
