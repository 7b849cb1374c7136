"""A till against a scripted HQ over real sockets: what a till program can do, and how it is told no."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from pos_client import (
    Line,
    OutboxError,
    PosClient,
    PostingResult,
    RequestError,
)
from pos_client.till import sender_thread
from tests.support.scripted_hq import ScriptedHq
from tests.support.tills import assert_each_once, sell
from tests.support.waiting import HANG_SECONDS, wait_until

# ---------------------------------------------------------------------------------- the good days


def test_a_sale_is_durable_at_once_and_answered_soon(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    heard: list[PostingResult] = []
    called: list[PostingResult] = []
    till = open_till(on_result=heard.append)
    posting = till.sell(
        [("4006381333931", 2), Line(quantity=Decimal("0.35"), gtin="4006381333931")],
        reference="R-1",
        ext={"loyalty": 7},
        on_result=called.append,
    )
    result = posting.wait(HANG_SECONDS)
    assert (result.id, result.status, posting.state, posting.reference) == (posting.id, "posted", "done", "R-1")
    wait_until(lambda: called == heard == [result])
    body = hq.ledger[posting.id].body
    assert b'"lines":[{"quantity":2,"sku":"4006381333931"},{"quantity":"0.35","gtin":"4006381333931"}]' in body
    assert body.endswith(b'"reference":"R-1","ext":{"loyalty":7}}')
    assert "done" in repr(posting)


def test_a_return_and_a_receipt_name_what_they_belong_to(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    till = open_till()
    sold, sent = till.sell([("milk", 2)]), till.transfer_out([("milk", 1)], to="S2")
    back, received = till.return_([("milk", 1)], returns=sold), till.transfer_in([("milk", 1)], transfer=sent.id)
    assert_each_once(hq, [sold, sent, back, received])
    assert f'"returns":"{sold.id}"' in hq.ledger[back.id].body.decode()
    assert f'"transfer":"{sent.id}"' in hq.ledger[received.id].body.decode()


def test_every_kind_of_posting_goes_out_as_the_protocol_names_it(
    hq: ScriptedHq, open_till: Callable[..., PosClient]
) -> None:
    till = open_till()
    milk = [("milk", 1)]
    at = datetime.fromisoformat("2026-03-01T10:00:00+01:00")
    kept = till.reserve(milk, expires_at=at)
    posted = {
        "sale": till.sell(milk, reservation=kept.id, occurred_at=at),
        "return": till.return_(milk),
        "receipt": till.receive(milk, location="S1"),
        "adjustment": till.adjust([("milk", -1), Line(quantity=1, sku="tea", reason="found")], reason="broken"),
        "count": till.count(milk),
        "transfer_out": till.transfer_out(milk, to="S2"),
        "transfer_in": till.transfer_in(milk, from_="S2"),
        "reserve": kept,
        "release": till.release(milk, reservation=kept.id),
        "transfer_close": till.close_transfer(kept.id, "lost"),
    }
    posted["void"] = till.void(posted["sale"])
    assert_each_once(hq, list(posted.values()))
    bodies = {kind: hq.ledger[posting.id].body.decode() for kind, posting in posted.items()}
    for kind, body in bodies.items():
        assert body.startswith(f'{{"type":"{kind}","occurred_at":"')
    assert '"occurred_at":"2026-03-01T10:00:00+01:00"' in bodies["sale"]
    assert f'"reservation":"{kept.id}"' in bodies["sale"]
    assert f'"transfer":"{kept.id}","reason":"lost"' in bodies["transfer_close"]
    assert bodies["adjustment"].count('"reason":"broken"') == 1
    assert '"location":"S1"' in bodies["receipt"]
    assert '"other_location":"S2"' in bodies["transfer_out"]
    assert f'"voids":"{posted["sale"].id}"' in bodies["void"]


def test_a_basket_has_its_id_before_it_is_sold_and_counts_once(
    hq: ScriptedHq, open_till: Callable[..., PosClient]
) -> None:
    till = open_till()
    basket = till.open_basket()
    basket.add("milk")
    basket.add("ham", "0.25")
    first = basket.sell(reference="R-1")
    assert first.id == basket.id
    first.wait(HANG_SECONDS)
    assert basket.sell(reference="R-1").wait(HANG_SECONDS).status == "posted"
    assert len(hq.frames) == 1
    with pytest.raises(OutboxError, match="already holds a different posting"):
        basket.sell(reference="R-2")


def test_a_till_knows_how_it_stands(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    till = open_till(location="S1")
    sell(till)[0].wait(HANG_SECONDS)
    wait_until(lambda: till.status().pending == 0)
    status = till.status()
    assert (status.terminal, status.location, status.epoch, status.connected) == ("T1", "S1", 1, True)
    assert (status.sending, status.parked, status.last_error, status.oldest_pending_at) == (True, 0, None, None)
    assert status.lineage == till.outbox.lineage
    assert status.hq_ahead_seconds is not None


def test_questions_are_asked_on_the_tills_own_connection(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    till = open_till()
    assert till.stock(["milk"], locations=["S1"], below="reorder_point").items[0].on_hand == 3
    for ask in (lambda: till.history("milk"), lambda: till.posting(UUID(int=1))):
        with pytest.raises(RequestError, match="does not know"):  # a scripted HQ knows only levels
            ask()
    assert_each_once(hq, sell(till, 3))
    assert len(hq.hellos) == 1  # a hello of its own would have fenced the sender


def test_goodbye_delivers_first_and_stays_away_until_the_next_sale(
    hq: ScriptedHq, open_till: Callable[..., PosClient]
) -> None:
    till = open_till()
    postings = sell(till, 20)
    assert till.bye(timeout=HANG_SECONDS).status == "balanced"
    assert_each_once(hq, postings)
    assert not till.status().connected
    assert till.status().last_error is None
    sell(till)[0].wait(HANG_SECONDS)
    assert len(hq.hellos) == 2


def test_leaving_the_with_block_waits_for_the_last_answers(hq: ScriptedHq, tmp_path: Path) -> None:
    with PosClient(hq.address, terminal="T1", location="A", outbox=tmp_path / "till.db") as till:
        postings = sell(till, 50)
    assert {posting.state for posting in postings} == {"done"}
    with pytest.raises(OutboxError, match="was closed by this program, and nothing was stored: open it again"):
        till.sell([("milk", 1)])


# ---------------------------------------------------------------------------------- mishaps


def test_a_callback_that_fails_is_logged_and_stops_nothing(
    hq: ScriptedHq, open_till: Callable[..., PosClient], caplog: pytest.LogCaptureFixture
) -> None:
    till = open_till(on_result=lambda _: 1 / 0)
    with caplog.at_level(logging.ERROR, "tillwire.till"):
        assert_each_once(hq, sell(till, 2))
        wait_until(lambda: len(caplog.records) == 2)
    assert "on_result_failed" in caplog.text


def test_an_accident_in_the_sender_is_logged_and_it_goes_on(
    hq: ScriptedHq,
    open_till: Callable[..., PosClient],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender_thread, "ERROR_PAUSE_SECONDS", 0.01)
    mishaps = iter([True])
    till = open_till()
    proceed = till._sender.next_action

    def stumble() -> object:
        if next(mishaps, False):
            raise ZeroDivisionError("never mind")
        return proceed()

    with caplog.at_level(logging.ERROR, "tillwire.till"):
        monkeypatch.setattr(till._sender, "next_action", stumble)
        assert_each_once(hq, sell(till, 2))
        wait_until(lambda: "sender_error" in caplog.text)
