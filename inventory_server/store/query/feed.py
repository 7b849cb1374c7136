"""The feed: what each posting did to stock, position by position, as HQ knew it then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType
from sqlalchemy import ColumnElement, Connection, func, literal_column, or_, select

from inventory_server.config import FEED_MOVEMENTS, FEED_POSITIONS
from inventory_server.domain.answers import FeedPage, FeedStart
from inventory_server.domain.documents import DocumentKind, DocumentLine, LineRole
from inventory_server.domain.inventory import Account, Flags
from inventory_server.domain.merge import Merge, families
from inventory_server.domain.requests import ReadFeed, StartFeed
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import visible_places
from inventory_server.store.ledger.documents import DocumentsAt, line_of
from inventory_server.store.ledger.head import Head, head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import NEVER, Key
from inventory_server.store.ledger.sql import Lookup, among, plain_rows
from inventory_server.store.query.levels_between import LevelsBetween, PositionPair
from inventory_server.store.query.named import known_locations
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.feed import ChangedParams, StockChange
from pos_client.protocol.fields import Instant, PostingType
from pos_client.protocol.units import instant, unscaled

_p, _m, _d = t.posting.c, t.movement.c, t.document_line.c
_openers = Lookup(t.document_line, [_d.document], where=_d.role == literal_column(str(int(LineRole.OPENS))))
_having_documents = Lookup(t.document_line, [_d.location, _d.sku], _d.location, _d.sku)
_ON_THE_SPOT: frozenset[PostingType] = frozenset(
    ("sale", "return", "receipt", "adjustment", "transfer_out", "transfer_in", "transfer_close", "reserve", "release")
)
"""Types whose movements, unless a count is later, change what is on hand by their own quantity."""


class _Posting(NamedTuple):
    position: int
    type: PostingType
    occurred_at: int
    utc_offset_minutes: int
    effective_at: int
    recorded_at: int
    flags: int


@dataclass(slots=True)
class _Touched:
    """What a posting did to one level: the sum of its movements, and what was on hand after the last of them.

    `on_hand` is None where it moved nothing. `is_named` is False where the level may have changed only because another
    product's did.
    """

    moved: int = 0
    on_hand: int | None = None
    is_named: bool = True


@dataclass(slots=True)
class _Effect:
    """A posting, and all levels that it can have changed."""

    posting: _Posting
    levels: dict[Key, _Touched] = field(default_factory=dict)


class _Figures(NamedTuple):
    reserved: int = 0
    in_transit: int = 0
    next_expiry: int = NEVER


def start(connection: Connection, question: StartFeed) -> FeedStart:
    """Where a feed begins; RequestError where a till asks for other locations, or the position is none yet."""
    params, head = question.params, head_of(connection)
    if isinstance(params.from_, int) and params.from_ > head.position:
        expected, came = f"at most {head.position}, the last position", str(params.from_)
        message = f"$.from: expected {expected}, got {came}."
        raise RequestError(ErrorCode.invalid_params, message, path="$.from", expected=expected, came=came)
    named = None if isinstance(params.locations, UnsetType) else params.locations
    places = visible_places(connection, question.actor, named)
    return FeedStart(
        position=head.position if isinstance(params.from_, UnsetType) else params.from_,
        locations=None if places is None else frozenset(places),
        skus=None if isinstance(params.skus, UnsetType) else frozenset(params.skus),
    )


def feed(connection: Connection, question: ReadFeed) -> FeedPage:
    """A page of the feed: at most `FEED_POSITIONS` positions, and about `FEED_MOVEMENTS` changes.

    Without a filter it has every position, else those at which something changed that was asked for.
    """
    head = head_of(connection)
    if question.since < head.archived_position:
        return FeedPage(question.since, [], resume_from=head.archived_position)
    if question.since >= head.position:
        return FeedPage(question.since, [])
    bounds = _bounds(connection, head, question.since)
    effects = _effects(connection, head, bounds)
    is_filtered = question.locations is not None or question.skus is not None
    for each in effects.values() if is_filtered else ():
        each.levels = {key: level for key, level in each.levels.items() if _is_asked(key, question)}
    told = _Teller(connection, head, effects.values())
    changed = [told.changed(each) for each in effects.values() if each.levels or not is_filtered]
    return FeedPage(bounds.until, [each for each in changed if each.items or not is_filtered])


def _is_asked(key: Key, question: ReadFeed) -> bool:
    places, skus = question.locations, question.skus
    return (places is None or key[0] in places) and (skus is None or key[1] in skus)


def _bounds(connection: Connection, head: Head, since: int) -> PositionPair:
    """The positions of a page: a page of large counts has few of them."""
    bounds = PositionPair(since, min(head.position, since + FEED_POSITIONS))
    lines = select(_m.position, func.count()).where(*_recorded(bounds)).group_by(_m.position).order_by(_m.position)
    total = 0
    for position, count in plain_rows(connection, lines):
        total += count
        if total > FEED_MOVEMENTS:
            return PositionPair(since, max(since + 1, position - 1))
    return bounds


def _recorded(bounds: PositionPair) -> list[ColumnElement[bool]]:
    first, last = (bounds.since + 1) >> t.SEGMENT_POSITIONS_LOG2, bounds.until >> t.SEGMENT_POSITIONS_LOG2
    return [_m.segment.between(first, last), _m.position > bounds.since, _m.position <= bounds.until]


def _effects(connection: Connection, head: Head, bounds: PositionPair) -> dict[int, _Effect]:
    """Every posting of a page with the levels that it can have changed, by position."""
    since, until = bounds
    columns = (_p.position, _p.type, _p.occurred_at, _p.utc_offset_minutes, _p.effective_at, _p.recorded_at, _p.flags)
    rows = select(*columns).where(_p.position > since, _p.position <= until).order_by(_p.position)
    effects = {row[0]: _Effect(_Posting(*row)) for row in plain_rows(connection, rows)}
    moved = select(_m.position, _m.location, _m.sku, _m.account, _m.quantity, _m.on_hand_after)
    for position, location, sku, account, quantity, after in plain_rows(
        connection, moved.where(*_recorded(bounds)).order_by(_m.position, _m.entry)
    ):
        level = effects[position].levels.setdefault((location, sku), _Touched())
        level.on_hand = int(after)
        level.moved += int(quantity) if account == Account.STOCK else 0
    _add_documents(connection, effects, bounds)
    _add_merges(connection, head, effects, bounds)
    return effects


def _add_documents(connection: Connection, effects: Mapping[int, _Effect], bounds: PositionPair) -> None:
    """Add the levels at which something was reserved, released, sent, received or closed."""
    since, until = bounds
    recorded, voided = _d.position.between(since + 1, until), _d.voided_position.between(since + 1, until)
    lines = [line_of(row) for row in plain_rows(connection, select(t.document_line).where(or_(recorded, voided)))]
    lines = [line for line in lines if line.kind is not DocumentKind.RETURN]
    names = {(line.document,) for line in lines if line.document is not None}
    opened: dict[bytes | None, list[DocumentLine]] = defaultdict(list)
    for row in _openers(connection, list(names)):
        opener = line_of(row)
        opened[opener.document].append(opener)
    for line in lines:
        keys = [] if not line.sku else [((line.location, line.sku), True)]
        # Under another SKU than was sent, it may be the same product by a merge.
        keys += [((each.location, each.sku), line.sku in (each.sku, "")) for each in opened[line.document]]
        for position in (line.position, line.voided_position):
            if position is not None and (effect := effects.get(position)) is not None:
                for key, is_named in keys:
                    effect.levels.setdefault(key, _Touched(is_named=False)).is_named |= is_named


def _add_merges(connection: Connection, head: Head, effects: Mapping[int, _Effect], bounds: PositionPair) -> None:
    """Add what merges connect with the levels found so far: a posting may change the other products' figures, too."""
    merges = merges_of(connection, head)
    if not merges:
        return
    connected = families((merge.ended, merge.into) for merge in merges)
    for effect in effects.values():
        for location, sku in list(effect.levels):
            for member in connected.get(sku, ()):
                effect.levels.setdefault((location, member), _Touched(is_named=False))
    changed = [(position, merge) for merge in merges for position in _changed_at(merge, bounds)]
    if changed:
        skus = {sku for _, merge in changed for sku in connected[merge.ended]}
        places = _places_of(connection, skus)
        for position, merge in changed:
            for sku in connected[merge.ended]:
                for location in places:
                    effects[position].levels.setdefault((location, sku), _Touched(is_named=False))


