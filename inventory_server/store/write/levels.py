"""What a posting does to levels: to those of the products that it names, and through merges to those of others."""

from __future__ import annotations

from collections.abc import Callable

from inventory_server.domain import inventory
from inventory_server.domain.inventory import Account, Count, Flags, Movement
from inventory_server.domain.limits import FIGURE_MAX, FIGURE_NEAR_MAX
from inventory_server.domain.merge import Merge
from inventory_server.store.ledger.records import Key
from inventory_server.store.write.judged_posting import JudgedPosting, Refusal
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol.units import SECOND_MICROS, unscaled

_RECOUNT = 12 * 3_600 * SECOND_MICROS
"""Within this time (µs) a count by another terminal is taken for a second count of the same goods."""
TOO_MUCH = f"a figure is at most {unscaled(FIGURE_MAX)}"


def on_hand_of(working_set: WorkingSet, moved: list[Movement]) -> dict[Key, int]:
    """What is on hand of all that `moved` moves. Refusal if a figure could leave 64 bit."""
    before: dict[Key, int] = {}
    levels, families = working_set.levels, working_set.merging.families
    is_small = True
    for movement in moved:
        key = (movement.location, movement.sku)
        level = levels[key]
        before[key] = level.on_hand
        if abs(level.on_hand) + abs(level.moved) > FIGURE_NEAR_MAX or movement.sku in families:
            is_small = False
    return before if is_small else _on_hand_of_large(working_set, moved)


def _on_hand_of_large(working_set: WorkingSet, moved: list[Movement]) -> dict[Key, int]:
    before: dict[Key, int] = {}
    most: dict[Key, int] = {}
    families = working_set.merging.families
    for movement in moved:
        key = (movement.location, movement.sku)
        level = working_set.levels[key]
        before[key] = level.on_hand
        reach = abs(level.on_hand) + abs(level.moved)
        if movement.sku in families:
            levels = working_set.merging.levels_of(*key)
            before |= {each: level.on_hand for each, level in levels.items()}
            reach = sum(abs(each.on_hand) + abs(each.moved) for each in levels.values())
            key = min(levels)
        most[key] = most.get(key, reach) + abs(movement.quantity)
        if most[key] > FIGURE_MAX:
            raise Refusal(
                "too_much",
                f"{movement.sku!r} at {movement.location!r}: {unscaled(level.on_hand)} on hand, and this posting moves "
                f"{unscaled(movement.quantity)}; {TOO_MUCH}.",
            )
    return before


def negative(working_set: WorkingSet, before: dict[Key, int]) -> int:
    """`NEGATIVE` if a level is lower than before and below zero."""
    levels = working_set.levels
    for key, was in before.items():
        if (on_hand := levels[key].on_hand) < 0 and on_hand < was:
            return Flags.NEGATIVE
    return 0


def apply(working_set: WorkingSet, entry: JudgedPosting, moved: list[Movement], is_voided: bool) -> int:
    """Apply every movement to its level; return the resulting flags."""
    flags = 0
    levels, counts, ended = working_set.levels, working_set.counts, working_set.merging.standing.by_ended
    if entry.body.type == "count":
        # Lines of merged products are one figure: all of them are there before any is applied.
        _note_counts(working_set, entry, moved, is_voided)
    for movement in moved:
        key = (movement.location, movement.sku)
        if movement.account is Account.COUNT:
            flags |= 0 if is_voided else _count(working_set, entry, movement)
        else:
            if counts.counts:
                counts.note(key, movement)
            if ended and movement.sku in ended:
                flags |= working_set.merging.move(movement)
            else:
                flags |= inventory.move(levels[key], movement)
        working_set.add_movement(key, movement)
        if ended:
            working_set.touch_level(key)
            working_set.add_carried(movement.order)
    return flags


def _note_counts(working_set: WorkingSet, entry: JudgedPosting, moved: list[Movement], is_voided: bool) -> None:
    voided = entry.position if is_voided else None
    for each in moved:
        if each.account is Account.COUNT:
            counted = Count(*entry.order, each.quantity, voided, entry.speaker.terminal)
            working_set.counts.add((each.location, each.sku), counted)


def _count(working_set: WorkingSet, entry: JudgedPosting, movement: Movement) -> int:
    """Base a level on a count that has been noted; return the resulting flags."""
    key, book, merging = (movement.location, movement.sku), working_set.counts, working_set.merging
    level = merging.product_at(*key, entry.order)
    others = [each for each in merging.counted(*key, entry.order) if each.terminal != entry.speaker.terminal]
    is_again = any(abs(each.effective_at - entry.effective.at) <= _RECOUNT for each in others)
    flags = Flags.RECOUNTED if is_again else 0
    if inventory.is_overtaken(level, entry.order):
        return flags | Flags.BEFORE_COUNT
    if movement.sku in merging.standing.families:
        merging.rebase(*key, own=[key])
    else:
        counted = Count(*entry.order, movement.quantity)
        inventory.rest_on(level, counted, book.moved_after(key, counted.order))
    return flags


def void_count(working_set: WorkingSet, movement: Movement, position: int, own: list[Key]) -> None:
    """Void the figure of one line; `own` are the keys of all of them."""
    key, book = (movement.location, movement.sku), working_set.counts
    level = working_set.levels[key]
    voided = next(count for count in book.counts[key] if count.position == position)
    book.add(key, voided._replace(voided_position=working_set.position))
    if movement.sku in working_set.merging.standing.families:
        working_set.merging.rebase(*key, own)
    elif level.counted_position == position:
        base = book.base(key)
        inventory.rest_on(level, base, book.moved_after(key, base.order) if base else level.moved)


def regroup(working_set: WorkingSet, merged: Merge, change: Callable[[], None]) -> dict[Key, int]:
    """Change the merges that stand by `merged`, and with it the levels and documents of its products.

    Returns what was on hand before.
    """
    merging, documents = working_set.merging, working_set.documents
    family = merging.family(merged.ended)
    before = {
        key: level.on_hand for levels in merging.all_levels_of(merged.ended).values() for key, level in levels.items()
    }
    keys = documents.keys_of(family)
    change()
    merging.rebase_all(merged.ended)
    for key in sorted(keys | documents.keys_of(family)):
        merging.carry(key, 0)
    working_set.add_carried(merged.order)
    for key in merging.known_keys(family):
        working_set.touch_level(key)
    return before
