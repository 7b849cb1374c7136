"""Judging one posting: its movements, flags, counts, voids, and the row that enters the ledger."""

from __future__ import annotations

import msgspec
from msgspec import UnsetType

from inventory_server.config import Settings
from inventory_server.domain import inventory
from inventory_server.domain.inventory import Account, Count, Movement
from inventory_server.domain.requests import Item
from inventory_server.domain.roles import Speaker
from inventory_server.store.ledger.records import ANYWHERE, NEVER, Posted, Void
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol.messages import Body
from pos_client.protocol.units import instant, micros, unscaled, utc_offset_minutes

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND


class Refusal(Exception):
    """A posting that can never be accepted: a code for programs and a reason for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class JudgedPosting(msgspec.Struct, frozen=True):
    """A posting with everything that its rules need."""

    item: Item
    body: Body
    speaker: Speaker
    location: str
    occurred_at: int

    @property
    def is_till(self) -> bool:
        """True if a till posted it: tills may post for their own location only."""
        return self.speaker.role == "till"


def enter(working_set: WorkingSet, settings: Settings, speaker: Speaker, item: Item) -> Posted:
    """Enter one posting into the ledger; Refusal if it can never be accepted."""
    entry = _entry(speaker, item)
    if entry.body.type == "count":
        _assert_countable(working_set, entry)
    if entry.body.type == "void":
        moved, flags, location = _voided(working_set, entry)
    else:
        moved, flags, location = _movements(working_set, entry), 0, entry.location
        if settings.forbid_negative and entry.body.type in ("transfer_out", "reserve"):
            _assert_available(working_set, entry)
    position, recorded_at = working_set.next_position()
    void = None if entry.body.type == "void" else _first(working_set.waiting_voids.get(item.key, []), location)
    if void is not None:
        moved += inventory.opposite(moved, void.occurred_at)
    flags |= inventory.clock_flag(
        entry.occurred_at,
        recorded_at,
        settings.clock_ahead_seconds * _SECOND,
        settings.clock_behind_days * _DAY,
    )
    flags |= _apply(working_set, entry, moved, position, void is not None)
    if entry.body.type == "void":
        _add_void(working_set, entry, position)
    working_set.add_location(location)
    working_set.add_posting(_row(entry, location, position, recorded_at, flags))
    return Posted(item.digest, position, recorded_at, flags)


def _voided(working_set: WorkingSet, entry: JudgedPosting) -> tuple[list[Movement], int, str]:
    """The movements, flags and location of a void; a voided count is removed from its level here."""
    assert not isinstance(entry.body.voids, UnsetType)
    voids = entry.body.voids
    if voids == entry.item.id:
        raise Refusal("not_voidable", f"{voids} is the id of the void itself; name the posting to reverse.")
    target = working_set.place_of(voids.bytes)
    if _first(working_set.voids_of(voids.bytes), _reach(entry) if target is None else target.location) is not None:
        raise Refusal("already_voided", f"{voids} is already voided; a posting can be voided once.")
    if target is None:
        return [], inventory.ORPHAN, entry.location
    if target.type == "void":
        raise Refusal("not_voidable", f"{voids} is a void itself; post again what it reversed.")
    named = not isinstance(entry.body.location, UnsetType)
    if target.location != entry.location and (entry.is_till or named):
        raise Refusal("forbidden_location", f"{voids} was posted at {target.location!r}, not {entry.location!r}.")
    if working_set.is_archived(target.position):
        raise Refusal(
            "not_voidable",
            f"{voids} is in the archive, with everything recorded up to {working_set.began.until}; "
            "post an adjustment instead.",
        )
    moved = working_set.movements_of(target.position)
    working_set.read_levels({(movement.location, movement.sku) for movement in moved})
    for movement in moved:
        if movement.account is Account.COUNT:
            _void_count(working_set, movement, target.position)
    return inventory.opposite(moved, entry.occurred_at), 0, target.location


def _add_void(working_set: WorkingSet, entry: JudgedPosting, position: int) -> None:
    assert not isinstance(entry.body.voids, UnsetType)
    working_set.add_void(Void(entry.body.voids.bytes, _reach(entry), position, entry.occurred_at))


def _reach(void: JudgedPosting) -> str:
    """The location that a void applies to: its own, or any if an operator named none."""
    return ANYWHERE if not void.is_till and isinstance(void.body.location, UnsetType) else void.location


def _first(voids: list[Void], location: str) -> Void | None:
    """The void that takes effect for a posting at `location`: the first that fits."""
    return min((void for void in voids if void.works_at(location)), key=lambda void: void.position, default=None)


def _entry(speaker: Speaker, item: Item) -> JudgedPosting:
    if item.body is None or item.occurred_at is None:
        raise Refusal("invalid_body", str(item.refused))
    body = item.body
    location = speaker.location if isinstance(body.location, UnsetType) else body.location
    if speaker.role == "till" and location != speaker.location:
        raise Refusal(
            "forbidden_location", f"$.location: expected {speaker.location!r} (the till's own), got {location!r}"
        )
    if body.other_location == location:
        raise Refusal("invalid_body", f"$.other_location: expected a location other than {location!r}, got the same")
    return JudgedPosting(item, body, speaker, location, item.occurred_at)


def _assert_countable(working_set: WorkingSet, entry: JudgedPosting) -> None:
    """Refusal for a count from before the end of the archive: the movements before it are not available."""
    if working_set.began.is_before(entry.occurred_at):
        raise Refusal(
            "invalid_body",
            f"$.occurred_at: expected {working_set.began.until} or later (what was before is in the "
            f"archive), got {instant(entry.occurred_at).isoformat()}; count again.",
        )


def _movements(working_set: WorkingSet, entry: JudgedPosting) -> list[Movement]:
    body = entry.body
    assert not isinstance(body.lines, UnsetType)
    skus = [inventory.sku_of(line, working_set.skus_by_gtin) for line in body.lines]
    other = None if isinstance(body.other_location, UnsetType) else body.other_location
    if other is not None:
        working_set.add_location(other)
    reservation = entry.item.key if body.type == "reserve" else None
    if not isinstance(body.reservation, UnsetType):
        reservation = body.reservation.bytes
    lines = list(zip(skus, entry.item.quantities, strict=True))
    return inventory.movements(body.type, entry.location, other, entry.occurred_at, lines, reservation)


def _assert_available(working_set: WorkingSet, entry: JudgedPosting) -> None:
    wanted: dict[str, int] = {}
    for movement in _movements(working_set, entry):
        if movement.account in (Account.STOCK, Account.RESERVED):
            wanted[movement.sku] = wanted.get(movement.sku, 0) + abs(movement.quantity)
    for sku, quantity in wanted.items():
        key = (entry.location, sku)
        available = working_set.level(key).on_hand - working_set.reserved(key)
        if available < quantity:
            raise Refusal(
                "not_available",
                f"{sku!r}: {unscaled(quantity)} wanted, {unscaled(available)} available (forbid_negative).",
            )


def _apply(
    working_set: WorkingSet, entry: JudgedPosting, moved: list[Movement], position: int, voided_early: bool
) -> int:
    """Apply every movement to its level; return the resulting flags."""
    flags = 0
    for at, movement in enumerate(moved):
        key = (movement.location, movement.sku)
        level = working_set.level(key)
        if movement.account is Account.RESERVED:
            expires_at = _expiry(entry) if entry.body.type == "reserve" and movement.quantity >= 0 else None
            flags |= 0 if working_set.draw(movement, expires_at) else inventory.ORPHAN
        elif movement.account is Account.COUNT:
            flags |= _count(working_set, movement, position, voided_early)
        else:
            flags |= inventory.move(level, movement)
        if not working_set.is_listed(movement.sku):
            flags |= inventory.UNLISTED
        working_set.add_movement(movement, position, at)
    return flags


def _expiry(entry: JudgedPosting) -> int:
    return NEVER if isinstance(entry.body.expires_at, UnsetType) else micros(entry.body.expires_at)


def _count(working_set: WorkingSet, movement: Movement, position: int, voided_early: bool) -> int:
    key, at = (movement.location, movement.sku), movement.occurred_at
    level = working_set.level(key)
    counted = Count(at, position, movement.quantity, position if voided_early else None)
    if voided_early:
        working_set.add_count(key, counted)
        return 0
    since = 0
    if not inventory.is_overtaken(level, at) and inventory.needs_later_movements(level, at):
        since = working_set.moved_after(key, at)
    working_set.add_count(key, counted)
    return inventory.count(level, movement.quantity, at, position, since)


def _void_count(working_set: WorkingSet, movement: Movement, position: int) -> None:
    key = (movement.location, movement.sku)
    level = working_set.level(key)
    counts = working_set.counts(key)
    voided = next(count for count in counts if count.position == position)._replace(
        voided_position=working_set.position + 1
    )
    working_set.add_count(key, voided)
    if level.counted_position == position:
        base = inventory.base_count([count for count in counts if count.position != position], None, None)
        inventory.rest_on(level, base, working_set.moved_after(key, base.occurred_at) if base else level.moved)


def _row(entry: JudgedPosting, location: str, position: int, recorded_at: int, flags: int) -> tuple[object, ...]:
    item, body = entry.item, entry.body
    return (
        position,
        item.key,
        entry.speaker.terminal,
        entry.speaker.lineage_key,
        item.seq,
        body.type,
        location,
        entry.occurred_at,
        utc_offset_minutes(body.occurred_at),
        recorded_at,
        flags,
        None if isinstance(body.reference, UnsetType) else body.reference,
        item.digest,
        item.raw,
    )
