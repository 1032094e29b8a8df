"""The images of one dataset, each decoded when it is asked for."""

import os
import warnings
from collections.abc import Sequence
from typing import IO

import numpy as np

from keras_aib.data.decoding import UnreadableImageError
from keras_aib.data.decoding import decode_image
from keras_aib.data.decoding import find_failure
from keras_aib.data.decoding import printable


class ImageReader:
    """Decode images, and say once what is odd about the first of them."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def read(
        self,
        name: str,
        file: str | os.PathLike | IO[bytes],
        image_size: tuple[int, int],
        box: Sequence[float] | np.ndarray | None = None,
        relative_box: bool = False,
    ) -> np.ndarray:
        """Return the pixels of `decode_image`.

        Args:
            name: What to call the image.
            file: As for `decode_image`, like the rest.
            image_size: (height, width) in pixels.
            box: What to crop it to.
            relative_box: Whether `box` is in shares.

        Raises:
            UnreadableImageError: Whatever is wrong with the image.
        """
        # Pillow raises whatever its decoders raise for a damaged file.
        try:
            pixels, notes = decode_image(file, image_size, box, relative_box)
        except Exception as error:
            raise UnreadableImageError(name, find_failure(error)) from error
        for kind, note in notes.items():
            if kind not in self._told:
                self._told.add(kind)
                warnings.warn(
                    f"{printable(name)} {note} More of this kind are not "
                    "named.",
                    stacklevel=2,
                )
        return pixels
