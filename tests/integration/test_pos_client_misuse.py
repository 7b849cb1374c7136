"""Misuse of the API: what can never be posted or asked is refused in the caller's thread, and nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from pos_client import BasketSold, Body, BodyError, Line, PosClient
from pos_client.protocol.messages import Limits
from tests.support.scripted_hq import ScriptedHq
from tests.support.tills import assert_each_once, sell
from tests.support.waiting import wait_until

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)
MILK = [("milk", 1)]

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
    (lambda till: till.transfer_out(MILK, to="A"), BodyError, "other_location: expected another location .* got 'A'"),
    (lambda till: till.transfer_in(MILK, from_="A"), BodyError, "other_location: expected another location"),
    (lambda till: till.wait(-1), ValueError, "A timeout is a number of seconds, 0 or more, not -1"),
    (lambda till: till.bye(timeout=-1), ValueError, "A timeout is"),
    (lambda till: till.stock(timeout=float("nan")), ValueError, "A timeout is"),
    # one where several are expected
    (lambda till: till.sell("ABC"), TypeError, r"lines is a sequence of \(sku, quantity\) or Line, .* not 'ABC'"),  # type: ignore[arg-type]
    (lambda till: till.sell(("milk", 2)), TypeError, "lines is a sequence"),  # type: ignore[arg-type]
    (lambda till: till.sell({"milk": 2}), TypeError, "lines is a sequence"),  # type: ignore[dict-item]
    (lambda till: till.adjust(Line(quantity=1, sku="a")), TypeError, "lines is a sequence"),  # type: ignore[arg-type]
    (lambda till: till.sell([["milk", 2]]), TypeError, r"A line is \(sku, quantity\) or a Line"),  # type: ignore[list-item]
    # numbers that are not exact, or no numbers
    (lambda till: till.sell([("milk", True)]), TypeError, "A quantity is an int, .*, not bool True"),
    (lambda till: till.sell([("milk", Decimal("NaN"))]), BodyError, "quantity"),
    (lambda till: till.sell([Line(0.5, sku="a")]), TypeError, "not float 0.5"),  # type: ignore[arg-type]
    (lambda till: till.sell([Line(1, sku="a", unit_price=1.9)]), TypeError, "A price is an int, .* not float"),  # type: ignore[arg-type]
    (lambda till: till.sell([Line(1, sku="a", unit_price=True)]), TypeError, "A price is an int, .* not bool"),
    (lambda till: till.post(Body("sale", AT, [Line(0.1, sku="a")])), TypeError, "not float 0.1"),  # type: ignore[arg-type]
    (lambda till: till.open_basket().add("milk", 0.5), TypeError, "not float 0.5"),  # type: ignore[arg-type]
    (lambda till: till.open_basket().add(4006), TypeError, "A line is"),  # type: ignore[arg-type]
    # another type, which JSON would carry as if it were the right one
    (lambda till: till.sell([Line(1, sku=b"milk")]), BodyError, r"lines\[0\].sku: expected a str, got bytes"),  # type: ignore[arg-type]
    (lambda till: till.receive(MILK, location=b"S2"), BodyError, r"\$.location: expected a str, got bytes b'S2'"),  # type: ignore[arg-type]
    (lambda till: till.sell(MILK, reference=b"R-1"), BodyError, r"\$.reference: expected a str, got bytes"),  # type: ignore[arg-type]
    (lambda till: till.sell(MILK, reference=17), BodyError, r"\$.reference: expected text, got 17"),  # type: ignore[arg-type]
    (lambda till: till.sell(MILK, occurred_at="2026-03-01T10:00:00Z"), BodyError, "expected a datetime, got str"),  # type: ignore[arg-type]
    (lambda till: till.sell(MILK, occurred_at=""), BodyError, "occurred_at: expected RFC 3339"),  # type: ignore[arg-type]
    (lambda till: till.sell(MILK, occurred_at=date(2026, 3, 1)), BodyError, "occurred_at: expected RFC 3339"),  # type: ignore[arg-type]
    (lambda till: till.reserve(MILK, expires_at=datetime(2026, 1, 1)), BodyError, "expires_at.* offset"),  # noqa: DTZ001
    (lambda till: till.void(str(UUID(int=1))), BodyError, "voids: expected a uuid.UUID, got str"),  # type: ignore[arg-type]
    (lambda till: till.close_transfer(UUID(int=1), "stolen"), BodyError, "one of lost, refused, mistake"),  # type: ignore[arg-type]
    (lambda till: till.sell(MILK, ext=[1]), BodyError, r"\$.ext: expected a JSON object"),  # type: ignore[arg-type]
    (lambda till: till.sell(MILK, ext={"a": [b"x"]}), BodyError, r"\$.ext.a\[0\]: expected .* of JSON, got b'x'"),
    (lambda till: till.sell(MILK, ext={"a": float("nan")}), BodyError, r"\$.ext.a: expected .* of JSON, got nan"),
    (lambda till: till.sell(MILK, ext={"a": object()}), BodyError, r"\$.ext: expected values that JSON can express"),
    (lambda till: till.sell(MILK, on_result="print"), TypeError, "on_result is a function of a PostingResult"),  # type: ignore[arg-type]
    # questions
    (lambda till: till.stock("ABC"), TypeError, r"skus is a sequence of texts, not one: pass \['ABC'\]"),
    (lambda till: till.stock(locations="north"), TypeError, r"pass \['north'\]"),
    (lambda till: till.stock(["\ud800"]), ValueError, r'lone surrogates, got "\\ud800"'),
    (lambda till: till.stock([7]), ValueError, r"skus\[0\]: expected text, got 7"),  # type: ignore[list-item]
    (lambda till: till.stock([b"milk"]), TypeError, r"skus\[0\]: expected a str, got bytes b'milk'"),  # type: ignore[list-item]
    (lambda till: till.stock(below=0.5), TypeError, "not float 0.5"),  # type: ignore[arg-type]
    (lambda till: till.stock(below="low"), ValueError, "not 'low'"),
    (lambda till: till.stock(negative=1), ValueError, "negative: expected true or false, got 1"),  # type: ignore[arg-type]
    (lambda till: till.stock(limit=True), ValueError, "limit: expected an integer, got true"),
    (lambda till: till.stock(as_of="2026-03-01"), TypeError, "as_of is a datetime or a date, not str"),  # type: ignore[arg-type]
    (lambda till: till.stock(as_of=datetime(2026, 3, 1)), ValueError, "as_of: .* with a time zone"),  # noqa: DTZ001
    (lambda till: till.stock(known_at=datetime(2026, 3, 1)), ValueError, "known_at: .* offset"),  # noqa: DTZ001
    (lambda till: till.history("milk", since=datetime(2026, 3, 1)), ValueError, "^since: .* offset"),  # noqa: DTZ001
    (lambda till: till.history("milk", until="2026-03-01T00:00:00Z"), TypeError, "^until: expected a datetime"),  # type: ignore[arg-type]
    (lambda till: till.posting("abc"), ValueError, 'id: expected a UUID, got "abc"'),  # type: ignore[arg-type]
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
    "merge": lambda till, wrong: till.merge("milk", into="tea", **wrong),
    "close_transfer": lambda till, wrong: till.close_transfer(UUID(int=1), "lost", **wrong),
    "Basket.sell": lambda till, wrong: till.open_basket().sell(**wrong),
    "PosClient.post": lambda till, wrong: till.post(Body("sale", datetime.now(UTC)), **wrong),
    "stock": lambda till, wrong: till.stock(**wrong),
    "history": lambda till, wrong: till.history("milk", **wrong),
    "postings": lambda till, wrong: till.postings(**wrong),
    "counts": lambda till, wrong: till.counts(**wrong),
    "transfers": lambda till, wrong: till.transfers(**wrong),
    "reservations": lambda till, wrong: till.reservations(**wrong),
    "sales": lambda till, wrong: till.sales(**wrong),
    "changes": lambda till, wrong: till.changes(0, **wrong),
    "exceptions": lambda till, wrong: till.exceptions(**wrong),
    "posting": lambda till, wrong: till.posting(UUID(int=1), **wrong),
    "PosClient.bye": lambda till, wrong: till.bye(**wrong),
    "PosClient.close": lambda till, wrong: till.close(**wrong),
    "PosClient.status": lambda till, wrong: till.status(**wrong),
    "PosClient.open_basket": lambda till, wrong: till.open_basket(**wrong),
    "Basket.add": lambda till, wrong: till.open_basket().add("milk", **wrong),
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
        ({"location": "\ud800"}, r'^the location "\\ud800" cannot be used: expected text without lone surrogates$'),
        ({"token": 7}, "^the token cannot be used: expected text$"),
        ({"token": b"tw_secret"}, "^the token cannot be used: expected text, got bytes$"),
        ({"location": b"A"}, "^the location cannot be used: expected text, got bytes$"),
        ({"address": "hq:x"}, "no address"),
    ],
)
def test_a_till_that_cannot_be_is_refused_at_once(
    open_till: Callable[..., PosClient], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        open_till(**options)


@pytest.mark.parametrize("field", ["reference", "occurred_at", "location", "ext", "on_result", "id"])
def test_none_is_as_good_as_leaving_an_argument_out(
    hq: ScriptedHq, open_till: Callable[..., PosClient], field: str
) -> None:
    sale = open_till().sell(MILK, **{field: None})
    assert_each_once(hq, [sale])
    assert b"null" not in hq.ledger[sale.id].body


def test_a_handle_stands_for_its_id_everywhere(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    till = open_till()
    kept, basket = till.reserve(MILK), till.open_basket()
    basket.add("milk")
    sold = [till.sell(MILK, reservation=kept), till.release(MILK, reservation=kept), basket.sell(reservation=kept)]
    assert_each_once(hq, [kept, *sold])
    for each in sold:
        assert f'"reservation":"{kept.id}"' in hq.ledger[each.id].body.decode()


def test_a_status_is_ready_for_json(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    hq.stop()
    sell(open_till(), 1)
    till = open_till(terminal="T1")
    shown = json.loads(json.dumps(till.status().as_dict()))
    assert (shown["lineage"], shown["pending"], shown["held"]) == (str(till.outbox.lineage), 1, [])
    assert datetime.fromisoformat(shown["oldest_pending_at"]) == till.status().oldest_pending_at
