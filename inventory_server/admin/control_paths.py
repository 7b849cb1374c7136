"""Where servers have their control sockets: beside an SQLite ledger, or in a folder of this machine."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from inventory_server.config import RUNTIME_FOLDER
from inventory_server.store import StoreError, database_key, sqlite_path
from pos_client.transport.unix_path import short_unix_path

_ENDING = ".control"


@contextmanager
def own_control_path(url: str) -> Iterator[str]:
    """The path at which this process serves the ledger of `url`, short enough for a socket address.

    Any number of processes serve one on PostgreSQL, so that its name ends in the pid there. StoreError if the folder
    for those cannot be used.
    """
    path = sqlite_path(url)
    if path is None:
        folder = _made_folder()
        _sweep(folder)
        path = folder / f"{database_key(url)}.{os.getpid()}"
    with short_unix_path(f"{path}{_ENDING}") as short:
        yield short


def lock_path(url: str, name: str) -> Path:
    """The file that the one process of this machine locks that is the `name` of the ledger of `url`.

    StoreError if the folder for it cannot be used.
    """
    path = sqlite_path(url)
    return Path(f"{path}.{name}") if path is not None else _made_folder() / f"{database_key(url)}.{name}"


@contextmanager
def control_paths(url: str) -> Iterator[list[str]]:
    """The paths at which processes of this machine serve the ledger of `url`; of an SQLite ledger the only one."""
    path = sqlite_path(url)
    if path is not None:
        with short_unix_path(f"{path}{_ENDING}") as short:
            yield [short]
        return
    key = database_key(url)
    found = sorted(each for folder in _folders() for each in folder.glob(f"{key}.*{_ENDING}") if _is_served(each))
    with ExitStack() as opened:
        yield [opened.enter_context(short_unix_path(str(each))) for each in found]


def _folders() -> list[Path]:
    """Systemd's folder of the service, or else one of this user's for temporary files."""
    return [Path(RUNTIME_FOLDER), Path(tempfile.gettempdir()) / f"tillwire-{os.getuid()}"]


def _made_folder() -> Path:
    """The folder for this process's socket: nobody else may write to it, or they could answer in its place."""
    *_, own = folders = _folders()
    for folder in folders:
        if os.access(folder, os.W_OK | os.X_OK) and _is_private(folder):
            return folder
    try:
        own.mkdir(mode=0o700)
    except OSError as error:
        reason = "others may write to it" if isinstance(error, FileExistsError) else error.strerror
        raise StoreError(f"{own} cannot hold the server's control socket: {reason}.") from error
    return own


def _is_private(folder: Path) -> bool:
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022


def _is_served(path: Path) -> bool:
    """False for a socket of a process that was killed."""
    try:
        os.kill(int(path.name.removesuffix(_ENDING).rpartition(".")[2]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:  # it is another user's
        return True
    return True


def _sweep(folder: Path) -> None:
    """Remove the sockets of processes that were killed."""
    for path in folder.glob(f"*{_ENDING}"):
        if not _is_served(path):
            with suppress(FileNotFoundError):  # another server that starts removed it
                path.unlink()
