"""The web application in a test: over a new ledger that a server in this process writes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from inventory_server.admin.control_socket import ControlServer
from inventory_server.clock import Clock, now_microseconds
from inventory_server.config import Settings
from inventory_server.domain.roles import ActorRole, User
from inventory_server.store import open_store
from inventory_server.web.accounts import Accounts
from inventory_server.web.application import make_application
from inventory_server.web.door import Door, WebDoor
from inventory_server.web.passwords import Passwords
from inventory_server.web.people import LedgerPeople, People
from inventory_server.web.process import WebServer, web_config
from pos_client.protocol.address import Address
from tests.support.ledgers import new_ledger
from tests.support.waiting import HANG_SECONDS

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


def quick_accounts(door: Door, clock: Clock = now_microseconds) -> Accounts:
    """Accounts whose passwords are hashed in no time."""
    return Accounts(door, clock, Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)))


@contextmanager
def web(url: str, role: ActorRole | None = "admin") -> Iterator[TestClient]:
    """A client of the application over the ledger of `url`, with `role` signed in."""
    with application_of(url, SignedIn(role)) as application, client_of(application) as client:
        yield client


@contextmanager
def application_of(url: str, people: People | None = None, **options: Any) -> Iterator[Starlette]:
    """The application over the ledger of `url`; without `people` with those of the ledger."""
    door = WebDoor(url, Settings(), now_microseconds)
    try:
        accounts = quick_accounts(door)
        yield make_application(door, people or LedgerPeople(door), Settings(), accounts=accounts, **options)
    finally:
        door.close()


def client_of(application: Starlette) -> TestClient:
    """A client of an application, as a browser is: it keeps cookies."""
    return TestClient(application, raise_server_exceptions=False)


@contextmanager
def web_on_new_ledger(folder: Path, role: ActorRole | None = "admin") -> Iterator[tuple[TestClient, str]]:
    """A client, and the URL of the ledger, which a server writes."""
    url = new_ledger(folder / "hq.db")
    with written(url), web(url, role) as client:
        yield client, url


@contextmanager
def serving(application: Starlette) -> Iterator[Address]:
    """A real web server in this process, with all limits; yields where it listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)  # who reads nothing is noticed early
    ready = threading.Event()
    server = WebServer(web_config(application, Settings()), ready.set, application.state.streams.end_all)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert ready.wait(HANG_SECONDS)
        yield Address(*listener.getsockname())
    finally:
        server.should_exit = True
        thread.join(HANG_SECONDS)


class EventReader:
    """A reader of server-sent events over a socket of its own."""

    def __init__(self, address: Address, query: str = "", token: str = "token", last: int | None = None) -> None:
        self._socket = socket.create_connection((address.host, address.port), HANG_SECONDS)
        head = f"GET /api/v1/feed{query} HTTP/1.0\r\nHost: hq\r\nAuthorization: Bearer {token}\r\n"
        more = "" if last is None else f"Last-Event-ID: {last}\r\n"
        self._socket.sendall(f"{head}{more}\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        while self._file.readline() not in (b"\r\n", b""):
            continue

    def __enter__(self) -> EventReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def begun(self) -> EventReader:
        """Wait until the feed has begun."""
        assert self._event() == {"retry": "2000"}
        return self

    def next(self) -> dict[str, str]:
        """The next event: its fields; nothing at the end of the stream."""
        return self._event()

    def rest(self) -> bytes:
        """All that comes until the connection ends."""
        return self._file.read()

    def _event(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while (line := self._file.readline().rstrip(b"\n")) != b"":
            name, _, value = line.decode().partition(": ")
            fields[name] = value
        return fields
