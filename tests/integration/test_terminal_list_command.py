"""`inventory-server terminal list`: the state of every terminal."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.requests import Hello
from pos_client.protocol.tick import Tick
from tests.support.commands import Shell
from tests.support.ledgers import NOON, hello, opened


def test_the_list_of_terminals_shows_how_far_a_tills_clock_is_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ledger: str
) -> None:
    shell = Shell(monkeypatch, capsys)
    with opened(ledger, lambda: NOON) as store:
        for terminal, ahead in (("slow", -3_600_000_000), ("right", 400_000)):
            perform(store, Hello(terminal, None, True, "A", None, None, NOON + ahead, tick=Tick(uuid4(), 1_000)))
        hello(store, "unknown", "A")
    rows = json.loads(shell("inventory-server", "terminal", "list", "--json", "--db", ledger).out)
    offsets = {row["terminal"]: row["clock_offset_ms"] for row in rows}
    assert offsets == {"right": 400, "slow": -3_600_000, "unknown": None}
    shown = shell("inventory-server", "terminal", "list", "--db", ledger).out
    assert "clock" in shown
    assert "-3600.0 s" in shown
    assert "+0.4 s" in shown
