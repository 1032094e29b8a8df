"""What every file format can do."""

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np

from keras_aib.export.runtimes import LOADERS
from keras_aib.export.runtimes import Runtime
from keras_aib.utils.requirements import is_installed
from keras_aib.utils.requirements import missing_package


class ExportFormat(abc.ABC):
    """One file format: how to write it and how to run it.

    Attributes:
        name: Name of the format.
        suffix: How the file's name ends; empty for a folder.
        quantizations: What the format can be quantized to, beside `None`.
        packages: Packages that writing and running need, as they are imported.
        backends: Backends that can write the format by themselves; the others
            go through TensorFlow.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    quantizations: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ()
    backends: ClassVar[tuple[str, ...]] = ("tensorflow",)

    @abc.abstractmethod
    def write(
        self,
        deployed: keras.Model,
        path: Path,
        quantization: str | None,
        representative_batches: Sequence[np.ndarray] | None,
    ) -> None:
        """Write a model.

        Args:
            deployed: What `deployed_model` made.
            path: Where to.
            quantization: One of `quantizations`, or `None`.
            representative_batches: Pixels to calibrate int8 with, each of a
                size that the model takes; `None` for other quantizations.
        """

    def load(self, path: Path, num_threads: int = 1) -> Runtime:
        """Load a file in the format's own runtime.

        Args:
            path: The file.
            num_threads: Threads to run it on; a SavedModel runs on those of
                the TensorFlow that is running.
        """
        return LOADERS[self.name](path, num_threads)

    def can_write(self, backend: str, quantization: str | None) -> bool:
        """Whether a backend needs no other to write this."""
        return backend in self.backends

    def files(self, path: Path) -> tuple[Path, ...]:
        """Everything that an export writes, what users open last."""
        return (self.metadata_path(path), path)

    def metadata_path(self, path: Path) -> Path:
        """Where the JSON stands that says how to use the file."""
        return path.with_name(f"{path.name}.json")

    def check_packages(self) -> None:
        """Refuse to begin where a package is missing.

        Raises:
            ImportError: Names the package and the extra that brings it.
        """
        for package in self.packages:
            if not is_installed(package):
                raise missing_package(
                    package, f"Exporting to {self.name}", "export"
                )
