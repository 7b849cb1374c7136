"""What the tests of the commands share: headquarters in this process, and a way to run a command line here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from inventory_server import cli as server_cli
from inventory_server.admin.control_socket import ControlServer
from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.domain.metrics import ServerMetrics
from inventory_server.store import open_store
from pos_client import cli as till_cli
from pos_client.commands import stock_query
from pos_client.protocol.address import Address
from tests.support.ledgers import new_ledger

MAINS: dict[str, Callable[[], int]] = {
    "inventory-server": server_cli.main,
    "stock-query": stock_query.main,
    "pos-client": till_cli.main,
}


class Done(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str


class Shell:
    """Runs command lines in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, program: str, *arguments: str | Path) -> Done:
        self._capsys.readouterr()
        self._monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        code = MAINS[program]()
        return Done(code, *self._capsys.readouterr())

    def env(self, **values: str) -> None:
        """Set environment variables for what follows."""
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)


@contextmanager
def headquarters(folder: Path, dev: bool = True, control: bool = False) -> Iterator[tuple[str, str]]:
    """A server on a new ledger in `folder`; yields its address and the URL of its database."""
    url = new_ledger(folder / "hq.db")
    store = open_store(url, Settings(), now_microseconds)
    application = Application(Settings(), store, [Address("127.0.0.1", 0)], dev=dev)

    def metrics() -> ServerMetrics:
        return application.counters.metrics(application.connections, store.counters)

    told = (Settings(), now_microseconds, application.clients, None, metrics)
    door = ControlServer(url, store, *told) if control else None
    application.start()
    if door:
        door.start()
    try:
        yield str(application.addresses[0]), url
    finally:
        if door:
            door.stop(5)
        application.stop()
