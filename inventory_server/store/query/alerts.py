"""Alerts and their deliveries, as they are listed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from inventory_server.domain.alerts import ALERT_EVENTS, AlertRow, DueDelivery, ObserverState, TargetState
from inventory_server.domain.requests import ListAlerts
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import plain_rows

_alert, _delivery, _target, _observer = t.alert.c, t.delivery.c, t.alert_target.c, t.observer.c


def list_alerts(connection: Connection, question: ListAlerts) -> list[AlertRow]:
    """The alerts asked for, the latest first."""
    statement = select(t.alert).order_by(_alert.number.desc()).limit(question.limit)
    if question.is_open:
        statement = statement.where(_alert.closed_at.is_(None))
    if question.before is not None:
        statement = statement.where(_alert.number < question.before)
    return [AlertRow(*row) for row in plain_rows(connection, statement)]


def observer(connection: Connection) -> ObserverState:
    """How far the observer is, and every target that has a delivery or ever had one."""
    columns = (_observer.owner, _observer.position, _observer.proven, _observer.mismatches, _observer.proven_at)
    row = next(iter(plain_rows(connection, select(*columns))), ("", None, 0, 0, None))
    owner, position, proven, mismatches, proven_at = row
    return ObserverState(owner, position, proven, mismatches, proven_at, _targets(connection))


def _targets(connection: Connection) -> list[TargetState]:
    waiting = dict(plain_rows(connection, select(_delivery.target, func.count()).group_by(_delivery.target)))
    rows = plain_rows(connection, select(t.alert_target).order_by(_target.target))
    return [TargetState(target, waiting.get(target, 0), *rest) for target, *rest in rows]


def due(connection: Connection, targets: Sequence[str], now: int) -> list[DueDelivery]:
    """The first delivery in the queue of each target that may be tried now."""
    found = []
    for target in targets:
        first = select(t.delivery).where(_delivery.target == target).order_by(*t.delivery.primary_key.columns).limit(1)
        queue = first.subquery()
        tried = select(_target.failures, _target.next_at, _target.paused_at).where(_target.target == target)
        statement = select(queue.c.queued_at, queue.c.event, queue.c.attempts, *_alert)
        rows = plain_rows(connection, statement.join_from(queue, t.alert, _alert.number == queue.c.alert))
        [(failures, next_at, paused_at)] = plain_rows(connection, tried) or [(0, None, None)]
        if rows and paused_at is None and (next_at is None or next_at <= now):
            queued_at, event, attempts, *alert = rows[0]
            told = (queued_at, ALERT_EVENTS[event], attempts, failures)
            found.append(DueDelivery(target, *told, AlertRow(*alert)))
    return found
