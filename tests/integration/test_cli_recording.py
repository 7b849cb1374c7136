"""`pos-client sell`, `return`, `receive`, `count`, `transfer` and `void`: what a person records at a till."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from pos_client.protocol.messages import Body
from pos_client.till.outbox import Outbox
from tests.support.commands import Done, Shell, headquarters

WAIT = ("--wait", "30")
Command = Callable[..., Done]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.fixture
def at(shell: Shell, tmp_path: Path) -> Iterator[Command]:
    """Runs `pos-client` at the till of a location, against a server that enrols it."""
    with headquarters(tmp_path) as (address, _):
        shell.env(TILLWIRE_SERVER=address)

        def run(location: str, *arguments: str) -> Done:
            till = ("--terminal", f"T-{location}", "--location", location, "--outbox", str(tmp_path / location))
            return shell("pos-client", *arguments, *WAIT, *till)

        yield run


@pytest.fixture
def alone(shell: Shell, tmp_path: Path) -> Command:
    """Runs `pos-client` at a till whose server is away."""
    shell.env(TILLWIRE_SERVER=f"unix:{tmp_path}/away", TILLWIRE_TERMINAL="T1", TILLWIRE_LOCATION="A")
    shell.env(TILLWIRE_OUTBOX=str(tmp_path / "till.db"))
    return lambda *arguments: shell("pos-client", *arguments)


def stock(shell: Shell, sku: str) -> dict[str, Any]:
    """What is on hand of `sku` at each location."""
    found = json.loads(shell("stock-query", sku, "--format", "json").out)
    return {item["location"]: item["on_hand"] for item in found["items"]}


def posted_id(done: Done) -> str:
    assert (done.code, done.err) == (0, ""), done
    posting_id, status = done.out.split()[:2]
    assert status == "posted"
    return posting_id


def recorded(folder: Path) -> Body:
    """The only posting in the outbox, as it will be sent."""
    box = Outbox(folder / "till.db")
    try:
        [entry] = box.next_batch(2, 1 << 20)
    finally:
        box.close()
    return msgspec.json.decode(entry.body, type=Body)


def test_a_day_at_a_till_comes_to_the_stock_that_a_person_expects(at: Command, shell: Shell) -> None:
    posted_id(at("A", "receive", "x=10", "--reference", "DN-1"))
    sale = posted_id(at("A", "sell", "x=3"))
    posted_id(at("A", "return", "x=1", "--returns", sale))
    wrong = posted_id(at("A", "sell", "x=2"))
    posted_id(at("A", "void", wrong))
    assert stock(shell, "x") == {"A": 8}
    posted_id(at("A", "count", "x=7"))
    assert stock(shell, "x") == {"A": 7}


def test_goods_go_to_another_location_and_what_is_lost_ends_the_transfer(at: Command, shell: Shell) -> None:
    posted_id(at("A", "receive", "x=10"))
    sent = posted_id(at("A", "transfer", "out", "x=6", "--to", "B"))
    posted_id(at("B", "transfer", "in", "x=2", "--transfer", sent))
    posted_id(at("B", "transfer", "in", "x=1", "--from", "A"))
    posted_id(at("B", "transfer", "close", sent, "lost", "x=1"))
    posted_id(at("B", "transfer", "close", sent, "refused"))
    assert stock(shell, "x") == {"A": 4, "B": 3}
    assert shell("stock-query", "transfers").out == "Nothing is on the road.\n"


def test_what_hq_rejects_is_named_with_its_reason(at: Command) -> None:
    sale = posted_id(at("A", "sell", "x"))
    posted_id(at("A", "void", sale))
    again = at("A", "void", sale)
    assert again.code == 1
    assert again.err.startswith("HQ rejected the void: ")
    assert "can be voided once" in again.err


def test_a_line_has_a_barcode_and_a_price(alone: Command, tmp_path: Path) -> None:
    prices = ("--price", "a=b=18.90", "--price", "4006381333931=2", "--currency", "EUR")
    done = alone("sell", "a=b=2", "y", "--barcode", "4006381333931=3", *prices, "--json")
    assert (done.code, json.loads(done.out)["state"]) == (0, "pending")
    assert msgspec.to_builtins(recorded(tmp_path).lines, builtin_types=()) == [
        {"sku": "a=b", "quantity": 2, "unit_price": "18.90", "currency": "EUR"},
        {"sku": "y", "quantity": 1},
        {"gtin": "4006381333931", "quantity": 3, "unit_price": 2, "currency": "EUR"},
    ]


def test_a_posting_is_dated_when_it_happened(alone: Command, tmp_path: Path) -> None:
    assert alone("count", "x=5", "--occurred-at", "2026-03-14T09:41+01:00", "--reference", "C-1").code == 0
    body = recorded(tmp_path)
    assert (body.type, body.reference) == ("count", "C-1")
    assert body.occurred_at.isoformat().startswith("2026-03-14T")
    assert body.occurred_at.timestamp() == 1773477660


SOME_ID = str(uuid4())
WRONG = [
    (["sell"], "Expected SKU[=QUANTITY] or --barcode GTIN[=QUANTITY], got no product"),
    (["count", "--reference", "C-1"], "got no product"),
    (["sell", "x=1e5"], "'x=1e5': A quantity is an exact number"),
    (["receive", "x=NaN"], "A quantity is an exact number"),
    (["return", "x=1.0000001"], "at most 5 decimals"),
    (["sell", "=1"], "sku"),
    (["receive", "x=-1"], "expected 0 or more on a receipt"),
    (["sell", "--barcode", "12"], "$.lines[0].gtin: expected"),
    (["sell", "--barcode", "4006381333931=many"], "'4006381333931=many': A quantity is"),
    (["sell", "x", "--price", "x"], "expected SKU=PRICE or BARCODE=PRICE, got 'x'"),
    (["sell", "x", "--price", "x=dear"], "'x=dear': A price is"),
    (["sell", "x", "--price", "y=2"], "Expected a --price of x, got one of 'y'."),
    (["sell", "x", "--price", "x=2", "--price", "x=3"], "Expected one --price for each product, got two for 'x'"),
    (["sell", "x", "--currency", "EUR"], "Expected a --price with --currency, got 'EUR' alone."),
    (["sell", "x", "--price", "x=2", "--currency", "euro"], 'got "euro"'),
    (["sell", "x", "--occurred-at", "yesterday"], "got 'yesterday'"),
    (["transfer", "out", "x"], "Missing option '--to'"),
    (["transfer", "in", "x"], "Expected --transfer ID or --from LOCATION, got neither."),
    (["transfer", "close", SOME_ID, "stolen"], "'stolen' is not one of"),
    (["void", "R-1"], "'R-1' is not a valid UUID"),
]


@pytest.mark.parametrize(("arguments", "reason"), WRONG)
def test_what_cannot_be_recorded_is_refused_with_the_reason_and_stores_nothing(
    arguments: list[str], reason: str, alone: Command, tmp_path: Path
) -> None:
    done = alone(*arguments)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err
    assert "Traceback" not in done.err
    if (tmp_path / "till.db").exists():
        assert "0 pending" in alone("outbox", "list").out


def test_no_option_controls_the_terminal(alone: Command) -> None:
    for arguments in (["sell", "x", "--price", "\x1b[31m=2"], ["sell", "\x1b[31m=many"], ["void", "\x1b[31m"]):
        done = alone(*arguments)
        assert done.code == 2
        assert "\x1b" not in done.err
