"""A new database file, made whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from inventory_server.store.database.base import StoreError


def make_file(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` make the database file `path`, which only its owner may read; nothing happens where it exists.

    It is written under another name, then linked to its own, which fails where something is by now. The caller holds
    the ledger's lock, so what is found under the other name was left behind by a process that was killed.
    """
    new = _beside(path, ".new")
    try:
        for left_over in (new, _beside(new, "-journal")):
            left_over.unlink(missing_ok=True)
        if not os.path.lexists(path):
            _assert_no_log(path)
            _make(path, new, write)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be made: {error.strerror}; check the access rights, and that it is on a local disk."
        ) from error


def _assert_no_log(path: Path) -> None:
    """SQLite would take it for the new file's."""
    log = _beside(path, "-wal")
    if log.exists():
        raise StoreError(
            f"{log} is there without {path.name} and may hold postings; put that file back, or move the log away."
        )


def _make(path: Path, new: Path, write: Callable[[Path], None]) -> None:
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        write(new)
        with suppress(FileExistsError):  # another program's: opening it will tell what it is
            os.link(new, path)
    finally:
        new.unlink()
    _sync_folder(path.parent)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync_folder(folder: Path) -> None:
    """Have the names in `folder` on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
