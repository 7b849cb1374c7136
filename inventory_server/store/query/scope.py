"""The scope of a list: the locations and the time that it covers, and what a till may see of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from msgspec import UnsetType
from sqlalchemy import ColumnElement, Connection, select

from inventory_server.domain.business_day import Period
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import named_places
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.sql import among, plain_rows
from inventory_server.store.ledger.timetravel import position_at
from inventory_server.store.query.named import ends_of_day, known_locations, known_skus
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.lists import ChangesParams, PlaceParams, SkuListParams, UnknownItem

_FIRST, _LAST = -(2**63), 2**63 - 1
"""Before and after all instants."""
_ELSEWHERE = ""
"""Stands for locations that HQ does not know: their days are those of UTC."""


def named_skus(params: SkuListParams | ChangesParams) -> list[str] | None:
    """The products that a question names; None if it names none."""
    if isinstance(params.skus, UnsetType):
        return None if isinstance(params.sku, UnsetType) else [params.sku]
    return params.skus


def unknown(connection: Connection, params: PlaceParams) -> list[UnknownItem]:
    """What a question names and HQ does not know."""
    places = named_places(params) or []
    known = {row[0] for row in known_locations(connection, [(name,) for name in places])}
    skus = (named_skus(params) or []) if isinstance(params, SkuListParams | ChangesParams) else []
    listed = known_skus(connection, skus)
    named = [UnknownItem(sku=sku) for sku in skus if sku not in listed]
    return named + [UnknownItem(location=name) for name in places if name not in known]


def within(connection: Connection, column: ColumnElement[str], places: list[str] | None) -> list[ColumnElement[bool]]:
    """The condition that `column` is among `places`."""
    return [] if places is None else [among(connection, column, places)]


class Stretch:
    """A period in microseconds: at each location from `bounds` on, in all from `first` to `last`."""

    def __init__(self, connection: Connection, period: Period) -> None:
        self._since = _instants(connection, period.since, is_end=False)
        self._until = _instants(connection, period.until, is_end=True)
        self.first = min(self._since.values(), default=_FIRST)
        self.last = max(self._until.values(), default=_LAST)

    @property
    def has_begin(self) -> bool:
        """True if something is too early for it."""
        return self.first > _FIRST

    def bounds(self, location: str) -> tuple[int, int]:
        """The first and the last instant at a location."""
        return _of(self._since, location, _FIRST), _of(self._until, location, _LAST)

    def has(self, location: str, effective_at: int) -> bool:
        """True if an instant at a location is within the period."""
        first, last = self.bounds(location)
        return first <= effective_at <= last

    def first_position(self, connection: Connection, head: Head) -> int:
        """The first position that can have taken effect within it: nothing does later than it is recorded.

        RequestError where that is in the archive.
        """
        self.assert_not_archived(head)
        return 1 + (position_at(connection, self.first - 1) if self.has_begin else head.archived_position)

    def assert_not_archived(self, head: Head) -> None:
        """RequestError if some of it may be in the archive."""
        if head.archived_position and self.first <= head.archived_until:
            message = (
                f"Everything recorded up to {head.until}, position {head.archived_position}, is in the archive;"
                " ask for what took effect later (from)."
            )
            raise RequestError(ErrorCode.not_found, message)


def _of(instants: Mapping[str, int], location: str, otherwise: int) -> int:
    return instants.get(location, instants.get(_ELSEWHERE, otherwise))


def _instants(connection: Connection, bound: int | date | None, is_end: bool) -> dict[str, int]:
    """The first or last instant of a period, by location."""
    if bound is None:
        return {}
    if isinstance(bound, int):
        return {_ELSEWHERE: bound - is_end}
    if is_end:
        return ends_of_day(connection, bound, _all_places(connection))
    ends = ends_of_day(connection, bound - timedelta(days=1), _all_places(connection))
    return {location: end + 1 for location, end in ends.items()}


def _all_places(connection: Connection) -> Iterable[str]:
    return [_ELSEWHERE, *(row[0] for row in plain_rows(connection, select(t.location.c.location)))]
