"""With many partitions a statement looks into those that it needs: shown by PostgreSQL's plans, not by time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, make_url

from inventory_server.store.growth import closing
from inventory_server.store.ledger import sql
from pos_client.protocol.units import instant
from tests.support.ledgers import HOUR, NOON, Clock, Till, body, find, history, level, opened, uid
from tests.support.maintenance import close_books
from tests.support.partitions import POSITIONS, small
from tests.support.sites import Site, on_postgresql

pytestmark = on_postgresql  # a ledger in a file has no partitions
FRAME = 256
Statement = tuple[str, tuple[Any, ...]]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON + 105 * HOUR)


@pytest.fixture(scope="module")
def filled(_all_sites: Site) -> str:
    """Closed books in five partitions, of which the last is being filled; five more lie ahead."""
    clock = Clock(NOON + 100 * HOUR)
    ledger = small(_all_sites, 10)
    _all_sites.keep(ledger)
    with opened(ledger, clock) as store:
        till = Till(store)
        for part in range(5):
            clock.now += HOUR
            for _ in range(POSITIONS // FRAME - (part == 4)):
                till.post(*(body("sale", ("a", 1), at=clock.now - each) for each in range(FRAME)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closing, "SEGMENTS_MAX", 1)
        close_books(ledger, clock)
    return ledger


@pytest.fixture
def ledger(site: Site, filled: str) -> str:
    return site.copy(filled)


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Statement]]:
    """What is asked of the database."""
    seen: list[Statement] = []
    run = sql.run

    def noted(connection: Any, text: str, parameters: tuple[Any, ...]) -> Any:
        seen.append((text, parameters))
        return run(connection, text, parameters)

    def note(_connection: Any, _cursor: Any, text: str, parameters: tuple[Any, ...], *_: Any) -> None:
        seen.append((text, parameters))

    monkeypatch.setattr(sql, "run", noted)
    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


def looked_into(ledger: str, seen: list[Statement]) -> set[str]:
    """The partitions in the plans of `seen`, once for each place where one begins."""
    url = make_url(ledger)
    found: set[str] = set()
    with psycopg.connect(host=str(url.query["host"]), user=url.username, dbname=url.database) as connection:
        for text, parameters in seen:
            if text.startswith(("SELECT", "WITH", "INSERT", "UPDATE")):
                cursor = connection.execute(f"EXPLAIN (FORMAT JSON) {text}".encode(), parameters)
                [(plan,)] = cursor.fetchall()
                found |= set(_relations(plan if isinstance(plan, list) else json.loads(plan)))
            connection.rollback()
    return {name.partition("_")[2] for name in found if name.startswith(("posting_", "movement_"))}


def _relations(plan: Any) -> Iterator[str]:
    if isinstance(plan, list):
        for each in plan:
            yield from _relations(each)
    elif isinstance(plan, dict):
        yield from (str(value) for name, value in plan.items() if name == "Relation Name")
        for value in plan.values():
            yield from _relations(value)


def ask(ledger: str, clock: Clock, seen: list[Statement], question: Callable[[Any], Any]) -> set[str]:
    with opened(ledger, clock) as store:
        till = Till(store, "T2")
        store_seen = len(seen)
        question(till)
    return looked_into(ledger, seen[store_seen:])


LAST, BEFORE_LAST = str(4 * POSITIONS), str(3 * POSITIONS)
FIRST_SALE = uid(("T1", uid("lineage of T1"), 1))
QUESTIONS: dict[str, tuple[Callable[[Till, int], Any], set[str]]] = {
    "sale": (lambda till, now: till.posts(body("sale", ("a", 1), at=now)), set()),
    "duplicate": (lambda till, now: till.posts(body("sale", ("a", 1), at=now), FIRST_SALE), {"0"}),
    "void": (lambda till, now: till.posts(body("void", voids=FIRST_SALE, at=now)), {"0"}),
    "late count": (lambda till, now: till.posts(body("count", ("a", 1), at=now - 1)), {LAST}),
    "later count": (
        lambda till, now: till.posts(body("count", ("a", 1), at=now - HOUR - 1)),
        {BEFORE_LAST, LAST},
    ),
    "find": (lambda till, _: find(till.store, FIRST_SALE), {"0"}),
    "stock": (lambda till, _: level(till.store), set()),
    "look back": (lambda till, now: level(till.store, as_of=instant(now - 1)), {LAST}),
    "look back between": (
        lambda till, now: level(till.store, as_of=instant(now - 2 * HOUR - 1)),
        {BEFORE_LAST, str(2 * POSITIONS), LAST},
    ),
    "known": (lambda till, _: level(till.store, known_at=4 * POSITIONS + 3), {LAST}),
    "known by instant": (
        lambda till, now: level(till.store, known_at=instant(now)),
        {"2048", BEFORE_LAST, LAST},  # found by halving
    ),
    "history": (lambda till, now: history(till.store, from_=instant(now - 10)), {LAST}),
}


@pytest.mark.parametrize(("question", "expected"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_statement_looks_into_the_partitions_that_it_needs(
    ledger: str,
    clock: Clock,
    executed: list[Statement],
    question: Callable[[Till, int], Any],
    expected: set[str],
) -> None:
    assert ask(ledger, clock, executed, lambda till: question(till, clock.now)) == expected
