"""Before Keras is imported: whether its backend is there.

Importing this module checks it. What Keras itself says of a backend that is
missing is a traceback without a remedy.
"""

import json
import os
import sys
from pathlib import Path

from keras_aib.utils.requirements import is_installed

BACKENDS = ("tensorflow", "jax", "torch")
# Keras has them too; they cannot train.
OTHERS = ("numpy", "openvino")


def check_backend() -> None:
    """Refuse a backend that Keras could not load.

    Raises:
        ImportError: Says who asked for it, and what to do.
    """
    name, origin = _asked_for()
    is_known = name in BACKENDS + OTHERS
    if is_known and is_installed(name):
        return
    fault = "is not installed" if is_known else "Keras does not have"
    remedies = []
    if installed := [each for each in BACKENDS if is_installed(each)]:
        remedies.append(
            "set the environment variable KERAS_BACKEND to one that is "
            f"installed ({', '.join(installed)})"
        )
    if is_known:
        remedies.append(f"install it with `pip install {name}`")
    elif not installed:
        remedies.append(
            f"set KERAS_BACKEND to one of {', '.join(BACKENDS)}, and install "
            "that, as in `pip install tensorflow`"
        )
    # By this name `python -m` knows that no traceback is wanted.
    raise ImportError(
        f"{origin} asks for the Keras backend {name!r}, which {fault}. "
        f"Mend it: {', or '.join(remedies)}.",
        name="keras_aib",
    )


def _asked_for() -> tuple[str, str]:
    """Name of the backend, by Keras's own rules, and who asked for it."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name, "KERAS_BACKEND"
    home = os.path.expanduser("~")
    if not os.access(home, os.W_OK):
        home = "/tmp"
    folder = os.environ.get("KERAS_HOME", os.path.join(home, ".keras"))
    path = Path(folder, "keras.json").expanduser()
    try:
        name = json.loads(path.read_text())["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return BACKENDS[0], "Where nothing else is said, Keras"
    return str(name), str(path)


if "keras" not in sys.modules:
    check_backend()
