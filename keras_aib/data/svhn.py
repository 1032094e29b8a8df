"""SVHN, cropped digits, in its published MATLAB files."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_aib.data.archive import Archive
from keras_aib.utils.requirements import require

SVHN = Archive(
    "SVHN, cropped digits,",
    "http://ufldl.stanford.edu/housenumbers/{train,test,extra}_32x32.mat",
)


def read_svhn(
    directory: str | os.PathLike, split: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return uint8 images [N, 32, 32, 3], digits and their names."""
    path = SVHN.require(SVHN.locate(directory) / f"{split}_32x32.mat")
    arrays = _load(path)
    if not {"X", "y"} <= arrays.keys():
        found = [key for key in arrays if not key.startswith("__")]
        raise SVHN.damaged(path, f"it holds {found} instead of X and y")
    images, labels = arrays["X"], arrays["y"].reshape(-1)
    if images.dtype != np.uint8 or images.shape != (32, 32, 3, labels.size):
        raise SVHN.damaged(
            path,
            f"X is {images.dtype} {images.shape} instead of uint8 "
            f"{(32, 32, 3, labels.size)}, for {labels.size} labels",
        )
    SVHN.check_labels(path, labels, 1, 10)
    # The digit 0 has the label 10.
    digits = labels.astype("int32") % 10
    return np.moveaxis(images, -1, 0), digits, [str(i) for i in range(10)]


def _load(path: Path) -> dict[str, Any]:
    io = require("scipy.io", "Reading SVHN")
    # SciPy raises whatever its parser trips over in a damaged file.
    try:
        return io.loadmat(path)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        raise SVHN.damaged(path, reason) from error
