"""Care with a network that may not answer."""

import contextlib
import socket
from collections.abc import Iterator

STALL_SECONDS = 30


@contextlib.contextmanager
def no_endless_wait() -> Iterator[None]:
    """Give up on a silent connection, also in code that sets no timeout.

    Keras downloads without a time limit, and a firewall may drop packets
    silently.
    """
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)
