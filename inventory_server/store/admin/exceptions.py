"""Exceptions: what waits for a person, by cause, and settling a cause up to a position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec import UnsetType
from sqlalchemy import ColumnElement, Connection, delete, func, or_, select

from inventory_server.domain.exceptions import ACTIONS, FlaggedPosting
from inventory_server.domain.inventory import FLAGS
from inventory_server.domain.limits import EXCEPTIONS_DEFAULT
from inventory_server.domain.requests import ListExceptions, SettleException
from inventory_server.store.admin.near import did_you_mean
from inventory_server.store.admin.self_settled import CHECKED, still_waiting
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import named_places, visible_places
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.sql import Insert, Lookup, among, plain_rows
from pos_client.protocol.lists import ExceptionsResult, ListedException
from pos_client.protocol.units import instant

_f, _s = t.flagged.c, t.settlement.c
_CAUSE = (_f.flag, _f.location, _f.subject)
_settled_at = Lookup(t.settlement, [_s.flag, _s.location, _s.subject])
_put_settlements = Insert(t.settlement, "replace")


class _Cause(NamedTuple):
    """What is known of a cause: how many postings, when the first and the last took effect, the last position."""

    flag: int
    location: str
    subject: str
    postings: int
    first_at: int
    last_at: int
    position: int

    @property
    def key(self) -> tuple[int, str, str]:
        """What tells it from others."""
        return self[:3]


def exceptions(connection: Connection, question: ListExceptions) -> ExceptionsResult:
    """What waits for a person, the latest first; what has settled itself is left out."""
    params = question.params
    limit = EXCEPTIONS_DEFAULT if isinstance(params.limit, UnsetType) else params.limit
    wanted = [] if isinstance(params.flag, UnsetType) else [_f.flag == FLAGS.index(params.flag)]
    places = visible_places(connection, question.actor, named_places(params))
    wanted += [] if places is None else [among(connection, _f.location, places)]
    rows = plain_rows(connection, _counted(wanted, limit))
    causes = [_Cause(*row[:-1]) for row in rows]
    checked = plain_rows(connection, select(*_f).where(_f.flag.in_(CHECKED), *wanted).order_by(*_f))
    others = _by_cause(still_waiting(connection, [FlaggedPosting(*row) for row in checked]))
    total = (rows[0][-1] if rows else 0) + len(others)
    causes = sorted(causes + others, key=lambda cause: (-cause.position, cause.key))[:limit]
    settled = {tuple(row[:3]): row[-1] for row in _settled_at(connection, [cause.key for cause in causes])}
    shown = [_shown(cause, settled.get(cause.key)) for cause in causes]
    return ExceptionsResult(head_of(connection).position, total, shown)


def settle(connection: Connection, change: SettleException, now: int) -> int:
    """Settle the causes that `change` names; how many. StoreError if none of them waits."""
    if change.position > (last := head_of(connection).position):
        raise StoreError(f"The ledger ends at position {last}; {change.position} is beyond it.")
    covered = [_f.flag == FLAGS.index(change.flag), _f.position <= change.position]
    covered += [] if change.subject is None else [_f.subject == change.subject]
    covered += [] if change.location is None else [_f.location == change.location]
    causes = plain_rows(connection, select(*_CAUSE).where(*covered).distinct())
    if not causes:
        near = "" if change.subject is None else did_you_mean(connection, _f.subject, change.subject)
        of = "" if change.subject is None else f" of {change.subject}"
        at = "" if change.location is None else f" at {change.location}"
        raise StoreError(
            f"There is no {change.flag}{of}{at} to settle up to position {change.position}; "
            f"{near}see: inventory-server exceptions"
        )
    connection.execute(delete(t.flagged).where(*covered))
    _put_settlements(connection, [(*cause, change.position, now) for cause in causes])
    return len(causes)


def _counted(wanted: Iterable[ColumnElement[bool]], limit: int) -> Any:
    """The latest causes whose postings need not be looked at one by one, each with the number of all of them."""
    level, place = t.level.c, t.location.c.location
    below = select(level.sku).where(level.location == _f.location, level.sku == _f.subject, level.on_hand < 0)
    is_negative = below.correlate(t.flagged).exists()
    is_known = select(place).where(place == _f.location).correlate(t.flagged).exists()
    last = func.max(_f.position)
    return (
        select(
            *_CAUSE,
            func.count(),
            func.min(_f.effective_at),
            func.max(_f.effective_at),
            last,
            func.count().over(),
        )
        .where(_f.flag.not_in(CHECKED), *wanted)
        .group_by(*_CAUSE)
        .having(or_(_f.flag != FLAGS.index("negative_stock"), is_negative))
        .having(or_(_f.flag != FLAGS.index("unknown_location"), ~is_known))
        .order_by(last.desc(), *_CAUSE)
        .limit(limit)
    )


def _by_cause(postings: Iterable[FlaggedPosting]) -> list[_Cause]:
    causes: dict[tuple[int, str, str], _Cause] = {}
    for one in postings:
        at = one.effective_at
        before = causes.get(one[:3], _Cause(*one[:3], 0, at, at, 0))
        causes[one[:3]] = before._replace(
            postings=before.postings + 1,
            first_at=min(before.first_at, at),
            last_at=max(before.last_at, at),
            position=max(before.position, one.position),
        )
    return list(causes.values())


def _shown(cause: _Cause, settled_at: int | None) -> ListedException:
    flag = FLAGS[cause.flag]
    figures = (cause.postings, instant(cause.first_at), instant(cause.last_at), cause.position)
    settled = None if settled_at is None else instant(settled_at)
    return ListedException(flag, cause.subject, cause.location, *figures, ACTIONS[flag], settled)
