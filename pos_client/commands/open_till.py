"""Opens the outbox, or the till, that a command's options name."""

from __future__ import annotations

from pathlib import Path

from pos_client.commands.console import CommandError
from pos_client.commands.server_options import Hq
from pos_client.till.client import PosClient
from pos_client.till.outbox import Outbox


def open_outbox(path: Path) -> Outbox:
    """The existing outbox at `path`; a command that only looks must not create one."""
    if not path.exists():
        raise CommandError(f"There is no outbox at {path}: check the path, or record a sale first.")
    return Outbox(path)


def open_till(server: Hq, terminal: str, token: str | None, location: str | None, outbox: Path) -> PosClient:
    """A client for the till; CommandError if its name or location cannot be used."""
    try:
        return PosClient(str(server), terminal=terminal, token=token, location=location, outbox=outbox, tls=server.tls)
    except ValueError as error:
        raise CommandError(f"{error}.") from error
