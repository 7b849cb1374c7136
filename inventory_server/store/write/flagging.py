"""Which causes the flags of a posting add to: what a person has to look into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from inventory_server.domain.exceptions import FlaggedPosting, named_by, waiting_flags
from inventory_server.store.ledger.records import Key
from inventory_server.store.write.judged_posting import JudgedPosting
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol.fields import Flag


def add_causes(
    working_set: WorkingSet, entry: JudgedPosting, location: str, flags: int, before: Mapping[Key, int]
) -> None:
    """Add a posting to the causes of its `flags`; `before` is what was on hand of all that it moves."""
    terminal, (effective_at, position) = entry.speaker.terminal, entry.order
    names = named_by(entry.body)
    working_set.add_flagged(
        FlaggedPosting(number, place, subject, position, effective_at, names if flag == "orphan" else None)
        for number, flag in waiting_flags(flags)
        for place, subject in dict.fromkeys(_subjects(working_set, entry, flag, before) or [(location, terminal)])
    )


def _subjects(
    working_set: WorkingSet, entry: JudgedPosting, flag: Flag, before: Mapping[Key, int]
) -> Iterable[tuple[str, str]] | None:
    """The (location, subject) of the causes of `flag`; None: its terminal, where it posted.

    Which products of a transfer were `over_received` only its documents tell, now as later: all are kept.
    """
    terminal, place, skus = entry.speaker.terminal, entry.location, [sku for sku, _ in entry.lines]
    if flag == "unlisted_product":
        return [(place, sku) for sku in skus if not working_set.is_listed(sku)]
    if flag == "negative_stock":
        return [key for key, was in before.items() if working_set.levels[key].on_hand < min(was, 0)]
    if flag == "over_received":
        return [(place, sku) for sku in skus] or list(before)
    if flag == "unknown_location":
        return [(each, terminal) for each in entry.places if not working_set.is_known_location(each)]
    return None
