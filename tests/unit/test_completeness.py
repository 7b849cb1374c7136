"""Up to when a location's figures can be trusted."""

from dataclasses import replace
from typing import Any

import pytest

from inventory_server.domain.completeness import TillState, completeness, is_silent, told_everything_to
from pos_client.protocol.messages import ClosedTill, Completeness, Hole, SilentTill
from pos_client.protocol.units import instant

NOW = 1_700_000_000_000_000
FRESH = TillState(
    terminal="T1",
    contact_at=NOW - 10,
    told_at=NOW - 20,
    pending=0,
    oldest_pending_at=None,
    holes=(),
    acked_at=NOW - 500,
    closed_at=None,
)
HOLE = {"holes": [(3, 4)]}

# what differs from a till that has just said that it holds nothing back; up to when it has told everything
TOLD: list[tuple[dict[str, Any], int | None]] = [
    ({}, NOW - 20),
    ({"contact_at": NOW - 10**9, "told_at": NOW - 10**9}, NOW - 10**9),
    ({"contact_at": None, "told_at": None}, None),  # enrolled, and has never spoken
    ({"pending": 2, "oldest_pending_at": NOW - 100}, NOW - 101),
    ({"pending": 2, "oldest_pending_at": NOW + 100}, NOW - 20),
    ({"pending": 2, "oldest_pending_at": None}, None),
    ({"pending": 0, "oldest_pending_at": NOW - 100}, NOW - 20),
    (HOLE, NOW - 500),
    ({**HOLE, "acked_at": None}, None),
    ({**HOLE, "acked_at": NOW}, NOW - 20),
    ({**HOLE, "pending": 1, "oldest_pending_at": NOW - 900}, NOW - 901),
    ({"closed_at": NOW - 400, "told_at": NOW - 10**9}, NOW - 400),  # it may sell again with its line down
    ({"closed_at": NOW - 400, "told_at": None}, NOW - 400),
    ({"closed_at": NOW - 400, **HOLE}, NOW - 500),
    ({"closed_at": NOW - 400, "pending": 1, "oldest_pending_at": NOW - 100}, NOW - 101),
]


@pytest.mark.parametrize(("differs", "expected"), TOLD)
def test_up_to_when_a_till_has_told_everything(differs: dict[str, Any], expected: int | None) -> None:
    assert told_everything_to(replace(FRESH, **differs)) == expected


# what differs, whether it is silent (after 50)
SILENT: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"contact_at": NOW - 50}, False),
    ({"contact_at": NOW - 51}, True),
    ({"contact_at": None}, False),  # not in use yet
    ({"contact_at": NOW - 51, "closed_at": NOW - 400}, False),
    ({"contact_at": NOW + 99}, False),
]


@pytest.mark.parametrize(("differs", "expected"), SILENT)
def test_when_a_till_is_silent(differs: dict[str, Any], expected: bool) -> None:
    assert is_silent(replace(FRESH, **differs), NOW, 50) is expected


def test_a_location_is_as_complete_as_its_least_complete_till() -> None:
    tills = [
        FRESH,
        replace(FRESH, terminal="T2", told_at=NOW - 300, contact_at=NOW - 300, pending=4, oldest_pending_at=NOW),
        replace(FRESH, terminal="T3", closed_at=NOW - 100, contact_at=NOW - 10**9),
        replace(FRESH, terminal="T4", holes=[(2, 2), (5, 9)], acked_at=NOW - 200, pending=1, oldest_pending_at=NOW),
    ]
    assert completeness(tills, NOW, 50) == Completeness(
        complete_to=instant(NOW - 300),
        tills=4,
        silent=[SilentTill("T2", instant(NOW - 300))],
        holes=[Hole("T4", 2, 2), Hole("T4", 5, 9)],
        pending=5,
        closed=[ClosedTill("T3", instant(NOW - 100))],
        holes_total=2,
    )


def test_a_till_counts_from_its_first_hello() -> None:
    unused = replace(FRESH, terminal="T2", contact_at=None, told_at=None)
    assert completeness([FRESH, unused], NOW, 50) == completeness([FRESH], NOW, 50)


def test_the_first_holes_are_named_and_all_are_counted() -> None:
    found = completeness([replace(FRESH, holes=[(n, n) for n in range(2, 30, 2)])], NOW, 50)
    assert (len(found.holes), found.holes_total) == (10, 14)


def test_a_location_without_tills_is_complete() -> None:
    assert completeness([], NOW, 50) == Completeness(instant(NOW), 0, [], [], 0)
