"""What a commit can need of the ledger, read in a few set-based statements before anything is decided."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import msgspec

from inventory_server.config import Settings
from inventory_server.domain import documents, inventory
from inventory_server.domain.documents import DocumentKind, Group, LineRole
from inventory_server.domain.inventory import Count
from inventory_server.domain.merge import Merge
from inventory_server.domain.references import digest_of
from inventory_server.domain.requests import Hello, Item, Post, TerminalRequest, terminal_of
from inventory_server.domain.roles import Speaker
from inventory_server.store.ledger.records import NEVER, Key, Posted, Rejected, Terminal, Void
from inventory_server.store.write import count_book
from inventory_server.store.write.document_book import DocumentNeeds
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol import gtin
from pos_client.protocol.errors import BodyError
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import QUANTITY_MAX, QUANTITY_UNIT, unscaled


class Told(msgspec.Struct, frozen=True, gc=False):
    """A posting of this commit with its location, who posts it, and its (sku, quantity)."""

    item: Item
    body: Body
    location: str
    speaker: Speaker
    lines: list[tuple[str, int]]


def read(working_set: WorkingSet, settings: Settings, works: list[TerminalRequest]) -> None:
    """Read everything that `works` can touch."""
    posts = [work for work in works if isinstance(work, Post)]
    _read_terminals(working_set, works)
    if not posts:
        return
    _read_identities(working_set, posts)
    _read_lines(working_set, posts)
    told = list(_told(posts))
    if away := _away_from_home(told):
        working_set.read_rights(away)
    others = [one for one in told if not documents.is_plain_sale(one.body)]
    targets: set[int] = set()
    if others:
        targets = _targets(working_set, others)
        _expect_merges(working_set, told, others)
        working_set.read_movements(targets | _sold(working_set, others))
    working_set.read_locations({one.location for one in told}.union(_other_locations(others)))
    _read_levels(working_set, told, targets)
    if others:
        _read_counts(working_set, others, targets)
        working_set.documents.read(_document_needs(settings, others, targets, working_set.merging.keys()))
        _read_references(working_set, others, targets)


# ---------------------------------------------------------------------------------- who speaks, and which ids


def _read_terminals(working_set: WorkingSet, works: list[TerminalRequest]) -> None:
    names = {terminal_of(work) for work in works}
    unknown = [(name,) for name in names if name not in working_set.terminals]
    for row in working_set.sql.terminals(working_set.connection, unknown):
        working_set.terminals[row[0]] = Terminal(*row)
    working_set.read_rights({work.terminal for work in works if isinstance(work, Hello)})
    working_set.tick_clocks.read(working_set.connection, works)
    wanted = set()
    for work in works:
        if not isinstance(work, Hello):
            if work.actor.lineage_key is not None:
                wanted.add((work.actor.terminal, work.actor.lineage_key))
        elif work.lineage is not None:
            wanted.add((work.terminal, work.lineage.bytes))
    working_set.read_lineages(wanted)


def _read_identities(working_set: WorkingSet, posts: list[Post]) -> None:
    """Read what HQ has under the ids of the postings and under those that they name."""
    sql, connection = working_set.sql, working_set.connection
    items = [item for post in posts for item in post.items]
    others = [item.body for item in items if item.body is not None and not documents.is_plain_sale(item.body)]
    working_set.named = {
        each.bytes for body in others for field in ("voids", "returns") for each in _named(body, field)
    }
    ids = {item.key for item in items} | working_set.named
    traces = sql.traces(connection, [(each,) for each in ids])
    if not traces:
        return
    found = {position: id_ for id_, position in traces if position is not None}
    live = [(position,) for position in found if not working_set.is_archived(position)]
    archived = [(position,) for position in found if working_set.is_archived(position)]
    elsewhere = [(id_,) for id_ in {id_ for id_, position in traces if position is None}]
    for row in sql.rejections(connection, elsewhere):
        posting_id, _, lineage, seq, _, code, reason, digest, _, reopened_at = row
        working_set.known[posting_id] = Rejected(digest, code, reason, lineage, seq, reopened_at is not None)
    for row in sql.postings(connection, live) + sql.archived_postings(connection, archived):
        posted = Posted(*row)
        working_set.known[found[posted.position]] = posted
    for row in sql.voids(connection, elsewhere):
        working_set.voids.setdefault(row[0], []).append(Void(*row))


def _named(body: Body, field: str) -> list[UUID]:
    named = getattr(body, field)
    return [named] if isinstance(named, UUID) else []


def _read_lines(working_set: WorkingSet, posts: list[Post]) -> None:
    """Find out which SKUs the lines of the postings mean."""
    listed = [(item, lines) for post in posts for item in post.items if (lines := _lines(item.body))]
    scanned = {gtin.padded(line.gtin) for _, lines in listed for line in lines if isinstance(line.gtin, str)}
    meanings: dict[str, tuple[str, int]] = {}
    if scanned:
        barcodes = working_set.sql.barcodes(working_set.connection, [(digits,) for digits in scanned])
        meanings = {row[0]: (row[1], row[2]) for row in barcodes}
    has_packs = any(units != 1 for _, units in meanings.values())
    for item, lines in listed:
        item.lines = inventory.lines_of(lines, item.quantities, meanings)
        if has_packs:
            _refuse_too_many(item)


def _refuse_too_many(item: Item) -> None:
    """Have a posting refused whose packs come to more than a line may have."""
    for at, (sku, quantity) in enumerate(item.lines):
        if abs(quantity) > QUANTITY_MAX * QUANTITY_UNIT:
            expected = f"packs of at most {QUANTITY_MAX:,} units of {sku!r} in all"
            item.body, item.refused = None, BodyError(f"$.lines[{at}]", expected, f"{unscaled(quantity):,}")
            return


def _lines(body: Body | None) -> list[Line]:
    return body.lines if body is not None and isinstance(body.lines, list) else []


def _told(posts: list[Post]) -> Iterator[Told]:
    for post in posts:
        for item in post.items:
            if item.body is not None:
                location = item.body.location if isinstance(item.body.location, str) else post.actor.location
                yield Told(item, item.body, location, post.actor, item.lines)


def _away_from_home(told: list[Told]) -> set[str]:
    """The tills that post, or may void, elsewhere than at their present location: their rights decide."""
    return {
        one.speaker.terminal
        for one in told
        if (one.location != one.speaker.location or one.body.type == "void") and one.speaker.role == "till"
    }


# ---------------------------------------------------------------------------------- what they touch


def _targets(working_set: WorkingSet, told: list[Told]) -> set[int]:
    """The positions of the postings that are voided and can be."""
    return {each.position for each in _voided(working_set, told)}


def _voided(working_set: WorkingSet, told: list[Told]) -> list[Posted]:
    named = [working_set.known.get(each.bytes) for one in told for each in _named(one.body, "voids")]
    return [each for each in named if isinstance(each, Posted) and not working_set.is_archived(each.position)]


def _sold(working_set: WorkingSet, told: list[Told]) -> set[int]:
    """The positions of the sales that goods come back from."""
    named = [working_set.known.get(each.bytes) for one in told for each in _named(one.body, "returns")]
    return {each.position for each in named if isinstance(each, Posted) and not working_set.is_archived(each.position)}


def _other_locations(told: list[Told]) -> Iterator[str]:
    for one in told:
        if isinstance(one.body.other_location, str):
            yield one.body.other_location


def _expect_merges(working_set: WorkingSet, told: list[Told], others: list[Told]) -> None:
    """Read where there are levels of the products that this commit merges, or separates.

    `others` are those of `told` that are no plain sales, which may be the first of a product at a location.
    """
    merging = working_set.merging
    pairs = _merges(others, working_set.position + 1)
    if pairs:
        merging.expect((each.ended, each.into) for each in pairs)
    positions = {known.position for known in _voided(working_set, others)}
    regrouped = [each.ended for each in (*merging.standing, *pairs) if each in pairs or each.position in positions]
    skus = {member for sku in regrouped for member in merging.family(sku)}
    merging.are_at(working_set.sql.locations_of_skus(working_set.connection, [(sku,) for sku in skus]))
    if regrouped:
        merging.are_at((one.location, sku) for one in told for sku, _ in one.lines if sku in skus)


def _merges(told: list[Told], position: int) -> list[Merge]:
    """The merges of this commit, before it is known which of them can be, and where they will stand."""
    merges = [(one.body.merge, one.body.into, one.item.occurred_at or 0) for one in told if one.body.type == "merge"]
    return [Merge(position, str(ended), str(into), at) for ended, into, at in merges]


def _read_levels(working_set: WorkingSet, told: list[Told], targets: set[int]) -> None:
    keys = {(one.location, sku) for one in told for sku, _ in one.lines}
    keys |= {(moved.location, moved.sku) for position in targets for moved in working_set.movements_of(position)}
    if families := working_set.merging.families:
        keys |= {member for key in keys if key[1] in families for member in working_set.merging.keys_with(*key)}
        keys |= working_set.merging.keys()
    working_set.read_levels(keys)


def _read_counts(working_set: WorkingSet, told: list[Told], targets: set[int]) -> None:
    counted: list[tuple[Key, int]] = []
    voided: list[Key] = []
    voids = {each for one in told for each in _named(one.body, "voids")}
    for one in told:
        if one.body.type == "count":
            counted += [((one.location, sku), one.item.occurred_at or 0) for sku, _ in one.lines]
            voided += [(one.location, sku) for sku, _ in one.lines if one.item.id in voids]
    for position in targets:
        voided += count_book.keys_of(working_set.movements_of(position))
    merging, upcoming = working_set.merging, working_set.position + 1
    if not merging.families:
        if counted or voided:
            working_set.counts.read(working_set.levels, counted, voided)
        return
    concerned = {key for key, _ in counted}.union(voided)
    merged = {each for key in concerned if key[1] in merging.families for each in merging.keys_with(*key)}
    merged |= merging.keys()
    others = [each for each in counted if each[0] not in merged], [key for key in voided if key not in merged]
    working_set.counts.read(working_set.levels, *others, merged)
    added = [(key, Count(at, upcoming, 0)) for key, at in counted if key in merged]
    merging.read_sums(merged, added, _merges(told, upcoming), {known.position for known in _voided(working_set, told)})


def _document_needs(settings: Settings, told: list[Told], targets: set[int], merged: set[Key]) -> DocumentNeeds:
    needs = DocumentNeeds(voided=set(targets), merged=merged)
    voids = {each for one in told for each in _named(one.body, "voids")}
    for one in told:
        is_voided = one.item.id in voids
        for line in documents.document_lines(
            one.body, one.item.key, one.location, (0, 0), NEVER, inventory.totals_of(one.lines)
        ):
            if line.role is LineRole.OPENS:
                needs.opened.setdefault(one.item.key, set()).add(line.group)
            elif line.document is not None:
                needs.named.add(line.document)
            if line.role is LineRole.OPENS or line.document is None:
                needs.groups.add(line.group)
            if is_voided:
                needs.redrawn.add(line.document)
                needs.whole |= {line.group} if line.role is LineRole.OPENS or line.document is None else set()
        if settings.forbid_negative and one.body.type in ("transfer_out", "reserve"):
            needs.groups |= {Group(one.location, sku, DocumentKind.RESERVATION, "") for sku, _ in one.lines}
    needs.named |= {each.bytes for one in told for each in _named(one.body, "voids")}
    return needs


def _read_references(working_set: WorkingSet, told: list[Told], targets: set[int]) -> None:
    digests = {digest_of(one.body, one.location, one.lines) for one in told} - {None}
    sql, connection = working_set.sql, working_set.connection
    rows = sql.references(connection, [(each,) for each in digests])
    rows += sql.references_at(connection, [(position,) for position in targets])
    for digest, position, voided_position in rows:
        working_set.references.setdefault(digest, {})[position] = voided_position
