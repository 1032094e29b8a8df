"""The command line: `keras-aib`, or `python -m keras_aib.cli`."""

import sys
from collections.abc import Sequence

from keras_aib.utils.requirements import is_installed
from keras_aib.utils.requirements import missing_package


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and end the process.

    Args:
        arguments: What follows the program's name; that of the process by
            default.
    """
    if not is_installed("click"):
        sys.exit(str(missing_package("click", "The command line", "cli")))
    from keras_aib.cli.command_line import command_line

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command_line(arguments, prog_name="keras-aib", obj=arguments)
