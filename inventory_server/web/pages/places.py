"""Locations and how complete their figures are: the strip at the head of a page, and the line under each name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, tzinfo

from inventory_server.domain.answers import LocationRow
from inventory_server.domain.business_day import end_of_day
from inventory_server.web.pages.texts import Texts
from inventory_server.web.pages.times import Times, zone_of
from pos_client.protocol.messages import Completeness
from pos_client.protocol.units import micros

_NO_TILLS = Completeness(None, 0, [], [], 0)


@dataclass(frozen=True, slots=True)
class Shop:
    """A location: how its figures are marked (`amber`, `open`, `ok` or `none`), and the two lines that say why.

    `note` is the line under its name in a row.
    """

    location: str
    name: str
    mark: str
    told: str
    why: str
    note: str

    @property
    def is_unsure(self) -> bool:
        """True where figures may lack what tills have sold."""
        return self.mark == "amber"


class Places:
    """The locations that HQ knows, by name, at the moment of `times`."""

    def __init__(
        self,
        locations: Iterable[LocationRow],
        completeness: Mapping[str, Completeness],
        incomplete: Collection[str],
        times: Times,
        texts: Texts,
    ) -> None:
        self._rows = {row.location: row for row in locations}
        self._completeness = completeness
        self._incomplete = frozenset(incomplete)
        self._times = times
        self._texts = texts

    def zone(self, location: str) -> tzinfo:
        """The time zone of a location; UTC where nobody has set one."""
        row = self._rows.get(location)
        return zone_of("UTC" if row is None else row.time_zone)

    def end_of_day(self, location: str, day: date) -> int:
        """The last instant (microseconds) of a business day of a location."""
        row = self._rows.get(location)
        return end_of_day(day, self.zone(location), 0 if row is None else row.day_ends_hour)

    def own_zone(self) -> tzinfo:
        """The zone in which the page itself tells the time: that of the locations, if they share one."""
        zones = {row.time_zone for row in self._rows.values()}
        return zone_of(zones.pop() if len(zones) == 1 else "UTC")

    def name(self, location: str) -> str:
        """What people call a location."""
        row = self._rows.get(location)
        return location if row is None or row.name is None else row.name

    def shops(self) -> list[Shop]:
        """All locations, those that need somebody first."""
        found = [self.shop(location) for location in self._rows]
        return sorted(found, key=lambda shop: (not shop.is_unsure, shop.mark == "none", shop.name.casefold()))

    def shop(self, location: str) -> Shop:
        """One location."""
        told = self._completeness.get(location, _NO_TILLS)
        name = self.name(location)
        if not location:
            return Shop("", self._texts("place.nowhere"), "none", "", "", self._texts("place.nowhere_note"))
        if told.tills == 0:
            texts = self._texts("place.no_tills"), self._texts("place.nothing_sold"), self._texts("place.no_tills_note")
            return Shop(location, name, "none", *texts)
        if location in self._incomplete:
            return self._unsure(location, name, told)
        assert told.complete_to is not None, "else it is incomplete"
        at = self._times.short(micros(told.complete_to), self.zone(location))
        complete, closed = self._texts("place.complete_to", at=at), len(told.closed)
        why = self._texts.many("place.closed", told.tills, closed=closed)
        if closed == told.tills:
            return Shop(location, name, "ok", complete, why, self._texts("place.closed_note", at=at))
        return Shop(location, name, "open", complete, self._open(told), self._texts("place.to_note", at=at))

    def _open(self, told: Completeness) -> str:
        if not told.closed:
            return self._texts.many("place.tills_open", told.tills)
        return self._texts("place.some_closed", closed=len(told.closed), tills=told.tills)

    def _unsure(self, location: str, name: str, told: Completeness) -> Shop:
        if told.complete_to is None:
            since, note = self._texts("place.incomplete"), self._texts("place.incomplete_note")
        else:
            at = self._times.short(micros(told.complete_to), self.zone(location))
            since = self._texts("place.incomplete_since", at=at)
            note = self._texts("place.incomplete_since_note", at=at)
        return Shop(location, name, "amber", since, ", ".join(self._reasons(told)), note)

    def _reasons(self, told: Completeness) -> list[str]:
        reasons = []
        if len(told.silent) == 1:
            reasons.append(self._texts("place.one_silent", till=told.silent[0].terminal))
        elif told.silent:
            reasons.append(self._texts.many("place.silent", len(told.silent)))
        if told.pending:
            reasons.append(self._texts.many("place.pending", told.pending))
        if told.holes_total > len(told.holes):
            reasons.append(self._texts.many("place.gaps", told.holes_total))
        elif told.holes:
            reasons.append(self._texts.many("place.missing", sum(hole.to - hole.from_ + 1 for hole in told.holes)))
        return reasons or [self._texts("place.not_told")]
