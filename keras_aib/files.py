"""Files that are either whole or not there."""

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file or folder under a temporary name, then rename it.

    If the block raises, say because the disk is full, what stood at `path`
    before is still there and nothing half written remains.

    Args:
        path: Where the result should be. Parent folders are made.

    Yields:
        A path in the same folder, with the same suffix, to write to.

    Example:

    ```python
    from keras_aib.files import written_whole

    with written_whole("/tmp/notes.txt") as path:
        path.write_text("all or nothing")
    ```
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tag = uuid.uuid4().hex[:8]
    # Keras looks at the whole ending, as in `.weights.h5`.
    temporary = path.with_name(f".{tag}-{path.name}")
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            previous = path.with_name(f".{tag}-previous-{path.name}")
            os.replace(path, previous)
            os.replace(temporary, path)
            shutil.rmtree(previous)
        else:
            os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


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
