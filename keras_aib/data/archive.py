"""The files of a dataset as its authors publish them."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from keras_aib.utils.checks import check_is_local


@dataclasses.dataclass(frozen=True)
class Archive:
    """Where a published dataset comes from, and how its files are checked.

    Args:
        title: What its authors call it.
        url: Where to get it.
        folder: Folder it unpacks to, or `None` for loose files.
    """

    title: str
    url: str
    folder: str | None = None

    def locate(self, directory: str | os.PathLike) -> Path:
        """Return the folder of the files: `directory` or one inside it."""
        check_is_local(directory)
        directory = Path(directory)
        if directory.is_file():
            raise ValueError(
                f"{directory} is a file. Unpack it, and pass the folder that "
                f"holds the files of {self.title}."
            )
        if not directory.is_dir():
            raise ValueError(
                f"There is no folder {directory} (seen from {Path.cwd()}). "
                f"{self._remedy()}"
            )
        if self.folder is not None and (directory / self.folder).is_dir():
            return directory / self.folder
        return directory

    def require(self, path: Path) -> Path:
        """Return `path` if it is there."""
        if not path.exists():
            raise ValueError(
                f"{self.title} has a file or folder {path.name}, and {path} is "
                f"missing. {self._remedy()}"
            )
        return path

    def damaged(self, path: Path, reason: object) -> ValueError:
        """An error to raise about what is in a file."""
        return ValueError(
            f"{path} is not as {self.title} publishes it: {reason}. "
            f"{self._remedy()}"
        )

    def read_records(self, path: Path, num_bytes: int) -> np.ndarray:
        """Return uint8 [N, num_bytes] of a binary file without a header."""
        content = np.fromfile(self.require(path), "uint8")
        if content.size == 0 or content.size % num_bytes:
            raise self.damaged(
                path,
                f"its {content.size} bytes are no whole number of records of "
                f"{num_bytes} bytes, so it is truncated or another file",
            )
        return content.reshape(-1, num_bytes)

    def read_names(self, path: Path, count: int) -> list[str]:
        """Return the `count` lines of a file of class names."""
        lines = self.require(path).read_text(encoding="utf-8").splitlines()
        names = [line.strip() for line in lines if line.strip()]
        if len(names) != count:
            raise self.damaged(
                path, f"it has {len(names)} names instead of {count}"
            )
        return names

    def check_labels(
        self, path: Path, labels: np.ndarray, least: int, most: int
    ) -> None:
        """Refuse labels that the authors do not use."""
        wrong = np.flatnonzero((labels < least) | (labels > most))
        if wrong.size:
            raise self.damaged(
                path,
                f"labels are {least} to {most}, and {wrong.size} of "
                f"{labels.size} are not, such as {labels[wrong[0]]} of image "
                f"{wrong[0]}",
            )

    def _remedy(self) -> str:
        return (
            f"Get {self.url} and pass the folder of its"
            f"{' unpacked' if self.folder else ''} files."
        )
