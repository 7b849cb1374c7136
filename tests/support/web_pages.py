"""The pages of headquarters in a test: over a ledger of shops, at the instant at which it was filled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.applications import Starlette
from starlette.testclient import TestClient

from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.domain.roles import ActorRole
from inventory_server.web.application import make_application
from inventory_server.web.door import WebDoor
from inventory_server.web.pages.errors import show_error
from inventory_server.web.pages.routes import page_routes
from tests.support.ledgers import new_ledger, url_of
from tests.support.shop_ledger import OPENING, fill_shops
from tests.support.web import SignedIn


def ledger_of_shops(folder: Path) -> str:
    """A new ledger in a folder, with the shops in it, which are filled once in each process."""
    (folder / "hq.db").write_bytes(_filled())
    return url_of(folder / "hq.db")


@cache
def _filled() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "hq.db"
        fill_shops(new_ledger(path))
        return path.read_bytes()


@contextmanager
def pages(url: str, role: ActorRole | None = "reader") -> Iterator[TestClient]:
    """A browser without scripts, with `role` signed in."""
    with pages_application(url, role) as application, TestClient(application) as client:
        yield client


@contextmanager
def pages_application(url: str, role: ActorRole | None, clock: Clock = lambda: OPENING) -> Iterator[Starlette]:
    """The application with its pages over the ledger of `url`, with `role` signed in."""
    door = WebDoor(url, Settings(), clock)
    try:
        yield make_application(door, SignedIn(role), Settings(), pages=page_routes(), show_error=show_error)
    finally:
        door.close()


def seen(client: TestClient, address: str, status: int = 200) -> str:
    """The text of a page, without its markup; blanks are single."""
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", answer.text)))
