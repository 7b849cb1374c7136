"""Judging reads first: how many statements a frame takes, whatever is in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from inventory_server.domain.requests import Post
from inventory_server.store.ledger import sql
from inventory_server.store.write.statements import Statements
from pos_client.protocol.messages import PostResult
from tests.support.ledgers import HOUR, NOON, Clock, Till, body, opened, outcome_of, uid
from tests.support.statements import statements

POSTINGS = 500
STATEMENTS_MAX = 80
"""Most statements of a commit of 500 postings of 3 lines."""
SKUS = 1_500
"""Every line of such a frame is of another product: the most levels that it can touch."""

_TABLE = re.compile(r"(?:INTO|JOIN) \"?(\w+)")

Frame = list[tuple[bytes, object]]
"""Bodies, and a name for the id of each."""


def lines_of(number: int, count: int) -> list[tuple[str, int]]:
    return [(f"sku {(number * count + line) % SKUS}", 1 + line % 2) for line in range(count)]


def frame(kind: Any, count: int, name: str, at: int = NOON, **fields: Callable[[int], Any]) -> Frame:
    """A frame of 500 postings of `count` lines, at instants of their own; `fields` are made from the number of each."""
    return [
        (
            body(
                kind,
                *([] if kind == "void" else lines_of(number, count)),
                at=at + number,
                **{field: value(number) for field, value in fields.items()},
            ),
            (name, number),
        )
        for number in range(POSTINGS)
    ]


def names(name: str) -> Callable[[int], Any]:
    return lambda number: uid((name, number))


def there(_: int) -> str:
    return "L2"


def lost(_: int) -> str:
    return "lost"


def frames(count: int) -> dict[str, list[Frame]]:
    """By what the last frame does: the frames before it, and it."""
    sold = frame("sale", count, "sale")
    counted = frame("count", count, "count", at=NOON + HOUR)
    sent = frame("transfer_out", count, "out", other_location=there)
    back = frame("transfer_out", count, "back", other_location=there)
    kept = frame("reserve", count, "kept")
    later = NOON + 2 * HOUR
    unnamed = frame("release", count, "free", at=later)
    come = frame("transfer_in", count, "in", at=later, other_location=there)
    return {
        "sale": [sold],
        "sale with a reservation": [kept, frame("sale", count, "s", at=later, reservation=names("kept"))],
        "return": [sold, frame("return", count, "return", at=later, returns=names("sale"))],
        "receipt": [frame("receipt", count, "receipt", reference=lambda number: f"r{number}")],
        "adjustment": [frame("adjustment", count, "adjustment", reference=lambda number: f"r{number}")],
        "count": [sold, counted],
        "late count": [sold, counted, frame("count", count, "late", at=NOON - HOUR)],
        "count before sales": [sold, frame("count", count, "early", at=NOON - HOUR)],
        "transfer_out": [sent],
        "transfer_in": [frame("transfer_in", count, "in", transfer=names("elsewhere"))],
        "transfer_in, named": [sent, back, frame("transfer_in", count, "in", at=later, transfer=names("out"))],
        "transfer_in, unnamed": [come],
        "transfer_close": [sent, frame("transfer_close", count, "shut", transfer=names("out"), reason=lost)],
        "reserve": [kept],
        "release, named": [kept, frame("release", count, "free", at=later, reservation=names("kept"))],
        "release, unnamed": [kept, unnamed],
        "void of sales": [sold, frame("void", count, "void", voids=names("sale"))],
        "void of counts": [sold, counted, frame("void", count, "void", voids=names("count"))],
        "void of transfers": [sent, frame("void", count, "void", voids=names("out"))],
        "void of transfer_in": [come, frame("void", count, "void", voids=names("in"))],
        "void of reserves": [kept, unnamed, frame("void", count, "void", voids=names("kept"))],
        "void of releases": [kept, unnamed, frame("void", count, "void", voids=names("free"))],
    }


def ran_for(place: str, frames: list[Frame], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Post frames; the statements of the last one."""
    ran: list[str] = []
    with opened(place, Clock(NOON + 24 * HOUR)) as store:
        till = Till(store)
        Till(store, "T2", "L2")
        for each in frames:
            post = Post(till.speaker, [till.item(raw, uid(name)) for raw, name in each], None)
            with statements(monkeypatch) as ran:
                outcome = outcome_of(store.submit(post).wait)
            assert isinstance(outcome, PostResult), outcome
            assert {result.status for result in outcome.results} == {"posted"}
    return ran


EVERYDAY = ("sale", "late count", "transfer_in, named", "release, unnamed", "void of counts")
"""The kinds of frame that `make test` counts; `make test-long` counts all."""


@pytest.mark.parametrize(
    "what", [each if each in EVERYDAY else pytest.param(each, marks=pytest.mark.long) for each in frames(1)]
)
def test_a_frame_takes_few_statements(ledger: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = ran_for(ledger, frames(3)[what], monkeypatch)
    assert len(ran) <= STATEMENTS_MAX, ran


@pytest.mark.long
@pytest.mark.parametrize("what", ["sale", "late count", "transfer_in, named", "void of transfer_in"])
@pytest.mark.parametrize("lines", [1, 10])
def test_only_chunks_of_rows_grow_with_the_lines(
    ledger: str, what: str, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table is read or written in chunks, at most twice: no read is repeated for a posting or a line."""
    ran = ran_for(ledger, frames(lines)[what], monkeypatch)
    chunks = len(sql.chunks(range(POSTINGS * lines)))
    repeated = Counter((text.split()[0], tuple(_TABLE.findall(text)[-1:])) for text in ran)
    assert max(repeated.values()) <= 2 * chunks, repeated


def test_a_late_count_reads_the_movements_of_its_own_products_alone(tmp_path: Path) -> None:
    def plan(connection: Connection) -> str:
        text, names = Statements().moved_after._render(connection, size=16)
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", (0,) * len(names))
        return "\n".join(row[-1] for row in rows)

    with opened(tmp_path / "hq.db") as store:
        found = store._writer.perform(plan)
    assert "SEARCH movement USING PRIMARY KEY (segment=? AND location=? AND sku=?)" in found
