"""Alerts opened and closed, and the queue of their deliveries: each in the transaction that opens or closes one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select

from inventory_server.domain.alerts import ALERT_EVENTS, AlertKey, OpenedAlert
from inventory_server.domain.limits import ALERTS_KEPT_DAYS, ALERTS_PRUNED_MAX
from inventory_server.domain.requests import RecordAlerts, RecordDelivery
from inventory_server.store.admin.near import did_you_mean
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.sql import Insert, Lookup
from pos_client.protocol.units import SECOND_MICROS

_alert, _delivery, _target, _observer = t.alert.c, t.delivery.c, t.alert_target.c, t.observer.c
_THE_BOOK = 1
_DAY = 86_400 * SECOND_MICROS
_OPENED, _CLOSED = (ALERT_EVENTS.index(event) for event in ("opened", "closed"))
_open_ones = Lookup(
    t.alert,
    [_alert.kind, _alert.location, _alert.subject],
    *(_alert.kind, _alert.location, _alert.subject, _alert.number),
    where=_alert.closed_at.is_(None),
)
_numbered = Lookup(
    t.alert,
    [_alert.number],
    _alert.number,
    _alert.kind,
    _alert.location,
    _alert.subject,
    where=_alert.closed_at.is_(None),
)
_put_alerts, _put_deliveries = Insert(t.alert), Insert(t.delivery)


def start_observing(connection: Connection, owner: str) -> int:
    """Have `owner` observe the ledger from now on; the position after which it goes on to read."""
    row = connection.execute(select(_observer.position)).first()
    if row is not None:
        connection.execute(t.observer.update().values(owner=owner))
        return int(row.position)
    position = head_of(connection).position
    figures = {"position": position, "proven": 0, "mismatches": 0}
    connection.execute(t.observer.insert().values(book=_THE_BOOK, owner=owner, **figures))
    return position


def record_alerts(connection: Connection, change: RecordAlerts, now: int) -> list[int]:
    """Open and close alerts, queue their deliveries, and note how far the observer is; the numbers of those opened.

    StoreError if another process observes the ledger now.
    """
    _assert_observing(connection, change.owner)
    for target in change.targets:
        _know_target(connection, target)
    events = [(number, key, _CLOSED) for number, key in _close(connection, change.closed, now)]
    numbers = _open(connection, change, now)
    opened = zip(change.opened, numbers, strict=True)
    events += [(number, each.key, _OPENED) for each, (number, is_new) in opened if is_new]
    _queue(connection, change.targets, events, now)
    _prune(connection, now)
    values: dict[str, Any] = {"position": change.position}
    if change.proven:
        values["proven"] = _observer.proven + change.proven
        values["mismatches"] = _observer.mismatches + change.mismatches
        values["proven_at"] = now
    connection.execute(t.observer.update().values(**values))
    return [number for number, _ in numbers]


def record_delivery(connection: Connection, change: RecordDelivery, now: int) -> bool:
    """Note what came of a delivery: taken, to be tried again, or its target paused; False if it waits no more."""
    _assert_observing(connection, change.owner)
    event = ALERT_EVENTS.index(change.event)
    key = {"target": change.target, "queued_at": change.queued_at, "alert": change.alert, "event": event}
    this = [_delivery[name] == value for name, value in key.items()]
    of_target = t.alert_target.update().where(_target.target == change.target)
    if change.error is None:
        taken = connection.execute(delete(t.delivery).where(*this)).rowcount
        nothing = {"failed_at": None, "next_at": None, "paused_at": None, "last_error": None}
        figures = {"delivered": _target.delivered + taken, "delivered_at": now, "failures": 0}
        connection.execute(of_target.values(**figures, **nothing))
        return bool(taken)
    tried = connection.execute(t.delivery.update().where(*this).values(attempts=_delivery.attempts + 1)).rowcount
    if tried:
        paused_at = now if change.next_at is None else None
        figures = {"failures": _target.failures + 1, "failed_at": func.coalesce(_target.failed_at, now)}
        state = {"next_at": change.next_at, "paused_at": paused_at, "last_error": change.error}
        connection.execute(of_target.values(**figures, **state))
    return bool(tried)


def resume_target(connection: Connection, target: str) -> int:
    """Have a target tried again at once; how many deliveries wait for it. StoreError if there is no such target."""
    nothing = {"failures": 0, "failed_at": None, "next_at": None, "paused_at": None, "last_error": None}
    if not connection.execute(t.alert_target.update().where(_target.target == target).values(**nothing)).rowcount:
        raise _unknown(connection, target)
    waiting = select(func.count()).select_from(t.delivery).where(_delivery.target == target)
    return int(connection.execute(waiting).scalar_one())


def remove_target(connection: Connection, target: str) -> int:
    """Forget a target and what waits for it; how many deliveries. StoreError if there is no such target."""
    if not connection.execute(delete(t.alert_target).where(_target.target == target)).rowcount:
        raise _unknown(connection, target)
    return connection.execute(delete(t.delivery).where(_delivery.target == target)).rowcount


def _unknown(connection: Connection, target: str) -> StoreError:
    near = did_you_mean(connection, _target.target, target)
    return StoreError(f"Nothing was ever delivered to {target}; {near}see: inventory-server alerts targets")


def _assert_observing(connection: Connection, owner: str) -> None:
    row = connection.execute(select(_observer.owner)).first()
    if row is None or row.owner != owner:
        raise StoreError("Another process observes this ledger now: one is enough.")


def _know_target(connection: Connection, target: str) -> None:
    if connection.execute(select(_target.target).where(_target.target == target)).first() is None:
        connection.execute(t.alert_target.insert().values(target=target, delivered=0, failures=0))


def _close(connection: Connection, numbers: Sequence[int], now: int) -> list[tuple[int, AlertKey]]:
    """Close those alerts that are open; what each was about."""
    found = _numbered(connection, [(number,) for number in set(numbers)])
    closed = sorted((number, AlertKey(*key)) for number, *key in found)
    for number, _ in closed:
        connection.execute(t.alert.update().where(_alert.number == number).values(closed_at=now))
    return closed


def _open(connection: Connection, change: RecordAlerts, now: int) -> list[tuple[int, bool]]:
    """Open alerts; the number of each, and whether it was not open before."""
    keys = list(dict.fromkeys(each.key for each in change.opened))
    known = {AlertKey(*row[:3]): row[3] for row in _open_ones(connection, keys)}
    number = connection.execute(select(func.coalesce(func.max(_alert.number), 0))).scalar_one()
    rows, numbers = [], []
    for each in change.opened:
        is_new = each.key not in known
        if is_new:
            number += 1
            known[each.key] = number
            rows.append(_row(number, each, change.position, now))
        numbers.append((known[each.key], is_new))
    _put_alerts(connection, rows)
    return numbers


def _row(number: int, opened: OpenedAlert, position: int, now: int) -> tuple[Any, ...]:
    return (number, *opened.key, position, opened.since_at, now, opened.said, None)


def _queue(
    connection: Connection, targets: Sequence[str], events: Iterable[tuple[int, AlertKey, int]], now: int
) -> None:
    """Queue deliveries to all targets; one that takes nothing is not told of that itself."""
    rows = [
        (target, now, number, event, 0)
        for number, key, event in events
        for target in targets
        if (key.kind, key.subject) != ("delivery_failed", target)
    ]
    _put_deliveries(connection, rows)


def _prune(connection: Connection, now: int) -> None:
    """Delete closed alerts that are old enough, unless somebody has still to be told of them."""
    waits = select(_delivery.alert).where(_delivery.alert == _alert.number).correlate(t.alert).exists()
    old = select(_alert.number).where(_alert.closed_at < now - ALERTS_KEPT_DAYS * _DAY, ~waits)
    numbers = [row[0] for row in connection.execute(old.order_by(_alert.number).limit(ALERTS_PRUNED_MAX))]
    if numbers:
        connection.execute(delete(t.alert).where(_alert.number.in_(numbers)))
