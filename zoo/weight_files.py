"""The shipped weight files, and the proof that they are the right ones."""

from pathlib import Path

from keras_aib.files import sha256

WEIGHTS_FOLDER = Path(__file__).parent / "weights"


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
        "Install keras-aib again (`pip install --force-reinstall --no-deps "
        "keras-aib`; in a clone, `git checkout -- zoo/weights`)."
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
