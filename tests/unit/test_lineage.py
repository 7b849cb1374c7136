"""What a lineage holds, what it lacks, and the chain that its postings make."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_server.domain.limits import GAPS_MAX
from inventory_server.domain.lineage import (
    FIRST_HEAD,
    Lineage,
    Said,
    disagreements,
    missing,
    next_head,
)
from pos_client.protocol.fields import Range

# sequence numbers in order of arrival, acked_seq, ranges beyond the first hole, holes
ARRIVALS: list[tuple[list[int], int, list[Range], list[Range]]] = [
    ([], 0, [], []),
    ([1], 1, [], []),
    ([1, 2, 3], 3, [], []),
    ([3, 2, 1], 3, [], []),
    ([2], 0, [(2, 2)], [(1, 1)]),
    ([1, 3], 1, [(3, 3)], [(2, 2)]),
    ([1, 3, 2], 3, [], []),
    ([1, 5, 3], 1, [(3, 3), (5, 5)], [(2, 2), (4, 4)]),
    ([1, 5, 3, 4], 1, [(3, 5)], [(2, 2)]),
    ([1, 4, 3, 6, 2], 4, [(6, 6)], [(5, 5)]),
    ([9, 7, 8], 0, [(7, 9)], [(1, 6)]),
    ([2**63 - 1], 0, [(2**63 - 1, 2**63 - 1)], [(1, 2**63 - 2)]),
]


def received(seqs: list[int]) -> Lineage:
    held = Lineage()
    for seq in seqs:
        held.receive(seq, seq * 100)
    return held


@pytest.mark.parametrize(("seqs", "acked_seq", "beyond", "holes"), ARRIVALS)
def test_what_arrives_fills_holes(seqs: list[int], acked_seq: int, beyond: list[Range], holes: list[Range]) -> None:
    held = received(seqs)
    assert (held.acked_seq, held.beyond, held.holes) == (acked_seq, beyond, holes)
    assert held.last_seq == max(seqs, default=0)


@given(st.lists(st.integers(1, 40), unique=True))
def test_a_lineage_holds_exactly_what_it_received(seqs: list[int]) -> None:
    held = received(seqs)
    assert [seq for seq in range(1, 42) if held.holds(seq)] == sorted(seqs)
    lacking = {seq for first, last in held.holes for seq in range(first, last + 1)}
    assert lacking == set(range(1, max(seqs, default=0))) - set(seqs)
    assert all(first <= last for first, last in (*held.holes, *held.beyond))


@pytest.mark.parametrize(
    ("seqs", "acked_at"),
    [([], None), ([2], None), ([1], 100), ([1, 2], 200), ([1, 3], 100), ([1, 3, 2], 200)],
)
def test_the_unbroken_sequence_ends_at_the_instant_of_its_last_posting(seqs: list[int], acked_at: int | None) -> None:
    """After a hole was filled it is that of the one that filled it: never too late."""
    assert received(seqs).acked_at == acked_at


def test_a_posting_without_a_readable_instant_leaves_the_one_before() -> None:
    held = received([1])
    held.receive(2, None)
    assert (held.acked_seq, held.acked_at) == (2, 100)


def test_a_lineage_has_only_so_many_gaps() -> None:
    held = received([2 * gap for gap in range(1, GAPS_MAX)])
    last = held.last_seq
    assert not held.is_full(last + 2)
    held.receive(last + 2, None)
    assert held.is_full(last + 4)
    assert not held.is_full(last + 3), "what goes on from the last opens no gap"
    assert not held.is_full(3), "what fills one closes it"


# received, what the till says it has sent, what is missing
MISSING: list[tuple[list[int], int, list[Range]]] = [
    ([], 0, []),
    ([], 3, [(1, 3)]),
    ([1, 2], 2, []),
    ([1, 2], 5, [(3, 5)]),
    ([1, 4], 4, [(2, 3)]),
    ([1, 4], 6, [(2, 3), (5, 6)]),
    ([1, 4, 8], 4, [(2, 3)]),
    ([1, 4], 1, []),
]


@pytest.mark.parametrize(("seqs", "last_seq", "expected"), MISSING)
def test_what_is_missing_of_what_was_sent(seqs: list[int], last_seq: int, expected: list[Range]) -> None:
    assert missing(received(seqs), last_seq) == expected


# last_seq, count, quantity as the till says them; HQ holds 3, 2, -500
SAYINGS: list[tuple[int | None, int | None, int | None, list[str]]] = [
    (None, None, None, []),
    (3, 2, -500, []),
    (4, 2, -500, ["last_seq: the till says 4, HQ holds 3"]),
    (None, 3, None, ["count: the till says 3, HQ holds 2"]),
    (3, 0, 0, ["count: the till says 0, HQ holds 2", "quantity: the till says 0, HQ holds -500"]),
]


@pytest.mark.parametrize(("last_seq", "count", "quantity", "expected"), SAYINGS)
def test_where_the_control_totals_differ(
    last_seq: int | None, count: int | None, quantity: int | None, expected: list[str]
) -> None:
    held = Lineage(acked_seq=3, count=2, quantity=-500)
    assert disagreements(held, Said(0, last_seq, count, quantity)) == expected


def test_the_chain_is_sha_256_over_head_id_and_digest() -> None:
    one, two, digest = b"1" * 16, b"2" * 16, hashlib.sha256(b"{}").digest()
    head = next_head(next_head(FIRST_HEAD, one, digest), two, digest)
    first = hashlib.sha256(bytes(32) + one + digest).digest()
    assert head == hashlib.sha256(first + two + digest).digest()
