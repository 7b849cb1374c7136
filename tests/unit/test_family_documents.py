"""Transfers and reservations of products that were merged, a line a case: what is left of each document."""

from __future__ import annotations

from typing import Any

import pytest

from inventory_server.domain.documents import DocumentKind, DocumentLine, LineRole
from inventory_server.domain.family_documents import FamilyReplay
from inventory_server.domain.merge import Merge
from inventory_server.store.ledger.records import NEVER


def line(role: LineRole, position: int, sku: str, quantity: int, document: str | None, **more: Any) -> DocumentLine:
    name = None if document is None else document.encode()
    fields: dict[str, Any] = {"effective_at": position, "expires_at": NEVER, "entry": 0} | more
    at: dict[str, Any] = {"kind": DocumentKind.RESERVATION, "location": "L1", "source": ""}
    return DocumentLine(position=position, document=name, sku=sku, role=role, quantity=quantity, **at, **fields)


def hold(position: int, sku: str, quantity: int, document: str, **more: Any) -> DocumentLine:
    return line(LineRole.OPENS, position, sku, quantity, document, **more)


def free(position: int, sku: str, quantity: int, document: str | None = None, **more: Any) -> DocumentLine:
    return line(LineRole.DRAWS, position, sku, quantity, document, **more)


A_INTO_B = [Merge(5, "a", "b", 5)]
CHAIN = [Merge(5, "a", "b", 5), Merge(7, "b", "c", 7)]
VOIDED = [Merge(5, "a", "b", 5, voided_position=9)]

CASES: list[tuple[list[DocumentLine], list[Merge], dict[tuple[str, str], int], int]] = [
    # (lines, merges, what is left by document and product, what waits)
    ([hold(1, "a", 3, "R")], A_INTO_B, {("R", "b"): 3}, 0),
    ([hold(1, "a", 3, "R")], CHAIN, {("R", "c"): 3}, 0),
    ([hold(1, "a", 3, "R")], VOIDED, {("R", "a"): 3}, 0),
    ([hold(1, "a", 3, "R"), hold(1, "b", 2, "R", entry=1)], A_INTO_B, {("R", "b"): 5}, 0),
    ([hold(1, "a", 3, "R"), free(6, "b", 2)], A_INTO_B, {("R", "b"): 1}, 0),
    ([hold(1, "a", 3, "R"), free(2, "b", 2)], A_INTO_B, {("R", "b"): 3}, 2),  # there was no merge yet
    ([hold(1, "a", 3, "R"), free(2, "b", 2, "R")], A_INTO_B, {("R", "b"): 1}, 0),  # it named the document
    ([hold(1, "a", 3, "R"), free(6, "b", 2), hold(2, "b", 1, "S")], A_INTO_B, {("R", "b"): 1, ("S", "b"): 1}, 0),
    ([hold(1, "a", 3, "R"), free(6, "b", 4), hold(2, "b", 2, "S")], A_INTO_B, {("R", "b"): 0, ("S", "b"): 1}, 0),
    ([hold(1, "a", 3, "R"), free(6, "a", 1), free(8, "c", 1)], CHAIN, {("R", "c"): 1}, 0),
    ([free(4, "b", 2, effective_at=9), hold(6, "a", 3, "R")], A_INTO_B, {("R", "b"): 1}, 0),  # it waited for it
]


@pytest.mark.parametrize(("lines", "merges", "left", "waits"), CASES)
def test_what_is_left(
    lines: list[DocumentLine], merges: list[Merge], left: dict[tuple[str, str], int], waits: int
) -> None:
    replay = FamilyReplay(lines, merges)
    found = {(id_.decode(), product): document.left for (id_, product), document in replay.documents().items()}
    assert (found, sum(replay.waiting.values())) == (left, waits)


@pytest.mark.parametrize(
    ("as_of", "known_at", "left"),
    [
        (4, None, {("R", "a"): 3}),
        (5, None, {("R", "b"): 3}),
        (6, None, {("R", "b"): 1}),
        (None, 4, {("R", "a"): 3}),
        (None, 5, {("R", "b"): 3}),
    ],
)
def test_what_was_left(as_of: int | None, known_at: int | None, left: dict[tuple[str, str], int]) -> None:
    replay = FamilyReplay([hold(1, "a", 3, "R"), free(6, "b", 2)], A_INTO_B, known_at)
    found = {(id_.decode(), product): document.left for (id_, product), document in replay.documents(as_of).items()}
    assert found == left
