"""Stock as domain.md words it, over a plain list of what is known: no cache, no order of arrival, no SQL.

Written to be compared with the store, so it shares no rule with it: it reads the JSON of the bodies by
itself and computes every figure anew, as a sum over everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

ON_HAND = {"sale": -1, "return": 1, "receipt": 1, "adjustment": 1, "transfer_out": -1, "transfer_in": 1}
Key = tuple[str, str]


class Known(NamedTuple):
    """A posting that HQ holds."""

    position: int
    id: UUID
    body: dict[str, Any]
    location: str
    occurred_at: datetime
    by_till: bool


class Moved(NamedTuple):
    """What a line does to one figure (`on_hand`, `in_transit` or `reserved`) of one (location, sku)."""

    figure: str
    key: Key
    occurred_at: datetime
    quantity: Decimal
    reservation: str | None = None


@dataclass(frozen=True)
class View:
    """T and K of domain.md: None stands for "for ever" and "everything"."""

    as_of: datetime | None = None
    known_at: int | None = None

    def reaches(self, occurred_at: datetime) -> bool:
        """True where T is not before `occurred_at`."""
        return self.as_of is None or occurred_at <= self.as_of


NOW = View()


class StockModel:
    """All postings HQ holds, and what follows from them."""

    def __init__(self, skus_by_gtin: dict[str, str]) -> None:
        self._skus_by_gtin = skus_by_gtin
        self.known: list[Known] = []
        self._bodies: dict[UUID, bytes] = {}
        self._rejected: dict[UUID, bytes] = {}

    def post(self, id_: UUID, raw: bytes, own_location: str, by_till: bool) -> str:
        """The status that one posting must get; a posted one is held from now on."""
        if id_ in self._rejected:
            return "rejected" if self._rejected[id_] == raw else "conflict"
        if id_ in self._bodies:
            return "duplicate" if self._bodies[id_] == raw else "conflict"
        body = json.loads(raw, parse_float=Decimal)
        location = body.get("location", own_location)
        if body["type"] == "void":
            target = self._find(UUID(body["voids"]))
            if target is not None and not by_till and "location" not in body:
                location = target.location
            anywhere = not by_till and "location" not in body
            if UUID(body["voids"]) == id_ or not self._may_void(body, None if anywhere else location, target):
                self._rejected[id_] = raw
                return "rejected"
        if (by_till and location != own_location) or body.get("other_location") == location:
            self._rejected[id_] = raw
            return "rejected"
        self._bodies[id_] = raw
        occurred_at = datetime.fromisoformat(body["occurred_at"])
        self.known.append(Known(len(self.known) + 1, id_, body, location, occurred_at, by_till))
        return "posted"

    def touched(self) -> list[Key]:
        """Every (location, sku) that any stock, transfer or count has touched, in the order of a page."""
        touched = {moved.key for posting in self.known for moved in self._moves(posting)}
        touched |= {key for posting in self.known for key, _ in self._counts(posting)}
        return sorted(touched, key=lambda key: (key[0].encode(), key[1].encode()))

    def on_hand(self, key: Key, view: View = NOW) -> Decimal:
        """The formula of domain.md."""
        base = self._base(key, view)
        floor = None if base is None else base[0]
        total = Decimal(0) if base is None else base[2]
        for moved in self._moved("on_hand", key, view):
            if floor is None or moved.occurred_at > floor:
                total += moved.quantity
        return total

    def counted_at(self, key: Key, view: View = NOW) -> datetime | None:
        """When the count was taken that the figure rests on."""
        base = self._base(key, view)
        return None if base is None else base[0]

    def in_transit(self, key: Key, view: View = NOW) -> Decimal:
        """What has left elsewhere and has not arrived."""
        return sum((moved.quantity for moved in self._moved("in_transit", key, view)), Decimal(0))

    def reserved(self, key: Key, now: datetime, view: View = NOW) -> Decimal:
        """What is set aside: per standing reservation what is left of it, less what was released unnamed."""
        until = view.as_of or now
        expiries = {str(posting.id): posting.body.get("expires_at") for posting in self._reserves(key, view)}
        left: dict[str | None, Decimal] = {}
        for moved in self._moved("reserved", key, view):
            left[moved.reservation] = left.get(moved.reservation, Decimal(0)) + moved.quantity
        total = left.pop(None, Decimal(0))
        for reservation, quantity in left.items():
            expires_at = expiries.get(str(reservation), "never reserved")
            stands = expires_at is None or (
                expires_at != "never reserved" and datetime.fromisoformat(expires_at) > until
            )
            total += max(quantity, Decimal(0)) if stands else 0
        return max(total, Decimal(0))

    # ------------------------------------------------------------------------------ what follows

    def _find(self, id_: UUID) -> Known | None:
        return next((posting for posting in self.known if posting.id == id_), None)

    def _reserves(self, key: Key, view: View) -> Iterator[Known]:
        for posting in self._seen(view):
            if posting.body["type"] == "reserve" and any(moved.key == key for moved in self._moves(posting)):
                yield posting

    def _may_void(self, body: dict[str, Any], location: str | None, target: Known | None) -> bool:
        """`location` is None for a void that works anywhere."""
        if target is None:
            waiting = [posting for posting in self.known if posting.body.get("voids") == body["voids"]]
            return not any(_works_anywhere(void) or void.location == location for void in waiting)
        if target.body["type"] == "void" or location not in (None, target.location):
            return False
        return self._void_of(target, None) is None

    def _void_of(self, target: Known, known_at: int | None) -> Known | None:
        for posting in self._seen(View(None, known_at)):
            names_it = posting.body.get("voids") == str(target.id) and target.body["type"] != "void"
            if names_it and (_works_anywhere(posting) or posting.location == target.location):
                return posting
        return None

    def _seen(self, view: View) -> list[Known]:
        return self.known if view.known_at is None else self.known[: view.known_at]

    def _moved(self, figure: str, key: Key, view: View) -> Iterator[Moved]:
        """All movements of one figure, the opposite ones of voids included."""
        for posting in self._seen(view):
            void = self._void_of(posting, view.known_at)
            for moved in self._moves(posting):
                if moved.figure != figure or moved.key != key:
                    continue
                if view.reaches(moved.occurred_at):
                    yield moved
                if void is not None and view.reaches(void.occurred_at):
                    yield moved._replace(occurred_at=void.occurred_at, quantity=-moved.quantity)

    def _moves(self, posting: Known) -> Iterator[Moved]:
        body, at, here = posting.body, posting.occurred_at, posting.location
        kind = body["type"]
        for sku, quantity in self._lines(body):
            if kind in ON_HAND:
                yield Moved("on_hand", (here, sku), at, ON_HAND[kind] * quantity)
            if kind == "transfer_out":
                yield Moved("in_transit", (body["other_location"], sku), at, quantity)
            if kind == "transfer_in":
                yield Moved("in_transit", (here, sku), at, -quantity)
            if kind == "reserve":
                yield Moved("reserved", (here, sku), at, quantity, str(posting.id))
            if kind == "release" or (kind == "sale" and "reservation" in body):
                yield Moved("reserved", (here, sku), at, -quantity, body.get("reservation"))

    def _counts(self, posting: Known) -> Iterator[tuple[Key, Decimal]]:
        if posting.body["type"] == "count":
            figures: dict[str, Decimal] = {}
            for sku, quantity in self._lines(posting.body):
                figures[sku] = figures.get(sku, Decimal(0)) + quantity
            for sku, quantity in figures.items():
                yield (posting.location, sku), quantity

    def _lines(self, body: dict[str, Any]) -> Iterator[tuple[str, Decimal]]:
        for line in body.get("lines", ()):
            sku = line["sku"] if "sku" in line else self._skus_by_gtin.get(line["gtin"], line["gtin"])
            yield sku, Decimal(str(line["quantity"]))

    def _base(self, key: Key, view: View) -> tuple[datetime, int, Decimal] | None:
        standing = [
            (posting.occurred_at, posting.position, figure)
            for posting in self._seen(view)
            for counted, figure in self._counts(posting)
            if counted == key and view.reaches(posting.occurred_at) and self._void_of(posting, view.known_at) is None
        ]
        return max(standing, default=None)


def _works_anywhere(void: Known) -> bool:
    return not void.by_till and "location" not in void.body
