"""A till that HQ refuses hears why and what to do, at once: who waits, who asks, the status, the log of both sides."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inventory_server.domain.requests import Enrol, RevokeTerminal
from pos_client import ErrorCode, HqRefused, PosClient, RequestError
from pos_client.protocol.errors import OutboxError
from pos_client.till.outbox import Outbox
from pos_client.till.sender import Sender
from tests.support.commands import Shell, headquarters
from tests.support.desk import Desk
from tests.support.maintenance import change
from tests.support.outboxes import posting
from tests.support.scripted_hq import ScriptedHq
from tests.support.tills import FAST, assert_each_once, sell
from tests.support.waiting import HANG_SECONDS, wait_until

ASK = "ask the operator for `inventory-server terminal"
UNKNOWN = f"Terminal T9 is not enrolled: check the name, or {ASK} add T9 --location A`."
REVOKED = f"Terminal T2 is revoked: {ASK} rotate T2`, which admits it again with a new token."
WRONG = f"This is not the token of terminal T1: correct it, or {ASK} rotate T1` for a new one."
NONE = f"Terminal T1 gave no token: configure it, or {ASK} rotate T1` for a new one."
ELSEWHERE = f"Terminal T1 is at 'A' and never was at 'B c': correct the till's location, or {ASK} move T1 'B c'`."
REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "an unknown name": ({"terminal": "T9", "token": "secret"}, UNKNOWN),
    "a revoked terminal": ({"terminal": "T2", "token": "secret"}, REVOKED),
    "a wrong token": ({"terminal": "T1", "token": "wrong"}, WRONG),
    "no token": ({"terminal": "T1"}, NONE),
    "another location": ({"terminal": "T1", "token": "secret", "location": "B c"}, ELSEWHERE),
}
LONG_SECONDS = 10 * HANG_SECONDS
"""Longer than a test may take: who waits for it is told before."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server with tokens, the till T1 at A, and a revoked one."""
    with headquarters(tmp_path, dev=False, control=True) as (address, url):
        for name in ("T1", "T2"):
            change(url, Enrol(name, "till", "A", "secret"))
        change(url, RevokeTerminal("T2"))
        yield address