def _changed_at(merge: Merge, bounds: PositionPair) -> Iterable[int]:
    """The positions of a page at which a merge was made or voided."""
    return (at for at in (merge.position, merge.voided_position) if at is not None and bounds[0] < at <= bounds[1])


def _places_of(connection: Connection, skus: Iterable[str]) -> list[str]:
    names = sorted(skus)
    found: set[str] = set()
    for column in (t.level.c, _d):
        rows = plain_rows(connection, select(column.location).where(among(connection, column.sku, names)).distinct())
        found.update(row[0] for row in rows)
    return sorted(found)


class _Teller:
    """Tells the figures of the levels in `effects`."""

    def __init__(self, connection: Connection, head: Head, effects: Iterable[_Effect]) -> None:
        self._connection = connection
        self._head = head
        keys = {key for effect in effects for key in effect.levels}
        merges = merges_of(connection, head)
        self._merged = set(families((merge.ended, merge.into) for merge in merges))
        documented = {(row[0], row[1]) for row in _having_documents(connection, list(keys))}
        self._documented = documented | {key for key in keys if key[1] in self._merged}
        self._known = {row[0] for row in known_locations(connection, [(place,) for place in {key[0] for key in keys}])}

    def changed(self, effect: _Effect) -> ChangedParams:
        """The notification of a position: its levels in the order of (location, sku)."""
        posting, levels = effect.posting, effect.levels
        slow = [key for key, level in levels.items() if self._is_derived(posting, key, level)]
        bounds = PositionPair(posting.position - 1, posting.position)
        between = LevelsBetween(self._connection, self._head, slow, bounds) if slow else None
        figures = self._figures(effect, posting.position)
        before = self._figures(effect, posting.position - 1) if any(not e.is_named for e in levels.values()) else {}
        at = instant(posting.occurred_at, posting.utc_offset_minutes), instant(posting.effective_at)
        items = []
        for key, level in sorted(levels.items()):
            if between is not None and self._is_derived(posting, key, level):
                on_hand = between.at(key, bounds.until)
                delta = on_hand - between.at(key, bounds.since)
            else:
                delta, on_hand = unscaled(level.moved), unscaled(level.on_hand or 0)
            after = figures.get(key, _NOTHING)
            if level.is_named or delta or after[:2] != before.get(key, _NOTHING)[:2]:
                items.append(_change(key, delta, on_hand, after, posting.type, at))
        return ChangedParams(posting.position, items)

    def _is_derived(self, posting: _Posting, key: Key, level: _Touched) -> bool:
        """True where the movements alone do not tell how much the level changed, or there are none."""
        is_late = posting.flags & Flags.BEFORE_COUNT or posting.type not in _ON_THE_SPOT
        return bool(is_late) or key[1] in self._merged or level.on_hand is None

    def _figures(self, effect: _Effect, position: int) -> dict[Key, _Figures]:
        """What is reserved and on the road, as known at a position, of the levels that have documents."""
        keys = [key for key in effect.levels if key in self._documented]
        if not keys:
            return {}
        documents = DocumentsAt(self._connection, keys, None, position)
        now = effect.posting.recorded_at
        return {
            key: _Figures(
                documents.reserved(key, now),
                documents.in_transit(key) if key[0] in self._known else 0,
                documents.next_expiry(key, now),
            )
            for key in keys
        }


_NOTHING = _Figures()


def _change(
    key: Key, delta: Any, on_hand: Any, figures: _Figures, kind: PostingType, at: tuple[Instant, Instant]
) -> StockChange:
    reserved, in_transit = unscaled(figures.reserved), unscaled(figures.in_transit)
    expiry = UNSET if figures.next_expiry == NEVER else instant(figures.next_expiry)
    return StockChange(*key, delta, on_hand, reserved, in_transit, kind, *at, expiry)
