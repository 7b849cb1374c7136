"""Transfers and reservations, a line a case: what postings draw on them in the order of their positions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_server.domain.documents import (
    TRANSFER_WAITS,
    DocumentKind,
    DocumentLine,
    DocumentReplay,
    Group,
    LineRole,
)
from inventory_server.store.ledger.records import NEVER

ROAD = Group("to", "a", DocumentKind.TRANSFER, "from")
SHELF = Group("to", "a", DocumentKind.RESERVATION, "")
DAY = TRANSFER_WAITS


def line(
    group: Group, role: LineRole, name: str | None, quantity: int, position: int, effective_at: int, **more: Any
) -> DocumentLine:
    fields: dict[str, Any] = {"location": group.location, "source": group.source, "sku": group.sku} | more
    fields |= {"kind": more.get("kind", group.kind), "expires_at": more.get("expires_at", NEVER)}
    document = None if name is None else name.encode()
    return DocumentLine(position, 0, document, role=role, quantity=quantity, effective_at=effective_at, **fields)


def send(position: int, name: str, quantity: int, at: int = 0, **more: Any) -> DocumentLine:
    return line(ROAD, LineRole.OPENS, name, quantity, position, at, **more)


def take(position: int, name: str | None, quantity: int, at: int = 0, **more: Any) -> DocumentLine:
    return line(ROAD, LineRole.DRAWS, name, quantity, position, at, **more)


def shut(position: int, name: str, quantity: int, **more: Any) -> DocumentLine:
    return line(ROAD, LineRole.CLOSES, name, quantity, position, 0, **more)


def shut_all(position: int, name: str, **more: Any) -> DocumentLine:
    return line(ROAD, LineRole.CLOSES_ALL, name, 0, position, 0, sku="", source="", **more)


def hold(position: int, name: str, quantity: int, at: int = 0, **more: Any) -> DocumentLine:
    return line(SHELF, LineRole.OPENS, name, quantity, position, at, **more)


def free(position: int, name: str | None, quantity: int, at: int = 0, **more: Any) -> DocumentLine:
    return line(SHELF, LineRole.DRAWS, name, quantity, position, at, **more)


VOIDED = {"voided_position": 99}

# the lines, (what is left, what was received beyond) of each document, what waits for one
CASES: list[tuple[list[DocumentLine], dict[str, tuple[int, int]], int]] = [
    ([send(1, "A", 5)], {"A": (5, 0)}, 0),
    ([send(1, "A", 5), take(2, "A", 2)], {"A": (3, 0)}, 0),
    ([send(1, "A", 5), take(2, "A", 2), take(3, "A", 4)], {"A": (0, 1)}, 0),
    ([send(1, "A", 5), take(2, "A", 2, location="elsewhere")], {"A": (3, 0)}, 0),
    ([send(1, "A", 5), take(2, "A", 2, sku="b")], {"A": (5, 0)}, 0),
    ([send(1, "A", 5), take(2, "A", 2, kind=DocumentKind.RETURN)], {"A": (5, 0)}, 0),  # a name of another kind
    ([send(1, "A", 5), take(2, "A", 2, kind=DocumentKind.RESERVATION)], {"A": (5, 0)}, 0),
    ([take(1, "A", 7), send(2, "A", 5)], {"A": (0, 2)}, 0),  # named before it came
    ([take(1, "A", 7, **VOIDED), send(2, "A", 5)], {"A": (5, 0)}, 0),
    ([send(1, "A", 5, **VOIDED), take(2, "A", 5)], {}, 0),
    # unnamed ones draw on the oldest by position, whatever the instants
    ([send(1, "A", 2, at=9), send(2, "B", 5), take(3, None, 4)], {"A": (0, 0), "B": (3, 0)}, 0),
    ([send(1, "A", 2), take(2, None, 3), send(3, "B", 5)], {"A": (0, 0), "B": (4, 0)}, 0),
    ([send(1, "A", 2), take(2, None, 3)], {"A": (0, 0)}, 1),
    ([send(1, "A", 2), take(2, None, 3, source="other")], {"A": (2, 0)}, 3),
    ([take(1, None, 3), send(2, "A", 5, at=DAY)], {"A": (2, 0)}, 0),  # at most a day after the receipt
    ([take(1, None, 3), send(2, "A", 5, at=DAY + 1)], {"A": (5, 0)}, 3),
    ([send(1, "A", 5, at=DAY + 1), take(2, None, 3)], {"A": (2, 0)}, 0),  # an earlier one by position, however late
    ([take(1, None, 2), take(2, None, 2), send(3, "A", 3)], {"A": (0, 0)}, 1),
    # named ones come first, whenever they arrive: what unnamed ones had taken moves on
    ([send(1, "A", 5), send(2, "B", 5), take(3, None, 4), take(4, "A", 5)], {"A": (0, 0), "B": (1, 0)}, 0),
    ([send(1, "A", 5), take(2, None, 4), take(3, "A", 5)], {"A": (0, 0)}, 4),
    ([send(1, "A", 5), take(2, None, 4), take(3, "A", 5, **VOIDED)], {"A": (1, 0)}, 0),
    ([send(1, "A", 5), take(2, None, 4), shut_all(3, "A")], {"A": (0, 0)}, 4),
    ([send(1, "A", 5), send(2, "B", 5, **VOIDED), take(3, None, 8)], {"A": (0, 0)}, 3),
    ([send(1, "A", 5), take(2, None, 4, **VOIDED), take(3, None, 3)], {"A": (2, 0)}, 0),
    # closing
    ([send(1, "A", 5), shut(2, "A", 2)], {"A": (3, 0)}, 0),
    ([send(1, "A", 5), shut(2, "A", 9)], {"A": (0, 0)}, 0),
    ([send(1, "A", 5), shut(2, "A", 2, sku="b")], {"A": (5, 0)}, 0),
    ([send(1, "A", 5), shut_all(2, "A")], {"A": (0, 0)}, 0),
    ([shut_all(1, "A"), send(2, "A", 5)], {"A": (0, 0)}, 0),
    ([send(1, "A", 5), shut_all(2, "A"), take(3, "A", 2)], {"A": (0, 0)}, 0),
    ([send(1, "A", 5), shut_all(2, "A"), take(3, "A", 6)], {"A": (0, 1)}, 0),
    ([send(1, "A", 5), shut_all(2, "A", **VOIDED)], {"A": (5, 0)}, 0),
    # reservations: made before it in the order of events, and not expired at its instant
    ([hold(1, "A", 2), hold(2, "B", 5), free(3, None, 4)], {"A": (0, 0), "B": (3, 0)}, 0),
    ([hold(1, "A", 5, at=1), free(2, None, 4, at=1)], {"A": (1, 0)}, 0),
    ([hold(1, "A", 5, at=2), free(2, None, 4, at=1)], {"A": (5, 0)}, 4),
    ([free(1, None, 4, at=1), hold(2, "A", 5, at=0)], {"A": (1, 0)}, 0),
    ([free(1, None, 4, at=1), hold(2, "A", 5, at=1)], {"A": (5, 0)}, 4),
    ([free(1, None, 4), hold(2, "A", 5)], {"A": (5, 0)}, 4),
    ([hold(1, "A", 5, expires_at=3), free(2, None, 4, at=2)], {"A": (1, 0)}, 0),
    ([hold(1, "A", 5, expires_at=3), free(2, None, 4, at=3)], {"A": (5, 0)}, 4),
    ([hold(1, "A", 5), free(2, "A", 4, location="elsewhere")], {"A": (1, 0)}, 0),
    ([free(1, "A", 4), hold(2, "A", 5)], {"A": (1, 0)}, 0),
    # a named one does not move on what was released before it came
    ([hold(1, "A", 5), hold(2, "B", 5), free(3, None, 4), free(4, "A", 5)], {"A": (0, 4), "B": (5, 0)}, 0),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "documents", "waiting"), CASES)
def test_what_is_left(lines: list[DocumentLine], documents: dict[str, tuple[int, int]], waiting: int) -> None:
    replay = DocumentReplay(reversed(lines))
    found = {name.decode(): (document.left, document.over) for name, document in replay.documents.items()}
    assert (found, sum(replay.waiting.values())) == (documents, waiting)


# the lines, as of an instant, what is left of each document then
LATER: list[tuple[list[DocumentLine], int, dict[str, int]]] = [
    ([send(1, "A", 5, at=2), take(2, "A", 5, at=3)], 1, {}),
    ([send(1, "A", 5, at=2), take(2, "A", 5, at=3)], 2, {"A": 5}),
    ([send(1, "A", 5, at=2), take(2, None, 4, at=3)], 2, {"A": 5}),
    ([send(1, "A", 5, at=2), take(2, None, 4, at=3)], 3, {"A": 1}),
    ([send(1, "A", 5, at=2), take(2, "A", 4, at=1)], 2, {"A": 1}),
    ([send(1, "A", 5, at=2), take(2, "A", 4, at=2, kind=DocumentKind.RETURN)], 2, {"A": 5}),
]


@pytest.mark.parametrize(("lines", "as_of", "left"), LATER)
def test_what_is_left_as_of_an_instant(lines: list[DocumentLine], as_of: int, left: dict[str, int]) -> None:
    assert {name.decode(): document.left for name, document in DocumentReplay(lines).at(as_of).items()} == left


def test_a_void_is_known_from_its_position_on() -> None:
    lines = [send(1, "A", 5), take(2, "A", 4, voided_position=3)]
    assert [DocumentReplay(lines, known_at).documents[b"A"].left for known_at in (1, 2, 3, None)] == [5, 1, 5, 5]


@st.composite
def stories(draw: st.DrawFn, group: Group) -> list[DocumentLine]:
    """Lines of one group without voids, in the order of their positions."""
    names = ["A", "B", "C"]
    unopened = list(names)
    lines = []
    for position in range(1, draw(st.integers(1, 9))):
        role = draw(st.sampled_from([LineRole.OPENS, LineRole.DRAWS, LineRole.DRAWS]))
        at, quantity = draw(st.integers(0, 3)) * (DAY // 2), draw(st.integers(0, 6))
        if role is LineRole.OPENS and unopened:
            lines.append(line(group, role, unopened.pop(), quantity, position, at))
        else:
            name = draw(st.sampled_from([None, None, *names]))
            lines.append(line(group, LineRole.DRAWS, name, quantity, position, at))
    return lines


@given(lines=stories(SHELF), cut=st.integers(0, 9))
def test_what_is_stored_is_enough_to_go_on_from(lines: list[DocumentLine], cut: int) -> None:
    before, after = DocumentReplay(lines[:cut]), lines[cut:]
    resumed = DocumentReplay.resumed(before.documents.values(), before.waiting.items())
    for each in after:
        resumed.follow(each, [other for other in lines[:cut] if other.names(each)])
    whole = DocumentReplay(lines)
    assert (resumed.documents, resumed.waiting) == (whole.documents, whole.waiting)


@given(lines=stories(ROAD))
def test_nothing_is_drawn_that_was_not_sent(lines: list[DocumentLine]) -> None:
    replay = DocumentReplay(lines)
    for document in replay.documents.values():
        assert 0 <= document.drawn <= document.quantity
        assert document.received + document.left <= document.quantity
    drawing = sum(each.quantity for each in lines if each.document is None)
    assert sum(each.drawn for each in replay.documents.values()) + sum(replay.waiting.values()) == drawing
