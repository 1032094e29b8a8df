"""What one line of text says about where images are."""

import dataclasses
import os
from pathlib import Path

from keras_aib.data.published import PUBLISHED_NAMES
from keras_aib.utils.checks import check_is_local

TFDS = "tfds"


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """A dataset and where it is, as `from_spec` and a command line name them.

    Args:
        dataset: `"tfds"`, a name of `PUBLISHED_NAMES`, or `None` for a folder
            of the user's own.
        place: The name in TensorFlow Datasets, or a folder; empty for a
            published dataset that is downloaded.

    Example:

    ```python
    from keras_aib.data.data_spec import DataSpec

    assert DataSpec.parse("tfds:beans") == DataSpec("tfds", "beans")
    assert DataSpec.parse("stl10:/data") == DataSpec("stl10", "/data")
    assert DataSpec.parse("photos") == DataSpec(None, "photos")
    ```
    """

    dataset: str | None
    place: str

    @classmethod
    def parse(cls, spec: str | os.PathLike) -> "DataSpec":
        """Read a line of text; a path object is always a folder.

        Raises:
            ValueError: If the folder is on another machine.
        """
        text = os.fsdecode(spec)
        dataset, _, place = text.partition(":")
        if isinstance(spec, str):
            if dataset == TFDS and place:
                # With a version or configuration, but never a folder.
                return cls(TFDS, place)
            if dataset in PUBLISHED_NAMES:
                check_is_local(place)
                return cls(dataset, place)
        check_is_local(spec)
        return cls(None, text)

    def absolute(self) -> str:
        """The line of text for a process in another working directory."""
        if self.dataset == TFDS or not os.path.exists(self.place):
            place = self.place
        else:
            place = str(Path(self.place).resolve())
        if self.dataset is None:
            return place
        return f"{self.dataset}:{place}" if place else self.dataset
