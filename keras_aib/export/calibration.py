"""Images to calibrate int8 with, and others to judge the file by."""

import numpy as np

# One of so many is held out where no other images are given.
HELD_OUT = 4


def split_images(
    representative: np.ndarray, images: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Choose what to calibrate with, and what calibration does not see.

    A file is as good as it likes on the images its ranges were taken from.

    Args:
        representative: The user's images for calibration.
        images: The user's images to compare on, or `None`.

    Returns:
        Images to calibrate with, and images to compare on: those of `images`
        that are not in `representative`; without such, every fourth of
        `representative` is held out.

    Raises:
        ValueError: If there is a single image, and no other.
    """
    if images is not None:
        seen = {image.tobytes() for image in representative}
        unseen = [image.tobytes() not in seen for image in images]
        if any(unseen):
            return representative, images[unseen]
    if len(representative) < 2:
        raise ValueError(
            "int8 is calibrated with `representative_data` and judged by "
            "images that calibration did not see. Received: one image. Pass "
            "about 100, at least 2, or others as `images`."
        )
    every = min(HELD_OUT, len(representative))
    held_out = np.arange(len(representative)) % every == every - 1
    return representative[~held_out], representative[held_out]
