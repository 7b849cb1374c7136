"""Judging one posting: its movements, what it does to documents, its flags, and the row that enters the ledger."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, UnsetType

from inventory_server.config import Settings
from inventory_server.domain import inventory, merge
from inventory_server.domain.documents import DocumentKind, Group, LineRole, document_lines, is_plain_sale
from inventory_server.domain.exceptions import WAITING
from inventory_server.domain.inventory import Account, Flags, Movement
from inventory_server.domain.limits import FIGURE_MAX
from inventory_server.domain.merge import Merge
from inventory_server.domain.references import digest_of
from inventory_server.domain.requests import FigureTooLarge, Item
from inventory_server.domain.roles import Speaker
from inventory_server.store.ledger.records import ANYWHERE, NEVER, Key, Posted, Void
from inventory_server.store.write import count_book
from inventory_server.store.write.flagging import add_causes
from inventory_server.store.write.judged_posting import JudgedPosting, Refusal
from inventory_server.store.write.levels import TOO_MUCH, apply, negative, on_hand_of, regroup, void_count
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol.units import instant, micros, unscaled, utc_offset_minutes


def enter(working_set: WorkingSet, settings: Settings, speaker: Speaker, item: Item) -> Posted:
    """Enter one posting into the ledger; Refusal if it can never be accepted."""
    entry = _entry(working_set, speaker, item)
    kind = entry.body.type
    if kind == "void":
        return _enter_void(working_set, entry)
    if kind == "merge":
        return _enter_merge(working_set, entry)
    if kind == "count":
        _assert_not_archived(working_set, entry, "count again")
    if settings.forbid_negative and kind in ("transfer_out", "reserve"):
        _assert_available(working_set, entry)
    is_voided = _first(working_set.voids.get(item.key), entry.location) is not None
    moved = inventory.movements(kind, entry.location, entry.order, item.lines)
    moved += inventory.opposite(moved) if is_voided else []
    before = on_hand_of(working_set, moved)
    working_set.take_position()
    flags = entry.effective.flags | _unlisted(working_set, entry) | _unknown_locations(working_set, entry)
    flags |= apply(working_set, entry, moved, is_voided) | negative(working_set, before)
    if not is_plain_sale(entry.body):
        flags |= _draw(working_set, entry, is_voided) | _repeated(working_set, entry, is_voided)
    if flags & WAITING and not is_voided:
        add_causes(working_set, entry, entry.location, flags, before)
    return _add(working_set, entry, entry.location, flags, moved)


def _entry(working_set: WorkingSet, speaker: Speaker, item: Item) -> JudgedPosting:
    if item.body is None or item.occurred_at is None:
        code = "too_much" if isinstance(item.refused, FigureTooLarge) else "invalid_body"
        raise Refusal(code, str(item.refused))
    body = item.body
    location = speaker.location if isinstance(body.location, UnsetType) else body.location
    if not working_set.may_post_at(location, speaker):
        own = " or ".join(map(repr, _places(working_set, speaker)))
        raise Refusal("forbidden_location", f"$.location: expected {own} (the till's own), got {location!r}")
    if body.other_location == location:
        raise Refusal("invalid_body", f"$.other_location: expected a location other than {location!r}, got the same")
    position, recorded_at = working_set.upcoming
    effective = working_set.tick_clocks.effective(speaker, item, recorded_at)
    return JudgedPosting(item, body, speaker, location, position, recorded_at, effective)


def _places(working_set: WorkingSet, speaker: Speaker) -> list[str]:
    """Where a till may post: first where it is."""
    return [speaker.location, *sorted(working_set.rights_of(speaker.terminal).places - {speaker.location})]


def _add(working_set: WorkingSet, entry: JudgedPosting, location: str, flags: int, moved: list[Movement]) -> Posted:
    item, body, speaker, effective_at = entry.item, entry.body, entry.speaker, entry.effective.at
    row = (
        entry.position,
        item.key,
        speaker.terminal,
        speaker.lineage_key,
        item.seq,
        body.type,
        location,
        item.occurred_at,
        utc_offset_minutes(body.occurred_at),
        effective_at,
        entry.recorded_at,
        flags,
        None if isinstance(body.reference, UnsetType) else body.reference,
        item.digest,
        item.raw,
        None if item.tick is None else item.tick.boot.bytes,
        None if item.tick is None else item.tick.ms,
    )
    working_set.add_posting(row, moved)
    posted_by = speaker.terminal
    return Posted(item.digest, entry.position, entry.recorded_at, flags, posted_by, body.type, location, effective_at)


# ---------------------------------------------------------------------------------- what can be refused


def _assert_not_archived(working_set: WorkingSet, entry: JudgedPosting, advice: str) -> None:
    """Refusal for what is from before the end of the archive: the movements before it are not available."""
    if working_set.began.is_before(entry.effective.at):
        raise Refusal(
            "invalid_body",
            f"$.occurred_at: expected {working_set.began.until} or later (what was before is in the "
            f"archive), got {instant(entry.effective.at).isoformat()}; {advice}.",
        )


def _assert_available(working_set: WorkingSet, entry: JudgedPosting) -> None:
    for sku, quantity in working_set.merging.standing.sums(entry.totals).items():
        reserved = working_set.documents.reserved(
            Group(entry.location, sku, DocumentKind.RESERVATION, ""), working_set.now
        )
        available = working_set.levels[entry.location, sku].on_hand - reserved
        if available < quantity:
            raise Refusal(
                "not_available",
                f"{sku!r}: {unscaled(quantity)} wanted, {unscaled(available)} available (forbid_negative).",
            )


# ---------------------------------------------------------------------------------- void


def _enter_void(working_set: WorkingSet, entry: JudgedPosting) -> Posted:
    """Enter a void: its movements stand at the place of what it voids."""
    assert not isinstance(entry.body.voids, UnsetType)
    target = _target(working_set, entry, entry.body.voids)
    voided = [] if target is None else working_set.movements_of(target.position)
    moved = inventory.opposite(voided)
    before = on_hand_of(working_set, moved)
    working_set.take_position()
    flags = entry.effective.flags | _unknown_locations(working_set, entry)
    if target is None:
        flags |= Flags.ORPHAN
    else:
        if target.type == "merge":
            before = _void_merge(working_set, target.position)
        for movement in voided:
            if movement.account is Account.COUNT:
                void_count(working_set, movement, target.position, count_book.keys_of(voided))
        flags |= apply(working_set, entry, moved, is_voided=False) | negative(working_set, before)
        flags |= _undo(working_set, entry, target)
    waiting = {void.location for void in working_set.voids.get(entry.body.voids.bytes, [])}
    for place in _reach(working_set, entry, target):
        if place not in waiting:
            working_set.add_void(Void(entry.body.voids.bytes, place, entry.position))
    location = entry.location if target is None or isinstance(entry.body.location, str) else target.location
    if flags & WAITING:
        add_causes(working_set, entry, location, flags, before)
    return _add(working_set, entry, location, flags, moved)


def _target(working_set: WorkingSet, entry: JudgedPosting, voids: UUID) -> Posted | None:
    """What a void reverses; None if it has not arrived yet. Refusal if it cannot be reversed."""
    if voids == entry.item.id:
        raise Refusal("not_voidable", f"{voids} is the id of the void itself; name the posting to reverse.")
    found = working_set.known.get(voids.bytes)
    target = found if isinstance(found, Posted) else None
    waiting = working_set.voids.get(voids.bytes)
    places = _reach(working_set, entry, None) if target is None else [target.location]
    if all(_first(waiting, place) is not None for place in places):
        raise Refusal("already_voided", f"{voids} is already voided; a posting can be voided once.")
    if target is None:
        return None
    if target.type == "void":
        raise Refusal("not_voidable", f"{voids} is a void itself; post again what it reversed.")
    if not working_set.may_post_at(target.location, entry.speaker):
        own = " or ".join(map(repr, _places(working_set, entry.speaker)))
        raise Refusal("forbidden_location", f"{voids} was posted at {target.location!r}, not {own}.")
    if working_set.is_archived(target.position):
        raise Refusal(
            "not_voidable",
            f"{voids} is in the archive, with everything recorded up to {working_set.began.until}; "
            "post an adjustment instead.",
        )
    return target


def _reach(working_set: WorkingSet, void: JudgedPosting, target: Posted | None) -> list[str]:
    """The locations that a void applies to: any for an operator, for a till those where it may post.

    Of a target that is known, its own is enough.
    """
    if not void.is_till:
        return [ANYWHERE]
    return _places(working_set, void.speaker) if target is None else [target.location]


def _first(voids: list[Void] | None, location: str) -> Void | None:
    """The void that takes effect for a posting at `location`: the first that fits."""
    if not voids:
        return None
    return min((void for void in voids if void.works_at(location)), key=lambda void: void.position, default=None)


def _undo(working_set: WorkingSet, entry: JudgedPosting, target: Posted) -> int:
    """Give back what the target drew of documents, and take back the documents that it opened; return flags."""
    assert not isinstance(entry.body.voids, UnsetType)
    book, voids = working_set.documents, entry.body.voids.bytes
    flags = Flags.OVER_RETURNED if target.type == "sale" and any(book.returned(voids).values()) else 0
    flags |= Flags.OVER_RECEIVED if target.type == "transfer_out" and book.is_received(voids) else 0
    if target.flags & WAITING:
        working_set.unflag(target.position)
    for line in book.void(target.position, entry.position):
        working_set.merging.note(line.location, line.sku)
    working_set.add_carried(entry.order)
    working_set.void_references(target.position, entry.position)
    return flags


# ---------------------------------------------------------------------------------- merge


def _enter_merge(working_set: WorkingSet, entry: JudgedPosting) -> Posted:
    """Enter a merge: what is on hand of one product just before it becomes another one's, at every location."""
    body, merging = entry.body, working_set.merging
    assert isinstance(body.merge, str)
    assert isinstance(body.into, str)
    if entry.is_till:
        raise Refusal("forbidden_type", "$.type: expected a type that tills may post, got 'merge' (operators only)")
    if (reason := merge.refusal(merging.standing, body.merge, body.into)) is not None:
        raise Refusal("not_mergeable", reason)
    _assert_not_archived(working_set, entry, "merge as of a later instant")
    for location, levels in merging.all_levels_of(body.merge).items():
        if sum(abs(level.on_hand) + abs(level.moved) for level in levels.values()) > FIGURE_MAX:
            raise Refusal("too_much", f"{body.merge!r} and {body.into!r} at {location!r}: {TOO_MUCH}.")
    voided = _first(working_set.voids.get(entry.item.key), entry.location)
    working_set.take_position()
    voided_position = None if voided is None else entry.position
    flags = entry.effective.flags
    flags |= _unknown_locations(working_set, entry) if entry.location else 0  # HQ itself is at none
    merged = Merge(entry.position, body.merge, body.into, entry.effective.at, voided_position)
    if merged.stands():
        before = regroup(working_set, merged, lambda: merging.add(merged))
        flags |= negative(working_set, before)
        if flags & WAITING:
            add_causes(working_set, entry, entry.location, flags, before)
    else:
        merging.add(merged)
    return _add(working_set, entry, entry.location, flags, [])


