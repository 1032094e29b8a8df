"""Files that are either whole or not there."""

import contextlib
import errno
import fnmatch
import hashlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

# A pattern: eight digits tell two processes apart.
UNFINISHED = ".keras_aib-" + 8 * "[0-9a-f]"
LONGEST_NAME = 255
# As text they have two slashes, but `Path` makes one of them.
REMOTE_SCHEMES = {
    *("abfs", "abfss", "adl", "az", "cos", "dbfs", "file", "ftp", "gcs", "gs"),
    *("hdfs", "hf", "http", "https", "kaggle", "memory", "oss", "s3", "s3a"),
    *("s3n", "sftp", "ssh", "wasb", "wasbs", "webhdfs"),
}


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file under a temporary name, then rename it.

    If the block raises, say because the disk is full, what stood at `path`
    before is still there and nothing half written remains. A symbolic link
    stays, and the file that it points to is replaced; a file that is replaced
    hands on its permissions. What the block raises speaks of `path`.

    Args:
        path: Where the file should be. Parent folders are made.

    Yields:
        A path in the same folder, with the same suffix, to write to.

    Raises:
        ValueError: If `path` is remote, or neither a file nor free.
        OSError: If a folder is there, or a file that may not be written to.

    Example:

    ```python
    from keras_aib.utils.files import written_whole

    with written_whole("/tmp/notes.txt") as path:
        path.write_text("all or nothing")
    ```
    """
    check_local(path)
    path = Path(path)
    name = path.name
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
    _check_replaceable(path)
    temporary = path.with_name(_unfinished(name))
    try:
        yield temporary
        if path.exists():
            _hand_on_permissions(path, temporary)
        os.replace(temporary, path)
    except Exception as error:
        _name_in_error(error, temporary, path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_local(path: str | os.PathLike) -> None:
    """Refuse a remote path, which would become a local folder called `gs:`.

    Raises:
        ValueError: If `path` is a URL, also one that went through `Path`.
    """
    scheme = remote_scheme(path)
    if scheme:
        raise ValueError(
            f"{os.fsdecode(path)!r} is no path on this machine, and nothing "
            "is written there. Write to a local folder, and copy that to "
            f"{scheme}:// with the tools of its provider. (`model.save` takes "
            "such a path as text, as Keras does.)"
        )


def remote_scheme(path: str | os.PathLike) -> str:
    """What a URL begins with, such as `gs`; empty for a path."""
    match = re.match(r"([A-Za-z][\w+.-]+):(//?)", os.fsdecode(path))
    if match and (match[2] == "//" or match[1].lower() in REMOTE_SCHEMES):
        return match[1]
    return ""


def is_unfinished(path: Path) -> bool:
    """Whether it is what `written_whole` leaves if its process is killed."""
    return fnmatch.fnmatchcase(path.name, f"{UNFINISHED}-*")


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left of files, and nothing else."""
    if folder.is_dir():
        for path in filter(is_unfinished, list(folder.iterdir())):
            path.unlink()


def _unfinished(name: str) -> str:
    start = f".keras_aib-{uuid.uuid4().hex[:8]}-"
    # Keras looks at the whole ending, as in `.weights.h5`.
    while len(os.fsencode(start + name)) > LONGEST_NAME:
        name = name[1:]
    return start + name


def _check_replaceable(path: Path) -> None:
    if path.is_symlink():
        raise OSError(
            errno.ELOOP, "The link leads to itself. Remove it", str(path)
        )
    if path.is_dir():
        raise IsADirectoryError(
            errno.EISDIR,
            "This is a folder, and a file is to be written. Choose another "
            "path, say one inside it",
            str(path),
        )
    if path.exists() and not path.is_file():
        raise ValueError(
            f"{path} is no ordinary file but a device or a pipe, which cannot "
            "be replaced. Choose another path."
        )
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(
            errno.EACCES,
            "The file is write-protected, and is not replaced. Choose another "
            "path, or change its permissions",
            str(path),
        )


def _hand_on_permissions(path: Path, temporary: Path) -> None:
    before = path.stat()
    # Of another owner only the superuser may make it.
    with contextlib.suppress(OSError, AttributeError):
        os.chown(temporary, before.st_uid, before.st_gid)
    temporary.chmod(stat.S_IMODE(before.st_mode))


def _name_in_error(error: Exception, temporary: Path, path: Path) -> None:
    if isinstance(error, OSError) and error.filename is not None:
        name = os.fsdecode(error.filename)
        error.filename = name.replace(temporary.name, path.name)
    else:
        error.args = tuple(
            argument.replace(temporary.name, path.name)
            if isinstance(argument, str)
            else argument
            for argument in error.args
        )


def keras_home() -> Path:
    """Where Keras keeps what it fetches: `$KERAS_HOME`, or `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def check_free_space(path: str | os.PathLike, num_bytes: int) -> None:
    """Refuse to write `num_bytes` where they do not fit.

    HDF5 ends the whole process when a disk fills up under it, so it must not
    come to that.

    Raises:
        OSError: If the disk of `path` has less space than that.
    """
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise OSError(
            errno.ENOSPC,
            f"{num_bytes / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB are "
            "free. Nothing was written. Make room, or choose another disk",
            str(path),
        )


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
