"""Where a terminal may post: where it is, where it was, and where those were that it adopted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.requests import AdoptTerminal, ListTerminals, MoveTerminal, Ping, RevokeTerminal, Welcome
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore, StoreError
from pos_client.protocol.errors import RequestError
from pos_client.protocol.messages import PostingResult
from tests.support.ledgers import Clock, body, enrol, hello, item, level, opened, outcome_of, post, proof_of, uid
from tests.support.sites import Site, on_both

pytestmark = on_both

HOMES = {"old": "O", "older": "Z"}


@pytest.fixture
def store(ledger: str) -> Iterator[LedgerStore]:
    with opened(ledger, Clock()) as store:
        for name, location in HOMES.items():
            enrol(store, name, "till", location)
        hello(store, "till", "A")
        yield store
        proof = proof_of(ledger)
    assert proof.holds, proof.findings


def happen(store: LedgerStore, story: str) -> None:
    """Steps like `till > B` (it moves), `till < old` (it adopts) and `old x` (it is revoked)."""
    for step in filter(None, story.split(", ")):
        terminal, sign, *other = step.split()
        if sign == ">":
            perform(store, MoveTerminal(terminal, other[0], actor=HEADQUARTERS))
        elif sign == "<":
            perform(store, AdoptTerminal(other[0], terminal, actor=HEADQUARTERS))
        else:
            perform(store, RevokeTerminal(terminal, actor=HEADQUARTERS))


def sells_at(store: LedgerStore, location: str | None, terminal: str = "till") -> PostingResult:
    fields: dict[str, Any] = {} if location is None else {"location": location}
    return post(store, hello(store, terminal).speaker, item(body("sale", ("a", 1), **fields))).results[0]


RIGHTS = [
    # the story                             sells at   is
    ("", None, "posted"),
    ("", "A", "posted"),
    ("", "B", "forbidden_location"),
    ("till > B", None, "posted"),
    ("till > B", "B", "posted"),
    ("till > B", "A", "posted"),
    ("till > B", "C", "forbidden_location"),
    ("till > B, till > C", "A", "posted"),
    ("till > B, till > C", "B", "posted"),
    ("till > B, till > A", "B", "posted"),
    ("till > B, till > A", "A", "posted"),
    ("old > B", "B", "forbidden_location"),
    ("till < old", "O", "posted"),
    ("till < old", "A", "posted"),
    ("till < old", "B", "forbidden_location"),
    ("till < old, till < old", "O", "posted"),
    ("old x, till < old", "O", "posted"),
    ("till < old, old x", "O", "posted"),
    ("old > P, till < old", "O", "posted"),
    ("old > P, till < old", "P", "posted"),
    ("till < old, old > P", "P", "posted"),
    ("till < old, till < older", "Z", "posted"),
    ("old < till", "O", "forbidden_location"),
    ("old < older, till < old", "Z", "forbidden_location"),  # what old may deliver, it was not itself
    ("till < old, till > B", "O", "posted"),
]


@pytest.mark.parametrize(("story", "location", "expected"), RIGHTS)
def test_a_till_posts_where_it_is_or_was_and_where_those_were_that_it_adopted(
    store: LedgerStore, story: str, location: str | None, expected: str
) -> None:
    happen(store, story)
    result = sells_at(store, location)
    assert (result.code or result.status) == expected
    if expected == "posted":
        there = location or story.rpartition("> ")[2] or "A"
        assert level(store, location=there).on_hand == -1


def test_a_refusal_names_every_location_that_the_till_may_post_at(store: LedgerStore) -> None:
    happen(store, "till > B, till < old")
    reason = "$.location: expected 'B' or 'A' or 'O' (the till's own), got 'C'"
    assert sells_at(store, "C").reason == reason


VOIDS = [
    # what the till does after it sold at A   the void is    on hand at A
    ("", "posted", 0),
    ("till > B", "posted", 0),
    ("till > B, till > C", "posted", 0),
]


@pytest.mark.parametrize(("story", "expected", "on_hand"), VOIDS)
def test_a_moved_till_voids_what_it_sold_before(store: LedgerStore, story: str, expected: str, on_hand: int) -> None:
    sale = uid("the sale")
    post(store, hello(store, "till").speaker, item(body("sale", ("a", 1)), sale))
    happen(store, story)
    speaker = hello(store, "till").speaker
    void = body("void", voids=sale, location=speaker.location)
    assert post(store, speaker, item(void)).results[0].status == expected
    assert level(store, location="A").on_hand == on_hand


def test_a_void_that_comes_first_works_wherever_its_till_was(store: LedgerStore) -> None:
    happen(store, "till > B, till < old")
    sale, speaker = uid("the sale"), hello(store, "till").speaker
    early, again = (body("void", voids=sale, location="B", reference=text) for text in ("1", "2"))
    first, second = post(store, speaker, item(early), item(again)).results
    assert (first.status, first.flags, second.code) == ("posted", ("orphan",), "already_voided")
    post(store, speaker, item(body("sale", ("a", 1), location="O"), sale))
    assert level(store, location="O").on_hand == 0


def test_a_void_elsewhere_is_refused(store: LedgerStore) -> None:
    sale = uid("the sale")
    post(store, hello(store, "old").speaker, item(body("sale", ("a", 1)), sale))
    refused = post(store, hello(store, "till").speaker, item(body("void", voids=sale))).results[0]
    assert (refused.code, refused.reason) == ("forbidden_location", f"{sale} was posted at 'O', not 'A'.")


def test_what_the_former_terminal_had_delivered_is_a_duplicate(store: LedgerStore) -> None:
    sale = item(body("sale", ("a", 1), location="O"))
    post(store, hello(store, "old").speaker, sale)
    happen(store, "old x, till < old")
    assert post(store, hello(store, "till").speaker, sale).results[0].status == "duplicate"
    assert level(store, location="O").on_hand == -1


def test_an_open_connection_learns_of_the_move_at_its_next_frame(store: LedgerStore) -> None:
    speaker = hello(store, "till").speaker
    happen(store, "till > B")
    for ask in (lambda: perform(store, Ping(speaker, None, None)), lambda: post(store, speaker, item(body("void")))):
        error = outcome_of(ask)
        assert isinstance(error, RequestError)
        assert error.code.name == "fenced"
    assert hello(store, "till").speaker.location == "B"


def test_hello_says_whom_the_till_has_adopted(store: LedgerStore) -> None:
    happen(store, "till < older, till < old")
    welcome = hello(store, "till")
    assert isinstance(welcome, Welcome)
    assert (welcome.adopted, hello(store, "old").adopted) == (("old", "older"), ())


def test_the_list_of_terminals_tells_where_each_was_since_when(store: LedgerStore) -> None:
    happen(store, "till > B, till > C, till < old")
    [row] = [each for each in perform(store, ListTerminals(actor=HEADQUARTERS)) if each.terminal == "till"]
    first, second = row.former_locations
    assert [row.location, first.location, second.location] == ["C", "A", "B"]
    assert [first.since_at, second.since_at, row.located_at] == [row.enrolled_at, first.until_at, second.until_at]
    assert first.since_at < first.until_at < second.until_at
    assert row.adopted == ["old"]


REFUSED = [
    ("nobody > B", "There is no terminal nobody; see: inventory-server terminal list"),
    ("till > A", "Terminal till is at A already."),
    ("till < nobody", "There is no terminal nobody; see: inventory-server terminal list"),
    ("nobody < till", "There is no terminal nobody; see: inventory-server terminal list"),
    ("till < till", "Terminal till delivers its own postings already."),
    ("office < till", "Terminal office is a reader, which cannot post."),
]


@pytest.mark.parametrize(("story", "expected"), REFUSED)
def test_what_makes_no_sense_is_refused(store: LedgerStore, story: str, expected: str) -> None:
    enrol(store, "office", "reader", "hq")
    with pytest.raises(StoreError) as refused:
        happen(store, story)
    assert str(refused.value) == expected


# ---------------------------------------------------------------------------------- the proof


def voided_early(url: str) -> None:
    """A void that works at A, B and O; after it, the till moves on to C and adopts what was at Z, too."""
    with opened(url, Clock()) as store:
        for name, location in HOMES.items():
            enrol(store, name, "till", location)
        hello(store, "till", "A")
        happen(store, "till > B, till < old")
        sale, speaker = uid("the sale"), hello(store, "till").speaker
        post(store, speaker, item(body("void", voids=sale)))
        happen(store, "till > C, till < older, old > P")
        post(store, hello(store, "old").speaker, item(body("sale", ("a", 1), location="O"), sale))


def test_a_void_that_came_early_is_proven_after_more_moves(site: Site) -> None:
    proof = proof_of(site.filled(voided_early))
    assert proof.holds, proof.findings


UNKNOWN = "position 1: HQ does not know what it voids"
WRONG = {
    "a location less": ("DELETE FROM void WHERE location = 'B'", UNKNOWN),
    "a location more": ("INSERT INTO void SELECT voids, 'L9', position FROM void WHERE location = 'A'", UNKNOWN),
    "one that came later": ("INSERT INTO void SELECT voids, 'C', position FROM void WHERE location = 'A'", UNKNOWN),
    "that of another adopted": ("UPDATE void SET location = 'Z' WHERE location = 'O'", UNKNOWN),
    "anywhere": ("UPDATE void SET location = '' WHERE location = 'O'", UNKNOWN),
    "moved later": ("UPDATE former_location SET position = 1 WHERE location = 'A'", UNKNOWN),
    "moved earlier": ("UPDATE former_location SET position = 0 WHERE location = 'B'", UNKNOWN),
    "adopted later": ("UPDATE adoption SET position = 1 WHERE adopted = 'old'", UNKNOWN),
    "adopted earlier": ("UPDATE adoption SET position = 0 WHERE adopted = 'older'", UNKNOWN),
    "move forgotten": ("DELETE FROM former_location WHERE location = 'A'", UNKNOWN),
    "adoption forgotten": ("DELETE FROM adoption WHERE adopted = 'old'", UNKNOWN),
    "role": ("UPDATE terminal SET role = 'operator' WHERE terminal = 'till'", UNKNOWN),
    "location of the void": (
        "UPDATE posting SET location = 'C' WHERE position = 1",
        "position 1: is at a location where its till may not post",
    ),
}


@pytest.mark.parametrize(("statement", "expected"), WRONG.values(), ids=WRONG)
def test_what_was_changed_behind_the_ledger_is_found(site: Site, statement: str, expected: str) -> None:
    whole = site.filled(voided_early)
    site.execute(whole, statement)
    assert expected in proof_of(whole).findings
