"""Administration while a server runs: through its control socket, however long the path of the database is."""

from pathlib import Path

import pytest

from inventory_server.app import now_microseconds
from inventory_server.config import Settings
from inventory_server.control import AddTerminal, ControlServer, administer
from inventory_server.store import StoreError, open_store, read_store, upgrade
from inventory_server.store.terminals import list_terminals


@pytest.mark.parametrize("folder", ["db", "d" * 120])
def test_a_running_server_carries_out_an_administrators_command(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    url = f"sqlite:///{tmp_path / folder / 'hq.db'}"
    upgrade(url)
    store = open_store(url, Settings(), now_microseconds)
    control = ControlServer(url, store, Settings(), now_microseconds)
    control.start()
    try:
        administer(url, AddTerminal("T1", "till", "Station", "secret"), Settings(), now_microseconds)
        with pytest.raises(StoreError, match="T1 exists already"):
            administer(url, AddTerminal("T1", "till", "Station", "secret"), Settings(), now_microseconds)
    finally:
        control.stop(1)
        store.close()
    assert [row.terminal for row in read_store(url, list_terminals)] == ["T1"]


def test_a_server_that_does_not_listen_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hq.db'}"
    upgrade(url)
    store = open_store(url, Settings(), now_microseconds)
    try:
        with pytest.raises(StoreError, match="did not answer"):
            administer(url, AddTerminal("T1", "till", "Station", "secret"), Settings(), now_microseconds)
    finally:
        store.close()
