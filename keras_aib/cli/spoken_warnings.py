"""Warnings of the library as lines of a command."""

import contextlib
import re
import warnings
from collections.abc import Iterator
from typing import Any

import click


@contextlib.contextmanager
def spoken_warnings() -> Iterator[list[str]]:
    """Say what is warned of in a line, and once.

    Python would show the file and the line of the program that warns, which
    tell a user nothing. What differs in its figures only, batch after batch,
    is said the first time.

    Yields:
        What has been said so far.
    """
    said: list[str] = []
    kinds = set()

    def show(message: Warning | str, *others: Any, **more: Any) -> None:
        # An index would be that within a batch, of which nothing is seen.
        text = re.sub(r" \(index [\d, .]*\)", "", str(message))
        kind = re.sub(r"[\d.,%:e+-]*\d[\d.,%:e+ -]*", "#", text)
        if kind in kinds:
            return
        kinds.add(kind)
        said.append(text)
        click.echo(f"Warning: {text}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield said
