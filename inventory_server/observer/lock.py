"""One observer for each ledger on a machine: the second one is told of the first."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from inventory_server.admin.control_paths import lock_path
from inventory_server.store import StoreError, StoreInUse, shown

_NAME = "observer"


@contextmanager
def only_observer(url: str) -> Iterator[None]:
    """Hold the lock of the observer of the ledger of `url`, which a process that is killed gives up.

    StoreInUse if another process has it, StoreError if there can be no lock.
    """
    path = lock_path(url, _NAME)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"The lock file {path} cannot be made: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise StoreInUse(
                f"Process {pid or 'unknown'} observes {shown(url)} already: one is enough, so this one ends."
            ) from error
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
