"""The command line: `keras-aib`, or `python -m keras_aib.cli`."""

import importlib.util
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and end the process.

    Args:
        arguments: What follows the program's name; that of the process by
            default.
    """
    if importlib.util.find_spec("click") is None:
        sys.exit(
            "The command line needs click. Install it with "
            "`pip install keras-aib[cli]`."
        )
    from keras_aib.commands import command_line

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command_line(arguments, prog_name="keras-aib", obj=arguments)


if __name__ == "__main__":
    main()
