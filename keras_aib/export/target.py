"""Where the file goes, whole or not at all."""

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from keras_aib.export.export_format import ExportFormat

FULL_DISK = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def check_target(form: ExportFormat, path: Path, overwrite: bool) -> None:
    """Refuse a path that is taken, or cannot be written to.

    Raises:
        FileExistsError: If something stands there and is not to be replaced,
            or was not written by an export.
        OSError: If the folder cannot be made or written to.
    """
    *beside, last = form.files(path)
    taken = [file for file in (path, *beside, last) if os.path.lexists(file)]
    is_folder = not form.suffix
    if taken and not overwrite and not (is_folder and _is_empty(path)):
        raise FileExistsError(
            errno.EEXIST,
            "The file exists. Choose another path, or pass overwrite=True to "
            "replace it",
            str(taken[-1]),
        )
    is_ours = _describes_export(form.metadata_path(path))
    if path.is_dir() and not (is_folder and (is_ours or _is_empty(path))):
        raise FileExistsError(
            errno.EEXIST,
            "This is a folder that no export has made, and it is not "
            "replaced. Choose another path",
            str(path),
        )
    # `path` itself the user has named; what stands beside it, nobody has.
    foreign = [file for file in taken if file != path or is_folder]
    if foreign and not is_ours and not _is_empty(path):
        raise FileExistsError(
            errno.EEXIST,
            "No export has written this file, and it is not replaced. Move "
            "it, or choose another path",
            str(foreign[0]),
        )
    # Of a link, the file that it leads to is replaced.
    folder = path.resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(
            errno.EACCES,
            "Nothing can be written to this folder. Choose another path",
            str(folder),
        )


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _describes_export(metadata_path: Path) -> bool:
    """Whether a JSON file is one that an export wrote."""
    try:
        content = json.loads(metadata_path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "keras_aib" in content


@contextlib.contextmanager
def hidden_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path`, gone at the end with all that is left in it."""
    path = path.resolve()
    folder = path.parent / f".{uuid.uuid4().hex[:8]}-export"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def publish(form: ExportFormat, hidden: Path, path: Path) -> int:
    """Put a finished export in the place of what an export wrote there before.

    Files that it did not write stay. If it is interrupted, what stood there is
    put back.

    Args:
        form: The format.
        hidden: The finished file or folder, in a folder of its own.
        path: Where it belongs; has the same name.

    Returns:
        Bytes of the files.
    """
    new = [file for file in form.files(hidden) if file.exists()]
    size = sum(file.stat().st_size for file in new)
    targets = [
        _followed(path.parent / file.relative_to(hidden.parent)) for file in new
    ]
    old = [_followed(file) for file in form.files(path) if file.exists()]
    previous = hidden.with_name(f"previous-{uuid.uuid4().hex[:8]}")
    previous.mkdir()
    kept = [(file, previous / str(index)) for index, file in enumerate(old)]
    for file, copy in kept:
        _keep(file, copy)
    try:
        if len(targets) > 2:
            # What users open: better none than one with another's weights.
            targets[-1].unlink(missing_ok=True)
        for file, target in zip(new, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            _move(file, target)
        for file in set(old) - set(targets):
            file.unlink()
    except BaseException:
        for target in set(targets) - set(old):
            target.unlink(missing_ok=True)
        for file, copy in kept:
            _move(copy, file)
        raise
    return size


def _followed(file: Path) -> Path:
    """Of a link, where it leads to: the link stays."""
    return file.resolve() if file.is_symlink() else file


def _keep(file: Path, copy: Path) -> None:
    try:
        os.link(file, copy)
    except OSError:
        # Other disks, and disks without links.
        shutil.copy2(file, copy)


def _move(source: Path, target: Path) -> None:
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = target.with_name(f".{uuid.uuid4().hex[:8]}")
        try:
            shutil.copy2(source, beside)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Delete a file or folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that there is no room left."""
    return isinstance(error, OSError) and error.errno in FULL_DISK
