"""A unit test meets no socket, no process and no database: an audit hook refuses them while one runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

FORBIDDEN = {
    *("socket.__new__", "sqlite3.connect", "subprocess.Popen"),
    *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"),
}
"""Names of the interpreter's audit events."""

_running = False


def _refuse(event: str, _: tuple[object, ...]) -> None:
    if _running and event in FORBIDDEN:
        raise AssertionError(f"A unit test must not use {event}; move it to tests/integration.")


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def nothing_outside_of_the_process() -> Iterator[None]:
    """Refuse sockets, processes and databases."""
    global _running
    _running = True
    yield
    _running = False