def _void_merge(working_set: WorkingSet, position: int) -> dict[Key, int]:
    """Void the merge at a position: all is as if the products had never been merged; what was on hand before."""
    merging = working_set.merging
    merged = merging.of(position)
    return regroup(working_set, merged, lambda: merging.void(merged, working_set.position))


# ---------------------------------------------------------------------------------- documents


def _draw(working_set: WorkingSet, entry: JudgedPosting, is_voided: bool) -> int:
    """Open, draw on or close documents; return the resulting flags."""
    body, item = entry.body, entry.item
    lines = document_lines(body, item.key, entry.location, entry.order, _expiry(entry), entry.totals)
    if is_voided:
        lines = [line._replace(voided_position=entry.position) for line in lines]
    if not lines:
        return 0
    book = working_set.documents
    drawn = [book.add(line) for line in lines]
    for sku, _ in entry.lines:
        working_set.touch_level((entry.location, sku))
    for line in lines:
        if line.role is LineRole.OPENS:
            working_set.touch_level((line.location, line.sku))
        working_set.merging.note(line.location, line.sku)
    working_set.add_carried(entry.order)
    if lines[0].kind is DocumentKind.RETURN:
        return _returned(working_set, entry, lines[0].document or b"")
    flags = 0 if all(each.is_known for each in drawn) else Flags.ORPHAN
    if body.type in ("transfer_in", "transfer_out"):
        flags |= Flags.OVER_RECEIVED if any(each.unmet or each.over for each in drawn) else 0
        flags |= Flags.OTHER_DESTINATION if book.went_elsewhere(lines[0]) else 0
    if body.type == "release" and body.reservation is UNSET:
        found = any(each.unmet < line.quantity for each, line in zip(drawn, lines, strict=True))
        flags |= 0 if found else Flags.NOTHING_RESERVED
    return flags


