"""Python in a process of its own, with the packages of this one."""

import json
import os
import subprocess
import sys
from pathlib import Path

from keras_aib.export.export_error import ExportError

LAST_LINES = 3
PROGRAM = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1));"
    "sys.argv.pop(0); runpy.{run}(sys.argv[0], run_name='__main__')"
)


def run_python(
    what: str, program: str, folder: Path, environment: dict[str, str]
) -> None:
    """Run a program that takes a folder, and wait for its end.

    Args:
        what: What to call it in errors.
        program: Name of a module, or the path of a file ending in `.py`.
        folder: Its argument.
        environment: Variables that it gets beside those of this process.

    Raises:
        ExportError: If it does not end well.
    """
    run = "run_path" if program.endswith(".py") else "run_module"
    search_path = [os.path.abspath(entry) for entry in sys.path]
    finished = subprocess.run(
        [
            *(sys.executable, "-P", "-c", PROGRAM.format(run=run)),
            *(json.dumps(search_path), program, str(folder)),
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if finished.returncode:
        lines = finished.stderr.strip().splitlines()[-LAST_LINES:]
        raise ExportError(
            f"{what} ended with exit code {finished.returncode}"
            + "".join(f"; {line.strip()}" for line in lines)
        )
