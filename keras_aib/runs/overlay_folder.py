"""The folder that the overlays of explained images go into."""

import hashlib
import os
from pathlib import Path

import numpy as np

from keras_aib.utils.files import LONGEST_NAME
from keras_aib.utils.files import written_whole

# Stands in each overlay, to tell it from a picture of the user's.
MARK = ("Software", "keras-aib explain")


class OverlayFolder:
    """Writes one PNG for each explained image, and over nothing of others'.

    Args:
        path: The folder.

    Example:

    ```python
    import numpy as np
    from keras_aib.runs.overlay_folder import OverlayFolder

    folder = OverlayFolder("maps/overlays")
    folder.write("cats/1.jpg", np.zeros((8, 8, 3), "uint8"))
    ```
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._path = Path(path)

    def find(self, name: str) -> Path:
        """Where the overlay of an image goes.

        Args:
            name: Path of the image in its folder. What is too long for a file
                is cut off, and a checksum tells it from others.
        """
        parent, _, file = f"{name}.png".rpartition("/")
        if len(os.fsencode(file)) > LONGEST_NAME:
            digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:12]
            ending = f"-{digest}.png"
            room = LONGEST_NAME - len(ending)
            while len(os.fsencode(file)) > room:
                file = file[:-1]
            file += ending
        return self._path / parent / file

    def check_free(self, names: list[str]) -> None:
        """Refuse to write over files that are no overlays of an earlier call.

        Args:
            names: Of the images.

        Raises:
            FileExistsError: If there are such files; names them.
        """
        foreign = [
            str(path)
            for path in map(self.find, names)
            if os.path.lexists(path) and not _is_overlay(path)
        ]
        if foreign:
            more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
            raise FileExistsError(
                f"{', '.join(foreign[:5])}{more} would be replaced, and was "
                "not written by `keras-aib explain`. Choose another output, "
                "or move it away."
            )

    def write(self, name: str, pixels: np.ndarray) -> None:
        """Write the overlay of an image.

        Args:
            name: Path of the image in its folder.
            pixels: uint8 `[H, W, 3]`.
        """
        from PIL import Image
        from PIL import PngImagePlugin

        mark = PngImagePlugin.PngInfo()
        mark.add_text(*MARK)
        with written_whole(self.find(name)) as temporary:
            Image.fromarray(pixels).save(temporary, "PNG", pnginfo=mark)


def _is_overlay(path: Path) -> bool:
    from PIL import Image

    # Pillow raises whatever its decoders raise for what is no picture.
    try:
        with Image.open(path) as image:
            return image.info.get(MARK[0]) == MARK[1]
    except Exception:
        return False
