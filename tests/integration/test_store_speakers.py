"""Who speaks, and where a till's postings stand: epochs, forks, chains, holes, control totals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.limits import GAPS_MAX
from inventory_server.domain.requests import Bye, Enrol, Hello, Item, Ping, Post, RotateToken, Welcome
from inventory_server.domain.roles import Speaker
from inventory_server.store import LedgerStore, StoreError
from inventory_server.store.admin.terminals import (
    add_terminal,
    list_terminals,
    move_terminal,
    revoke_terminal,
    rotate_terminal,
)
from pos_client.protocol.errors import RequestError
from pos_client.protocol.fields import Range, Role
from pos_client.protocol.messages import CHAIN_START, ByeParams, ByeResult, Totals
from tests.support.ledgers import (
    NOON,
    Clock,
    Till,
    body,
    enrol,
    hello,
    item,
    level,
    opened,
    outcome_of,
    post,
    proof_of,
    stock,
    together,
    uid,
)
from tests.support.maintenance import administer

SALE = body("sale", ("a", 1))
ELSEWHERE = body("sale", ("a", 1), location="elsewhere")


@pytest.fixture
def store(ledger: str) -> Iterator[LedgerStore]:
    with opened(ledger, Clock()) as store:
        yield store
        proof = proof_of(ledger)
    assert proof.holds, proof.findings


def refused(job: Callable[[], Any]) -> RequestError:
    """The protocol error that `job` ends in."""
    error = outcome_of(job)
    assert isinstance(error, RequestError), error
    return error


def says_hello(store: LedgerStore, terminal: str, token: str | None, enrols: str | None = None) -> Any:
    return perform(store, Hello(terminal, token, False, enrols, None, None, None))


# ---------------------------------------------------------------------------------- hello


@pytest.mark.parametrize("role", ["till", "reader", "operator"])
def test_a_terminal_with_its_token_is_welcome(store: LedgerStore, role: Any) -> None:
    enrol(store, "T1", role, "L1", "right")
    welcome = says_hello(store, "T1", "right")
    assert welcome == Welcome(Speaker("T1", role, "L1", int(role == "till"), None), CHAIN_START, 0)


@pytest.mark.parametrize("token", [None, "", "wrong", "right "])
@pytest.mark.parametrize("terminal", ["T1", "unknown"])
def test_nobody_else_is(store: LedgerStore, terminal: str, token: str | None) -> None:
    enrol(store, "T1", "till", "L1", "right")
    error = refused(lambda: says_hello(store, terminal, token))
    assert error.code.name == "unauthenticated"
    step = "terminal rotate T1" if terminal == "T1" else "terminal add unknown --location LOCATION"
    assert f"ask the operator for `inventory-server {step}`" in error.message
    assert [row.terminal for row in administer(store, list_terminals)] == ["T1"]


def test_a_terminal_enrolled_on_the_spot_has_no_token_that_could_be_guessed(store: LedgerStore) -> None:
    hello(store, "T1", "L1")
    assert refused(lambda: says_hello(store, "T1", "")).code.name == "unauthenticated"


def test_a_revoked_terminal_is_refused_on_its_open_connection_and_on_the_next(store: LedgerStore) -> None:
    enrol(store, "T1", "till", "L1", "right")
    speaker = says_hello(store, "T1", "right").speaker
    administer(store, lambda connection: revoke_terminal(connection, "T1", NOON))
    works = (Post(speaker, [item(SALE)], None), Ping(speaker, None, None), Bye(speaker, ByeParams()))
    assert [refused(lambda work=work: perform(store, work)).code.name for work in works] == ["forbidden"] * 3  # type: ignore[misc]
    assert refused(lambda: says_hello(store, "T1", "right")).code.name == "unauthenticated"
    assert refused(lambda: hello(store, "T1")).code.name == "unauthenticated", "not even where no token is needed"
    assert stock(store).items == []


def test_a_rotated_token_replaces_the_old_one_and_lifts_a_revocation(store: LedgerStore) -> None:
    enrol(store, "T1", "till", "L1", "old")
    administer(store, lambda connection: revoke_terminal(connection, "T1", NOON))
    administer(store, lambda connection: rotate_terminal(connection, RotateToken("T1", "new"), NOON))
    assert refused(lambda: says_hello(store, "T1", "old")).code.name == "unauthenticated"
    assert says_hello(store, "T1", "new").speaker.terminal == "T1"


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (lambda connection: revoke_terminal(connection, "T9", NOON), "There is no terminal T9; see: inventory-server"),
        (
            lambda connection: rotate_terminal(connection, RotateToken("T9", "new"), NOON),
            "There is no terminal T9; see: inventory-server",
        ),
        (
            lambda connection: add_terminal(connection, Enrol("T1", "till", "L", "x"), NOON),
            "Terminal T1 exists already; give",
        ),
        (
            lambda connection: add_terminal(connection, Enrol("T2", "till", "n\u043erth", "x"), NOON),
            "'n\u043erth' is no name for a location: it mixes letters of Cyrillic and Latin, which look alike; choose",
        ),
        (
            lambda connection: move_terminal(connection, "T1", "x\u202ey", NOON),
            r"'x\\u202ey' is no name for a location: it holds the invisible character U\+202E; choose one that reads",
        ),
    ],
)
def test_an_administrator_is_told_what_to_do_instead(store: LedgerStore, job: Any, expected: str) -> None:
    enrol(store, "T1", "till", "L1")
    with pytest.raises(StoreError, match=expected):
        administer(store, job)


# ---------------------------------------------------------------------------------- epochs


def test_the_last_hello_of_a_till_fences_the_ones_before(store: LedgerStore) -> None:
    first = hello(store).speaker
    second = hello(store).speaker
    assert (first.epoch, second.epoch) == (1, 2)
    error = refused(lambda: post(store, first, item(SALE)))
    assert (error.code.name, error.data) == ("fenced", {"epoch": 2})
    assert post(store, second, item(SALE)).results[0].status == "posted"
    assert level(store).on_hand == -1


def test_epochs_survive_a_restart(ledger: str) -> None:
    for epoch in (1, 2, 3):
        with opened(ledger) as store:
            assert hello(store).speaker.epoch == epoch


def test_a_hello_in_the_same_commit_fences_what_comes_after_it(store: LedgerStore) -> None:
    speaker = hello(store).speaker
    outcomes = together(
        store,
        Post(speaker, [item(SALE, uid(1))], None),
        Hello("T1", None, True, None, None, None, None),
        Post(speaker, [item(SALE, uid(2))], None),
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["PostResult", "Welcome", "RequestError"]
    assert level(store).on_hand == -1


def test_a_fenced_connection_has_no_say_in_what_hq_knows_of_the_till(store: LedgerStore) -> None:
    first = hello(store, lineage=uid("lineage")).speaker
    hello(store, lineage=uid("lineage"), now=NOON)
    perform(store, Ping(first, None, None))
    totals = ByeParams(last_seq=0, count=0, quantity=0, pending=0)
    assert perform(store, Bye(first, totals)) == ByeResult("balanced", [], Totals(0, 0, 0))
    found = stock(store, locations=["L1"]).completeness["L1"]
    assert found.complete_to is not None
    assert found.complete_to.timestamp() * 10**6 == NOON


# ---------------------------------------------------------------------------------- chains


def head_after(head: str, *sent: Item) -> str:
    """The chain as protocol.md words it."""
    current = bytes.fromhex(head)
    for each in sent:
        current = hashlib.sha256(current + each.id.bytes + hashlib.sha256(each.raw).digest()).digest()
    return current.hex()


def test_the_chain_runs_over_each_newly_accepted_posting_in_order(store: LedgerStore) -> None:
    till = Till(store)
    assert till.welcome.parent == CHAIN_START
    sale, refusal, other = till.item(SALE), till.item(ELSEWHERE), till.item(SALE)
    result = post(store, till.speaker, sale, refusal, other)
    assert result.parent == head_after(CHAIN_START, sale, other)
    again = post(store, till.speaker, sale, other)
    assert again.parent == result.parent, "a duplicate is not newly accepted"
    third = till.item(SALE)
    assert post(store, till.speaker, third, parent=again.parent).parent == head_after(again.parent, third)
    assert hello(store).parent == head_after(CHAIN_START, sale, other, third)


def test_each_terminal_has_a_chain_of_its_own_that_goes_on_in_a_new_lineage(store: LedgerStore) -> None:
    first, other = Till(store, "T1"), Till(store, "T2")
    sent = first.item(SALE)
    post(store, first.speaker, sent)
    assert other.posts(SALE).status == "posted"
    assert hello(store, "T1", lineage=uid("new")).parent == head_after(CHAIN_START, sent)


# ---------------------------------------------------------------------------------- forks


def test_another_id_under_a_taken_seq_is_a_fork_and_posts_nothing(store: LedgerStore) -> None:
    till = Till(store)
    result = till.post(SALE, SALE)
    error = refused(lambda: post(store, till.speaker, item(SALE, uid("new"), 3), item(SALE, uid("other"), 2)))
    assert (error.code.name, error.data) == ("fork", {"parent": result.parent, "seq": 2})
    assert level(store).on_hand == -2
    assert hello(store, lineage=till.lineage).acked_seq == 2


def test_two_ids_under_one_seq_in_one_frame_are_a_fork(store: LedgerStore) -> None:
    till = Till(store)
    error = refused(lambda: post(store, till.speaker, item(SALE, uid(1), 1), item(SALE, uid(2), 1)))
    assert error.code.name == "fork"


def test_a_new_posting_on_another_parent_is_a_fork(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(SALE)
    error = refused(lambda: post(store, till.speaker, till.item(SALE), parent=CHAIN_START))
    assert error.code.name == "fork"


def test_a_frame_whose_answer_was_lost_is_no_fork(store: LedgerStore) -> None:
    till = Till(store)
    frame = [till.item(SALE), till.item(ELSEWHERE)]
    first = post(store, till.speaker, *frame, parent=CHAIN_START)
    again = post(store, till.speaker, *frame, parent=CHAIN_START)
    assert [result.status for result in again.results] == ["duplicate", "rejected"]
    assert (again.parent, again.holes) == (first.parent, [])


def test_after_a_fork_a_new_lineage_takes_the_same_ids(store: LedgerStore) -> None:
    """A disk image of the till was restored: what HQ has is a duplicate, what it has not is posted, once."""
    till = Till(store)
    known = [till.item(SALE) for _ in range(3)]
    post(store, till.speaker, *known)
    restored = Till(store, lineage=uid("after the restore"))
    assert (restored.welcome.parent, restored.welcome.acked_seq) != (till.welcome.parent, 3)
    sent = [*(restored.item(SALE, each.id) for each in known), restored.item(SALE)]
    result = post(store, restored.speaker, *sent, parent=restored.welcome.parent)
    assert [each.status for each in result.results] == ["duplicate"] * 3 + ["posted"]
    assert level(store).on_hand == -4
    totals = ByeParams(last_seq=4, count=4, quantity=-4)
    assert perform(store, Bye(restored.speaker, totals)) == ByeResult("balanced", [], Totals(4, 4, -4))


def test_a_lineage_with_too_many_gaps_is_a_fork(store: LedgerStore) -> None:
    till = Till(store)
    gaps = [item(SALE, uid(("gap", number)), 2 * number) for number in range(1, GAPS_MAX + 1)]
    for at in range(0, len(gaps), 500):
        post(store, till.speaker, *gaps[at : at + 500])
    error = refused(lambda: post(store, till.speaker, item(SALE, uid("more"), 2 * GAPS_MAX + 2)))
    assert error.code.name == "fork"


# ---------------------------------------------------------------------------------- holes

# seqs in order of arrival, acked_seq, holes
ARRIVALS: list[tuple[list[int], int, list[Range]]] = [
    ([1, 2, 3], 3, []),
    ([3], 0, [(1, 2)]),
    ([1, 4, 6], 1, [(2, 3), (5, 5)]),
    ([4, 1, 3, 2], 4, []),
    ([2**63 - 1], 0, [(1, 2**63 - 2)]),
]


@pytest.mark.parametrize(("seqs", "acked_seq", "holes"), ARRIVALS)
@pytest.mark.parametrize("at_once", [False, True])
def test_hq_knows_what_it_lacks(
    store: LedgerStore, seqs: list[int], acked_seq: int, holes: list[Range], at_once: bool
) -> None:
    till = Till(store)
    sent = [item(SALE, uid(("seq", seq)), seq) for seq in seqs]
    frames = [sent] if at_once else [[each] for each in sent]
    result = [post(store, till.speaker, *frame) for frame in frames][-1]
    assert result.holes == holes
    assert hello(store, lineage=till.lineage).acked_seq == acked_seq
    found = stock(store, location="L1").completeness["L1"].holes
    assert [(hole.terminal, hole.from_, hole.to) for hole in found] == [("T1", *hole) for hole in holes]


def test_a_till_with_many_holes_hears_the_first_and_how_many(store: LedgerStore) -> None:
    till = Till(store)
    result = post(store, till.speaker, *(item(SALE, uid(("seq", seq)), seq) for seq in range(2, 32, 2)))
    assert result.holes == [(seq, seq) for seq in range(1, 21, 2)]
    assert result.holes_total == 15


def test_a_rejected_posting_and_a_conflict_leave_no_hole(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(SALE, uid("taken"))
    till.posts(ELSEWHERE)
    till.posts(body("sale", ("a", 2)), uid("taken"))
    assert hello(store, lineage=till.lineage).acked_seq == 3


def test_without_a_lineage_nothing_is_numbered(store: LedgerStore) -> None:
    speaker = hello(store).speaker
    assert post(store, speaker, item(SALE, uid(1), 7), item(SALE, uid(2), 7)).holes == []
    assert level(store).on_hand == -2


# ---------------------------------------------------------------------------------- bye

POSTED = Totals(last_seq=4, count=3, quantity=Decimal("-0.5"))

# what the till says, status, what is missing
GOODBYES: list[tuple[ByeParams, str, list[Range]]] = [
    (ByeParams(), "closed", []),
    (ByeParams(pending=0, dead=1), "closed", []),
    (ByeParams(last_seq=4, count=3, quantity=Decimal("-0.5")), "balanced", []),
    (ByeParams(last_seq=4), "balanced", []),
    (ByeParams(count=3), "balanced", []),
    (ByeParams(quantity=Decimal("-0.50")), "balanced", []),
    (ByeParams(last_seq=6, count=3), "mismatch", [(5, 6)]),
    (ByeParams(last_seq=3), "mismatch", []),
    (ByeParams(last_seq=4, count=4), "mismatch", []),
    (ByeParams(quantity=0), "mismatch", []),
]


@pytest.mark.parametrize(("totals", "status", "missing"), GOODBYES)
def test_a_goodbye_compares_the_control_totals(
    store: LedgerStore, totals: ByeParams, status: Any, missing: list[Range]
) -> None:
    """Two sales and a void were posted, one posting was refused; what it would have sold does not count."""
    till = Till(store)
    till.posts(body("sale", ("a", 1), ("b", Decimal("-0.5"))), uid("sale"))
    till.post(ELSEWHERE, body("count", ("a", 50)), body("void", voids=uid("sale")))
    expected = None if status == "closed" else POSTED
    assert perform(store, Bye(till.speaker, totals)) == ByeResult(status, missing, expected)


def test_a_hole_is_missing_and_never_balances(store: LedgerStore) -> None:
    till = Till(store)
    post(store, till.speaker, item(SALE, uid(3), 3))
    said = perform(store, Bye(till.speaker, ByeParams(last_seq=3, count=1, quantity=-1)))
    assert said == ByeResult("mismatch", [(1, 2)], Totals(3, 1, -1))


def test_a_goodbye_may_be_about_an_earlier_lineage(store: LedgerStore) -> None:
    Till(store, lineage=uid("first")).posts(SALE)
    second = Till(store, lineage=uid("second"))
    totals = ByeParams(lineage=uid("first"), last_seq=1, count=1, quantity=-1)
    assert perform(store, Bye(second.speaker, totals)) == ByeResult("balanced", [], Totals(1, 1, -1))
    unknown = ByeParams(lineage=uid("unknown"), last_seq=1)
    assert perform(store, Bye(second.speaker, unknown)) == ByeResult("mismatch", [(1, 1)], Totals(0, 0, 0))


def test_a_control_total_that_is_no_quantity_is_refused(store: LedgerStore) -> None:
    error = refused(lambda: perform(store, Bye(Till(store).speaker, ByeParams(quantity=Decimal("0.000001")))))
    assert (error.code.name, error.data["path"]) == ("invalid_params", "$.quantity")


# role, where it believes to be, refused
BELIEVES = [
    ("till", None, False),
    ("till", "L1", False),
    ("till", "FORMER", False),
    ("till", "L2", True),
    ("reader", "L2", False),
    ("operator", "L2", False),
]


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(("role", "believed", "is_refused"), BELIEVES)
def test_only_a_till_that_believes_to_be_where_it_never_was_is_refused(
    store: LedgerStore, role: Role, believed: str | None, is_refused: bool, trusted: bool
) -> None:
    enrol(store, "T1", role, "FORMER", "right")
    administer(store, lambda connection: move_terminal(connection, "T1", "L1", NOON))
    hello = Hello("T1", "right", trusted, None, None, None, None, location=believed)
    if is_refused:
        error = refused(lambda: perform(store, hello))
        assert (error.code.name, "terminal move T1 L2" in error.message) == ("forbidden", True)
    else:
        assert perform(store, hello).speaker.location == "L1"
