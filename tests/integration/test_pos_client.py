"""A till against a scripted HQ over real sockets: what a till program can do, and how it is told no."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pos_client import (
    BasketSold,
    BodyError,
    Line,
    OutboxError,
    PosClient,
    PostingResult,
    RequestError,
)
from pos_client.protocol.messages import Body, Limits
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
    with pytest.raises(OutboxError, match="closed"):
        till.sell([("milk", 1)])


# ---------------------------------------------------------------------------------- misuse


MISUSE: list[tuple[Callable[[PosClient], object], type[Exception], str]] = [
    (lambda till: till.sell([("milk", 0.1)]), TypeError, "float"),  # type: ignore[list-item]
    (lambda till: till.sell([("milk", "0.000001")]), BodyError, "5 decimals"),
    (lambda till: till.sell([("milk", 10**10)]), BodyError, "quantity"),
    (lambda till: till.sell([]), BodyError, "1 to 1000 lines"),
    (lambda till: till.sell([("milk", 1)] * 1_001), BodyError, "1 to 1000 lines, got 1001"),
    (lambda till: till.sell([("", 1)]), BodyError, "sku"),
    (lambda till: till.sell([("milk", 1)], occurred_at=datetime(2026, 1, 1)), BodyError, "offset"),  # noqa: DTZ001
    (lambda till: till.sell([("milk", 1)], reference="x" * 1_000), BodyError, "reference"),
    (lambda till: till.sell([("milk", 1)], ext={"blob": "x" * (1 << 20)}), BodyError, "at most"),
    (lambda till: till.sell([Line(quantity=1, sku="a", gtin="12345678")]), BodyError, "got both"),
    (lambda till: till.sell([("milk", 1)], id="abc"), BodyError, r"\$.id: expected a uuid.UUID, got str 'abc'"),  # type: ignore[arg-type]
    (lambda till: till.void("abc"), BodyError, 'voids: expected a UUID, got "abc"'),  # type: ignore[arg-type]
    (lambda till: till.sell([("mi\ud800lk", 1)]), BodyError, r'surrogates, got "mi\\ud800lk"'),
    (lambda till: till.sell([("milk", 1)], ext={"a": "\udfff"}), BodyError, r"^\$.ext: expected text without lone"),
    (lambda till: till.sell([("milk", 1)], reference="\udfff"), BodyError, r"^\$: expected text without lone"),
    (lambda till: till.stock("ABC"), TypeError, r"skus is a sequence of texts, not one: pass \['ABC'\]"),
    (lambda till: till.stock(locations="north"), TypeError, r"pass \['north'\]"),
    (lambda till: till.stock(["\ud800"]), UnicodeEncodeError, "surrogates"),
]


@pytest.mark.parametrize(("call", "error", "says"), MISUSE)
def test_what_can_never_be_posted_is_refused_before_it_is_stored(
    open_till: Callable[..., PosClient], call: Callable[[PosClient], object], error: type[Exception], says: str
) -> None:
    till = open_till()
    with pytest.raises(error, match=says):
        call(till)
    assert till.outbox.totals().last_seq == 0


MISSPELT: dict[str, Callable[[PosClient, Any], object]] = {
    "sell": lambda till, wrong: till.sell([("milk", 1)], **wrong),
    "return_": lambda till, wrong: till.return_([("milk", 1)], **wrong),
    "receive": lambda till, wrong: till.receive([("milk", 1)], **wrong),
    "adjust": lambda till, wrong: till.adjust([("milk", 1)], **wrong),
    "count": lambda till, wrong: till.count([("milk", 1)], **wrong),
    "transfer_out": lambda till, wrong: till.transfer_out([("milk", 1)], to="S2", **wrong),
    "transfer_in": lambda till, wrong: till.transfer_in([("milk", 1)], from_="S2", **wrong),
    "reserve": lambda till, wrong: till.reserve([("milk", 1)], **wrong),
    "release": lambda till, wrong: till.release([("milk", 1)], **wrong),
    "void": lambda till, wrong: till.void(UUID(int=1), **wrong),
    "Basket.sell": lambda till, wrong: till.open_basket().sell(**wrong),
    "PosClient.post": lambda till, wrong: till.post(Body("sale", datetime.now(UTC)), **wrong),
    "PosClient.stock": lambda till, wrong: till.stock(**wrong),
    "PosClient.history": lambda till, wrong: till.history("milk", **wrong),
    "PosClient.posting": lambda till, wrong: till.posting(UUID(int=1), **wrong),
    "PosClient.bye": lambda till, wrong: till.bye(**wrong),
}


@pytest.mark.parametrize("method", MISSPELT)
def test_an_unknown_argument_is_an_error_and_nothing_is_stored(
    open_till: Callable[..., PosClient], method: str
) -> None:
    till = open_till()
    with pytest.raises(TypeError, match=rf"{method}\(\) got an unexpected keyword argument 'occured_at'"):
        MISSPELT[method](till, {"occured_at": datetime.now(UTC)})
    assert till.outbox.totals().last_seq == 0


def test_a_misspelt_argument_is_answered_with_the_nearest_and_a_strange_one_with_all(
    open_till: Callable[..., PosClient],
) -> None:
    till = open_till()
    with pytest.raises(TypeError, match="did you mean 'occurred_at'"):
        till.receive([("milk", 1)], occured_at=datetime.now(UTC))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"it takes ext, location, occurred_at, on_result, reference$"):
        till.open_basket().sell(id=UUID(int=1))  # type: ignore[call-arg]


def test_a_sold_basket_takes_no_more_lines(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    basket = open_till().open_basket()
    basket.add("milk")
    sale = basket.sell()
    with pytest.raises(BasketSold, match="is sold already: open a new basket"):
        basket.add("ham")
    basket.lines.append(Line(quantity=1, sku="ham"))
    with pytest.raises(BasketSold, match="is sold already"):
        basket.sell()
    basket.lines.pop()
    assert basket.sell().id == sale.id
    assert_each_once(hq, [sale])


TOO_MUCH: list[tuple[list[tuple[str, int]], dict[str, Any], str]] = [
    ([("milk", 1)] * 4, {}, "expected 1 to 3 lines, got 4"),
    ([("milk", 1)], {"ext": {"blob": "x" * 100_000}}, "expected at most 98,976 bytes, got 100,"),
]


@pytest.mark.parametrize(("lines", "details", "says"), TOO_MUCH)
def test_what_hqs_last_hello_does_not_allow_is_refused_before_it_is_stored(
    hq: ScriptedHq,
    open_till: Callable[..., PosClient],
    lines: list[tuple[str, int]],
    details: dict[str, Any],
    says: str,
) -> None:
    hq.limits = Limits(max_frame_bytes=100_000, max_postings=500, max_lines=3, max_connections=100)
    till = open_till()
    sell(till, 1)
    wait_until(lambda: till.pending == 0)
    hq.stop()  # what it said last holds while it is away
    with pytest.raises(BodyError, match=says):
        till.sell(lines, **details)
    till.sell([("milk", 1)] * 3)
    assert till.outbox.totals().last_seq == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"terminal": "T 1"}, '^the terminal "T 1" cannot be used: expected 1 to 64 characters of A-Z a-z 0-9'),
        ({"location": ""}, '^the location "" cannot be used: expected 1 to 64 characters, no control characters$'),
        ({"terminal": 7}, "^the terminal 7 cannot be used: expected text$"),
        ({"location": "\ud800"}, "^the location cannot be used: expected text without lone surrogates$"),
        ({"token": 7}, "^the token cannot be used: expected text$"),
        ({"address": "hq:x"}, "no address"),
    ],
)
def test_a_till_that_cannot_be_is_refused_at_once(
    open_till: Callable[..., PosClient], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        open_till(**options)


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