@pytest.mark.parametrize("case", REFUSED)
def test_selling_with_wait_says_at_once_why_hq_refused_and_so_does_the_status(
    case: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(monkeypatch, capsys)
    options, reason = REFUSED[case]
    named = {f"TILLWIRE_{name.upper()}": value for name, value in ({"location": "A"} | options).items()}
    shell.env(TILLWIRE_SERVER=address, TILLWIRE_OUTBOX=str(tmp_path / "till.db"), **named)
    sold = shell("pos-client", "sell", "x", "--wait", str(LONG_SECONDS))
    assert (sold.code, sold.err) == (2, f"HQ refused: {reason} The sale is stored and stays pending.\n")
    delivered = shell("pos-client", "deliver", "--wait", str(LONG_SECONDS))
    assert (delivered.code, delivered.out) == (2, "0 delivered, 1 pending, 0 parked.\n")
    assert delivered.err == f"HQ refused: {reason}\n"
    shown = shell("pos-client", "status")
    assert shown.code == 1
    assert f"\nHQ refused: {reason}\n" in shown.out


@pytest.mark.parametrize("case", REFUSED)
def test_whoever_waits_or_asks_is_told_at_once_and_both_logs_say_it(
    case: str, address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options, reason = REFUSED[case]
    settings: dict[str, Any] = {"location": "A", "outbox": tmp_path / "till.db"} | options
    with caplog.at_level(logging.INFO), PosClient(address, **settings) as till:
        sale = till.sell([("x", 1)])
        waits: list[Callable[[], object]] = [
            lambda: sale.wait(LONG_SECONDS),
            lambda: till.wait(LONG_SECONDS),
            lambda: till.stock(["x"], timeout=LONG_SECONDS),
            lambda: till.bye(timeout=LONG_SECONDS),
        ]
        for wait in waits:
            with pytest.raises(HqRefused) as told:
                wait()
            assert str(told.value) == f"HQ refused: {reason}"
        status = till.status()
        assert (status.refused, status.last_error, status.pending) == (True, f"HQ refused: {reason}", 1)
    lines = [record.getMessage() for record in caplog.records]
    assert f"event=hq_refused address={address} reason={reason}" in lines
    assert any(line.startswith("event=hello_refused") and line.endswith(f"reason={reason}") for line in lines)


def test_a_till_that_is_let_in_again_delivers_and_is_no_longer_refused(
    hq: ScriptedHq, open_till: Callable[..., PosClient], tmp_path: Path
) -> None:
    hq.token = "right"
    till = open_till(token="wrong")
    [sale] = sell(till)
    with pytest.raises(HqRefused, match="HQ refused: This token is not known"):
        sale.wait(LONG_SECONDS)
    hq.token = "wrong"
    assert_each_once(hq, [sale])
    wait_until(lambda: not till.status().refused)
    assert till.outbox.refusal is None
    till.wait(LONG_SECONDS)
    assert till.stock(["milk"]).items


def test_a_terminal_that_is_revoked_while_it_trades_hears_so(address: str, tmp_path: Path) -> None:
    outbox, url = tmp_path / "till.db", f"sqlite:///{tmp_path / 'hq.db'}"
    with PosClient(address, terminal="T1", token="secret", location="A", outbox=outbox, retry_policy=FAST) as till:
        till.sell([("x", 1)]).wait(HANG_SECONDS)
        change(url, RevokeTerminal("T1"))
        with pytest.raises(HqRefused, match="terminal rotate T1"):
            till.sell([("x", 1)]).wait(LONG_SECONDS)
        assert (till.pending, till.status().parked) == (1, 0)


def test_another_process_on_the_same_outbox_hears_it_too(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    hq.token = "right"
    first = open_till(token="wrong")
    wait_until(lambda: first.status().refused)
    second = open_till(token="wrong")
    with pytest.raises(HqRefused, match="This token is not known"):
        second.sell([("milk", 1)]).wait(LONG_SECONDS)
    status = second.status()
    assert (status.sending, status.refused, status.last_error) == (False, True, "HQ refused: This token is not known.")


def test_waiting_for_an_hq_that_is_away_ends_with_what_is_wrong(
    hq: ScriptedHq, open_till: Callable[..., PosClient]
) -> None:
    hq.stop()
    till = open_till()
    sell(till, 2)
    wait_until(lambda: till.status().last_error is not None)
    with pytest.raises(TimeoutError, match=r"^2 pending after 0.01 s, and kept: .*cannot be reached"):
        till.wait(0.01)
    assert not till.status().refused


# ---------------------------------------------------------------------------------- the outbox


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.outbox.close()


def refused(sender: Sender) -> None:
    sender.next_action()
    sender.on_connected()
    sender.next_action()
    sender.on_error(RequestError(ErrorCode.unauthenticated, "Go away.", why="token"))


def test_the_refusal_is_kept_with_its_code_until_hq_accepts_the_till(desk: Desk) -> None:
    refused(desk.sender)
    kept = desk.outbox.refusal
    assert kept is not None
    assert (kept.code, kept.message, str(kept)) == (ErrorCode.unauthenticated, "Go away.", "HQ refused: Go away.")
    desk.sender.on_lost("the line is dead")
    assert desk.outbox.refusal is not None
    desk.later()
    desk.sender.on_connected()
    desk.next()
    desk.sender.on_hello(desk.hello_result())
    assert {desk.outbox.refusal, desk.sender.refusal} == {None}


def test_an_outbox_that_cannot_keep_the_refusal_says_both(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: HqRefused | None) -> None:
        raise OutboxError("The disk is full.")

    monkeypatch.setattr(desk.outbox, "note_refusal", fail)
    refused(desk.sender)
    assert desk.sender.last_error == "HQ refused: Go away. The disk is full."


def test_an_outbox_of_the_format_before_is_brought_up_to_date(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db")
    outbox.add(posting(1))
    outbox.close()
    with sqlite3.connect(tmp_path / "till.db") as db:
        db.execute("DROP TABLE refusal")
        db.execute("PRAGMA user_version = 1")
    db.close()
    outbox = Outbox(tmp_path / "till.db")
    assert (outbox.refusal, outbox.pending) == (None, 1)
    outbox.note_refusal(HqRefused(ErrorCode.forbidden, "No."))
    assert str(outbox.refusal) == "HQ refused: No."
    outbox.close()
