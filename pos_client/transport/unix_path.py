"""Paths of Unix sockets that are too long for a socket address."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from pos_client.transport.limits import UNIX_PATH_BYTES_MAX


@contextlib.contextmanager
def short_unix_path(path: str) -> Iterator[str]:
    """`path`; where that is too long for a socket address, the same file through a descriptor of its folder (Linux).

    The descriptor stays open while the `with` block runs.
    """
    if len(os.fsencode(path)) <= UNIX_PATH_BYTES_MAX:
        yield path
        return
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)
