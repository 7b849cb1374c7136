"""Verification of voids: each applies where its target is, or wherever a target that was yet to come could be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import ANYWHERE
from inventory_server.store.ledger.sql import Lookup
from inventory_server.store.verify.rights import TillRights
from pos_client.protocol.messages import Body

_voids = Lookup(t.void, [t.void.c.voids])
_identities = Lookup(t.identity, [t.identity.c.id])
_posting, _archived = t.posting.c, t.archived.c
_locations = Lookup(t.posting, [_posting.position], _posting.position, _posting.location, prunes=True)
_archived_locations = Lookup(t.archived, [_archived.position], _archived.position, _archived.location)


class _Void(NamedTuple):
    voids: bytes
    position: int
    terminal: str
    location: str
    names_location: bool


class VoidCheck:
    """Compares, slice by slice, the rows of `void` with the voids that were posted; `rows` is how many are needed."""

    def __init__(self, connection: Connection) -> None:
        self.rows = 0
        self._rights = TillRights(connection)
        self._posted: list[_Void] = []

    def note(self, row: Any, body: Body) -> None:
        """Note a posting, if it is a void."""
        if isinstance(body.voids, UUID):
            names_location = isinstance(body.location, str)
            self._posted.append(_Void(body.voids.bytes, row.position, row.terminal, row.location, names_location))

    def wrong(self, connection: Connection) -> Iterator[str]:
        """Compare what was noted, and begin anew."""
        ids = [(each,) for each in {void.voids for void in self._posted}]
        targets, stored = _targets(connection, ids), _stored(connection, ids)
        for void in self._posted:
            yield from self._wrong(void, targets.get(void.voids), stored.get(void.voids, []))
        self._posted = []

    def _wrong(self, void: _Void, target: _Target | None, stored: list[tuple[str, int]]) -> Iterator[str]:
        rights = self._rights.at(void.terminal, void.position)
        is_early = target is None or target.position >= void.position
        if rights is not None and void.location not in rights:
            yield f"position {void.position}: is at a location where its till may not post"
        if target is not None and not is_early and void.location != target.location and not void.names_location:
            yield f"position {void.position}: is not at the location of what it voids"
        earlier = {location for location, position in stored if position < void.position}
        if rights is None:
            due = {ANYWHERE}
        elif target is None or is_early:
            due = rights - earlier
        else:
            due = rights & {target.location}
        if due != {location for location, position in stored if position == void.position}:
            yield f"position {void.position}: HQ does not know what it voids"
        self.rows += len(due)


class _Target(NamedTuple):
    position: int
    location: str | None


def _targets(connection: Connection, ids: list[tuple[bytes]]) -> dict[bytes, _Target]:
    """Where the postings of some ids are, archived or not; one without a location is gone."""
    found = dict(_identities(connection, ids))
    positions = [(position,) for position in found.values()]
    locations = dict(_archived_locations(connection, positions)) | dict(_locations(connection, positions))
    return {id_: _Target(position, locations.get(position)) for id_, position in found.items()}


def _stored(connection: Connection, ids: list[tuple[bytes]]) -> dict[bytes, list[tuple[str, int]]]:
    """Where the voids of some ids apply, and their positions."""
    found: dict[bytes, list[tuple[str, int]]] = {}
    for voids, location, position in _voids(connection, ids):
        found.setdefault(voids, []).append((location, position))
    return found
