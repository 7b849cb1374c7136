"""The demonstration, with a shelf that differs."""

from __future__ import annotations

from typing import Any

import pytest

from inventory_server.demo import day
from inventory_server.demo.chain import Plan, plan_day
from tests.support.commands import Shell


def test_a_shelf_that_is_not_as_hq_says_is_shown_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def steal(*arguments: Any) -> Plan:
        made = plan_day(*arguments)
        made.shelves["Oldtown", "GR-001"] -= 1
        return made

    monkeypatch.setattr(day, "plan_day", steal)
    done = Shell(monkeypatch, capsys)("inventory-server", "demo", "--baskets", "50")
    assert done.code == 1
    assert "1 of 1,050." in done.out
    assert done.err.startswith("GR-001 at Oldtown: HQ says")
    assert "The proof holds." in done.out
