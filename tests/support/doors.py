"""The ways into a database, and what somebody is told who is refused there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inventory_server.config import Settings
from inventory_server.store import StoreError, open_store, upgrade
from tests.support.ledgers import Clock
from tests.support.maintenance import verified

Door = Callable[[str], None]


def open_(url: str) -> None:
    """Open the ledger for posting, however weakly it is kept."""
    open_store(url, Settings(accept_weak_durability=True), Clock()).close()


def verify(url: str) -> None:
    """Read the whole ledger."""
    assert verified(url).holds


DOORS: dict[str, Door] = {"open": open_, "read": verify, "upgrade": upgrade}
USES: list[Door] = [open_, verify]
doors = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


def refusal(door: Door, url: str) -> str:
    """What `door` says of the database; it must be one sentence that holds no secret."""
    with pytest.raises(StoreError) as caught:
        door(url)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    assert "secret" not in message
    return message
