"""A group of commands whose errors are one message, not a traceback."""

from typing import Any

import click

USER_ERRORS = (ImportError, OSError, RuntimeError, TypeError, ValueError)


class ErrorGroup(click.Group):
    """Show what the library raises as click shows its own errors.

    Its messages say what was expected and how to mend it; the traceback above
    them would only hide that. `--traceback` brings it back.
    """

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (click.exceptions.Abort, click.exceptions.Exit):
            # RuntimeErrors too, by which click ends a command.
            raise
        except USER_ERRORS as error:
            if context.params["traceback"]:
                raise
            message = str(error) or type(error).__name__
            raise click.ClickException(message) from error
