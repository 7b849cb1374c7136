"""A scripted HQ and tills that report to it; a store whose ledger is proven at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inventory_server.store import LedgerStore
from pos_client import (
    PosClient,
)
from tests.support.ledgers import Clock, opened, proof_of
from tests.support.scripted_hq import ScriptedHq
from tests.support.tills import FAST


@pytest.fixture
def hq() -> Iterator[ScriptedHq]:
    with ScriptedHq() as started:
        yield started


@pytest.fixture
def open_till(hq: ScriptedHq, tmp_path: Path) -> Iterator[Callable[..., PosClient]]:
    """Opens tills of one shop and closes them in the end."""
    opened: list[PosClient] = []

    def open_one(**options: Any) -> PosClient:
        settings: dict[str, Any] = {
            "terminal": "T1",
            "location": "A",
            "outbox": tmp_path / "till.db",
            "retry_policy": FAST,
        } | options
        opened.append(PosClient(settings.pop("address", hq.address), **settings))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def clock() -> Clock:
    """HQ's clock, a day after the tests' noon."""
    return Clock()


@pytest.fixture
def store(ledger: str, clock: Clock) -> Iterator[LedgerStore]:
    """A store on a new ledger."""
    with opened(ledger, clock) as store:
        yield store
        proof = proof_of(ledger)
    assert proof.holds, proof.findings
