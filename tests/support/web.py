"""The web application in a test: over a new ledger that a server in this process writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.requests import Request
from starlette.testclient import TestClient

from inventory_server.admin.control_socket import ControlServer
from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.domain.roles import ActorRole, User
from inventory_server.store import open_store
from inventory_server.web.application import make_application
from inventory_server.web.door import WebDoor
from tests.support.ledgers import new_ledger

ORIGIN = "http://testserver"


class SignedIn:
    """People of whom one is signed in: `user`; None: nobody."""

    def __init__(self, role: ActorRole | None) -> None:
        self.user = None if role is None else User("kim", role, "web test")

    def user_of(self, request: Request) -> User | None:
        return self.user


@contextmanager
def written(url: str) -> Iterator[None]:
    """A server that writes the ledger of `url`; no till can reach it."""
    store = open_store(url, Settings(), now_microseconds)
    control = ControlServer(url, store, Settings(), now_microseconds, list)
    control.start()
    try:
        yield
    finally:
        control.stop(5)
        store.close()


@contextmanager
def web(url: str, role: ActorRole | None = "admin") -> Iterator[TestClient]:
    """A client of the application over the ledger of `url`, with `role` signed in."""
    door = WebDoor(url, Settings(), now_microseconds)
    try:
        with TestClient(make_application(door, SignedIn(role), Settings()), raise_server_exceptions=False) as client:
            yield client
    finally:
        door.close()


@contextmanager
def web_on_new_ledger(folder: Path, role: ActorRole | None = "admin") -> Iterator[tuple[TestClient, str]]:
    """A client, and the URL of the ledger, which a server writes."""
    url = new_ledger(folder / "hq.db")
    with written(url), web(url, role) as client:
        yield client, url
