"""A pytest plugin that hides from `pos_client` what only Linux or only Unix has, as on Windows.

The server, which shares the process in some tests, keeps its own modules.
"""

from __future__ import annotations

import builtins
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from types import ModuleType

HIDDEN_MODULES = {"fcntl", "grp", "pwd", "resource", "termios"}
HIDDEN_NAMES = {
    os: ("O_CLOEXEC", "O_DIRECTORY", "killpg", "fork"),
    signal: ("SIGKILL",),
    socket: ("AF_UNIX", "TCP_USER_TIMEOUT"),
    time: ("CLOCK_BOOTTIME", "clock_gettime_ns"),
}
_import = builtins.__import__


def _import_like_windows(
    name: str,
    globals: Mapping[str, object] | None = None,  # noqa: A002 (as of `__import__`)
    locals: Mapping[str, object] | None = None,  # noqa: A002
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    importer = str((globals or {}).get("__name__", ""))
    if importer.startswith("pos_client") and name in HIDDEN_MODULES:
        raise ModuleNotFoundError(f"There is no {name} on this system.", name=name)
    return _import(name, globals, locals, fromlist, level)


def pytest_configure() -> None:
    """Hide it all before the first test module is imported."""
    builtins.__import__ = _import_like_windows
    for module, names in HIDDEN_NAMES.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
