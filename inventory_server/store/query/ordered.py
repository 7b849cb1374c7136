"""What is marked as ordered, and how much of it is still to come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection, select

from inventory_server.domain.business_day import BusinessDays
from inventory_server.domain.merge import Merges, standing
from inventory_server.domain.order_lines import OrderMark
from inventory_server.domain.ordering import Mark, still_ordered
from inventory_server.domain.requests import ListOrdered
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import plain_rows
from inventory_server.store.query.named import business_days
from inventory_server.store.query.scope import within
from inventory_server.store.query.velocity import received
from pos_client.protocol.units import unscaled

_o = t.ordered.c


class OpenMark(NamedTuple):
    """A mark, of which `left` is still waited for."""

    location: str
    sku: str
    made: Mark
    marked_by: str
    left: int


def ordered(connection: Connection, now: int, question: ListOrdered) -> list[OrderMark]:
    """The marks of which something is waited for, by location and product, oldest first."""
    merges = standing(merges_of(connection, head_of(connection)))
    marks = open_marks(connection, now, merges, question.locations)
    calendars = business_days(connection, {mark.location for mark in marks})
    return [_told(mark, calendars) for mark in marks]


def _told(mark: OpenMark, calendars: Mapping[str, BusinessDays]) -> OrderMark:
    made = mark.made
    figures = (unscaled(made.quantity), unscaled(mark.left), made.expected, made.marked_at, mark.marked_by)
    return OrderMark(mark.location, mark.sku, *figures, made.holds_until(calendars[mark.location].zone))


def open_marks(connection: Connection, now: int, merges: Merges, locations: list[str] | None = None) -> list[OpenMark]:
    """The marks of which something is waited for at `now`; of a product that was merged, those of its successor.

    What was marked before the end of the archive is waited for no more: its deliveries may be archived.
    """
    head = head_of(connection)
    wanted = [_o.marked_at > head.archived_until, *within(connection, _o.location, locations)]
    rows = plain_rows(connection, select(*_o).where(*wanted).order_by(_o.location, _o.sku, _o.marked_at))
    marks: dict[Key, list[tuple[Mark, str]]] = {}
    for location, sku, marked_at, quantity, expected, marked_by in rows:
        made = Mark(marked_at, quantity, date.fromisoformat(expected))
        marks.setdefault((location, merges.name(sku)), []).append((made, marked_by))
    if not marks:
        return []
    since = {key: min(made.marked_at for made, _ in of_key) for key, of_key in marks.items()}
    ranges = [(location, each, each, at) for (location, sku), at in since.items() for each in merges.family(sku)]
    deliveries: dict[Key, dict[int, int]] = {}
    for location, sku, at, quantity in received(connection, head, ranges):
        arrived = deliveries.setdefault((location, merges.name(sku)), {})
        arrived[at] = arrived.get(at, 0) + int(quantity)
    calendars = business_days(connection, {location for location, _ in marks})
    found = []
    for key, made_of_key in marks.items():
        made_of_key.sort(key=lambda each: each[0].marked_at)
        zone = calendars[key[0]].zone
        left = still_ordered([made for made, _ in made_of_key], deliveries.get(key, {}).items(), now, zone)
        found += [OpenMark(*key, made, by, rest) for (made, by), rest in zip(made_of_key, left, strict=True) if rest]
    return found


def ordered_by_key(marks: Iterable[OpenMark]) -> dict[Key, int]:
    """What is still to come, by (location, sku)."""
    sums: dict[Key, int] = {}
    for mark in marks:
        sums[mark.location, mark.sku] = sums.get((mark.location, mark.sku), 0) + mark.left
    return sums
