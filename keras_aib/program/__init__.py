"""The program `keras-aib`.

It is installed as the package `keras_aib_command`, beside `keras_aib`: Keras
fixes its backend when it is imported, which importing `keras_aib` does, and by
then `--backend` must have been read.
"""

import importlib.util
import itertools
import os
import sys
from collections.abc import Sequence


def main() -> None:
    """Run the command line, and end the process."""
    backend = _asked_for(sys.argv[1:])
    # What is not there is left to the command line, which says so.
    if backend is not None and importlib.util.find_spec(backend) is not None:
        os.environ["KERAS_BACKEND"] = backend
    try:
        from keras_aib import cli
    except (ImportError, ValueError) as error:
        sys.exit(f"Error: {error}")
    cli.main()


def _asked_for(arguments: Sequence[str]) -> str | None:
    for backend in ("tensorflow", "jax", "torch"):
        if f"--backend={backend}" in arguments or (
            ("--backend", backend) in itertools.pairwise(arguments)
        ):
            return backend
    return None