def _returned(working_set: WorkingSet, entry: JudgedPosting, sale: bytes) -> int:
    """The flags of a return that names its sale."""
    found = working_set.known.get(sale)
    if not isinstance(found, Posted) or found.type != "sale":
        return Flags.ORPHAN
    if _first(working_set.voids.get(sale), found.location) is not None:
        return Flags.OVER_RETURNED | Flags.ORPHAN
    if working_set.is_archived(found.position):
        return 0
    merges = working_set.merging.standing
    sold: dict[str, int] = {}
    for movement in working_set.movements_of(found.position):
        sold[movement.sku] = sold.get(movement.sku, 0) + max(0, -movement.quantity)
    sold, returned = merges.sums(sold), merges.sums(working_set.documents.returned(sale))
    products = {merges.name(sku) for sku, quantity in entry.lines if quantity}
    is_over = any(returned.get(product, 0) > sold.get(product, 0) for product in products)
    return Flags.OVER_RETURNED if is_over else 0


def _expiry(entry: JudgedPosting) -> int:
    if isinstance(entry.body.expires_at, UnsetType):
        return NEVER
    return micros(entry.body.expires_at) + entry.effective.shift


# ---------------------------------------------------------------------------------- other flags


def _unlisted(working_set: WorkingSet, entry: JudgedPosting) -> int:
    return 0 if working_set.are_listed({sku for sku, _ in entry.item.lines}) else Flags.UNLISTED


def _unknown_locations(working_set: WorkingSet, entry: JudgedPosting) -> int:
    """`UNKNOWN_LOCATION` if HQ does not know where a posting was made, or where it sends goods to."""
    return 0 if all(map(working_set.is_known_location, entry.places)) else Flags.UNKNOWN_LOCATION


def _repeated(working_set: WorkingSet, entry: JudgedPosting, is_voided: bool) -> int:
    """`REPEATED_DOCUMENT` if the same document stands already under another id."""
    digest = digest_of(entry.body, entry.location, entry.lines)
    if digest is None:
        return 0
    is_repeated = any(voided is None for voided in working_set.references.get(digest, {}).values())
    working_set.add_reference(digest, entry.position, entry.position if is_voided else None)
    return Flags.REPEATED_DOCUMENT if is_repeated else 0
