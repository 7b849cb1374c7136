"""Marks as ordered: made and taken back. What came of them is read in `query/ordered.py`."""

from __future__ import annotations

from datetime import UTC, date, timedelta

from sqlalchemy import Connection, delete, func, select

from inventory_server.domain.business_day import UTC_NAME, time_zone
from inventory_server.domain.changes import MarkOrdered, UnmarkOrdered
from inventory_server.domain.limits import MARK_GRACE_DAYS, MARKS_MAX, ORDER_DAYS_MAX
from inventory_server.domain.merge import standing
from inventory_server.domain.ordering import local_day
from inventory_server.store.admin.near import did_you_mean
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.merges import merges_of
from pos_client.protocol.units import instant, scaled

_o = t.ordered.c


def mark_ordered(connection: Connection, change: MarkOrdered, now: int) -> int:
    """Mark a product as ordered, and forget what is waited for no more; when, in microseconds, which names the mark.

    StoreError for a location or product that HQ does not know, a quantity or a day that cannot be.
    """
    quantity = _quantity(change)
    _assert_listed(connection, change.sku)
    _assert_soon(change.expected, local_day(now, time_zone(_zone(connection, change.location))))
    # Two days more than any time zone is ahead of another.
    over = instant(now).astimezone(UTC).date() - timedelta(days=MARK_GRACE_DAYS + 2)
    connection.execute(delete(t.ordered).where(_o.expected < over.isoformat()))
    same = (_o.location == change.location, _o.sku.in_(_family(connection, change.sku)))
    marks, last = connection.execute(select(func.count(), func.max(_o.marked_at)).where(*same)).one()
    if marks >= MARKS_MAX:
        raise StoreError(
            f"{change.sku} is marked as ordered for {change.location} {marks} times: take back what will not come with"
            " inventory-server order-list unmark."
        )
    marked_at = now if last is None else max(now, last + 1)
    values = {"quantity": quantity, "expected": change.expected.isoformat(), "marked_by": change.actor.name}
    named = {"location": change.location, "sku": change.sku, "marked_at": marked_at}
    connection.execute(t.ordered.insert().values(**named, **values))
    return marked_at


def unmark_ordered(connection: Connection, change: UnmarkOrdered) -> int:
    """Take back marks; how many. StoreError if there is none."""
    wanted = [_o.location == change.location, _o.sku.in_(_family(connection, change.sku))]
    wanted += [] if change.marked_at is None else [_o.marked_at == change.marked_at]
    gone = connection.execute(delete(t.ordered).where(*wanted)).rowcount
    if not gone:
        at = "" if change.marked_at is None else f" at {instant(change.marked_at).isoformat()}"
        raise StoreError(
            f"{change.sku} was not marked as ordered for {change.location}{at}; see: inventory-server order-list marked"
        )
    return gone


def _family(connection: Connection, sku: str) -> frozenset[str]:
    """The product and those that were merged with it: a mark was perhaps made under another SKU."""
    return standing(merges_of(connection, head_of(connection))).family(sku)


def _quantity(change: MarkOrdered) -> int:
    try:
        quantity = scaled(change.quantity)
    except ValueError as error:
        raise StoreError(
            f"Expected a quantity of at most 10⁹ with at most 5 decimals, got {change.quantity}."
        ) from error
    if quantity <= 0:
        raise StoreError(f"Expected a quantity above 0, got {change.quantity}; to take a mark back: order-list unmark.")
    return quantity


def _assert_listed(connection: Connection, sku: str) -> None:
    if connection.execute(select(t.product.c.sku).where(t.product.c.sku == sku)).first() is None:
        near = did_you_mean(connection, t.product.c.sku, sku)
        raise StoreError(f"The catalogue does not list {sku}; {near}list it with: inventory-server catalog import")


def _zone(connection: Connection, location: str) -> str:
    code = t.location.c.location
    found = connection.execute(select(t.location.c.time_zone).where(code == location)).first()
    if found is None:
        near = did_you_mean(connection, code, location)
        raise StoreError(f"HQ does not know location {location}; {near}see: inventory-server location list")
    return found.time_zone or UTC_NAME


def _assert_soon(expected: date, today: date) -> None:
    if not today <= expected <= today + timedelta(days=ORDER_DAYS_MAX):
        raise StoreError(
            f"Expected the day of the delivery, from today, {today}, to {ORDER_DAYS_MAX} days later, got {expected}."
        )
