"""The merges of one commit: those that stand, and the levels of products that they connect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inventory_server.domain.inventory import Count, Flags, Level, Movement, is_overtaken
from inventory_server.domain.merge import Merge, Merges, Order, families, last_count, on_hand, refusal
from inventory_server.store.ledger.records import Key
from inventory_server.store.write.count_book import CountBook


class MergeBook:
    """What merges do in this commit; `standing` are those at the moment.

    `families` are the products that any merge connects which stands now or may do so later in this commit: all of
    their levels are read beforehand. `carried` is what the posting at hand does to levels of products that it does not
    name, `added` the number of new merges.
    """

    def __init__(self, standing: Merges, levels: dict[Key, Level], counts: CountBook) -> None:
        self.standing = standing
        self.families = standing.families
        self.carried: dict[Key, int] = {}
        self.added = 0
        self._levels = levels
        self._counts = counts
        self._locations: dict[str, set[str]] = {}
        self._known: dict[str, set[Key]] = {}
        self._rows: list[Merge] = []

    # ------------------------------------------------------------------------------ reading first

    def expect(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Expect merges of (ended, into) in this commit."""
        self.families = families([*((each.ended, each.into) for each in self.standing), *pairs])

    def family(self, sku: str) -> frozenset[str]:
        """All SKUs that merges connect with one, or may connect in this commit."""
        return self.families.get(sku) or frozenset((sku,))

    def keys_with(self, location: str, sku: str) -> set[Key]:
        """The (location, sku) of a family at one location."""
        return {(location, each) for each in self.family(sku)}

    def are_at(self, keys: Iterable[Sequence[str]]) -> None:
        """Note (location, sku) with levels of products that this commit merges or separates."""
        for location, sku in keys:
            self._known.setdefault(sku, set()).add((location, sku))
            for member in self.family(sku):
                self._locations.setdefault(member, set()).add(location)

    def keys(self) -> set[Key]:
        """The (location, sku) of all products that this commit merges or separates."""
        return {(location, sku) for sku, locations in self._locations.items() for location in locations}

    def known_keys(self, skus: Iterable[str]) -> set[Key]:
        """The (location, sku) of which HQ knows a level or is told one in this commit, of SKUs that it regroups."""
        return {key for sku in skus for key in self._known.get(sku, ())}

    def read_sums(
        self, keys: Iterable[Key], added: list[tuple[Key, Count]], merges: list[Merge], voided: set[int]
    ) -> None:
        """Read the sums of movements from which the levels of `keys` will be computed.

        `added` are counts and `merges` merges of this commit, as far as they are known; `voided` are the positions that
        it voids.
        """
        after = self.standing
        for merge in merges:
            if refusal(after, merge.ended, merge.into) is None:
                after = after.and_also(merge)
        later = Merges(merge for merge in after if merge.position not in voided)
        asked: set[tuple[Key, Order]] = set()
        for location, family in {(location, self.family(sku)) for location, sku in keys}:
            counts = self._standing_counts(location, family)
            for (_, sku), count in (each for each in added if each[0] in self.keys_with(location, min(family))):
                counts[sku].append(count)
            asked |= _asked(after, location, family, counts)
            left = {sku: [each for each in counts[sku] if each.position not in voided] for sku in family}
            asked |= _asked(later, location, family, left)
        self._counts.read_moved_after(asked)

    # ------------------------------------------------------------------------------ deciding

    def add(self, merge: Merge) -> None:
        """Enter a merge, which stands unless it was voided before it came."""
        self._rows.append(merge)
        self.added += 1
        if merge.stands():
            self.standing = self.standing.and_also(merge)

    def of(self, position: int) -> Merge:
        """The standing merge at a position."""
        return next(each for each in self.standing if each.position == position)

    def void(self, merge: Merge, by: int) -> None:
        """Void a merge by the posting at `by`."""
        self._rows.append(merge._replace(voided_position=by))
        self.standing = self.standing.without(merge.position)

    def move(self, movement: Movement) -> int:
        """Apply a `STOCK` movement of an ended product to the level that it changes; return the resulting flags."""
        level = self._levels[movement.location, movement.sku]
        level.moved += movement.quantity
        level.last_movement_at = max(level.last_movement_at or movement.effective_at, movement.effective_at)
        order: Order = movement.order
        sku = self.standing.name(movement.sku, order)
        while True:
            level = self._levels[movement.location, sku]
            if is_overtaken(level, order):
                return Flags.BEFORE_COUNT
            merge = self.standing.by_ended.get(sku)
            if merge is None:
                level.on_hand += movement.quantity
                if movement.quantity:  # else a count was voided: it told its levels itself
                    self.carry((movement.location, sku), movement.quantity)
                return 0
            sku, order = self.standing.name(merge.into, merge.order), merge.order

    def counted(self, location: str, sku: str, order: Order) -> list[Count]:
        """The standing counts at a location of the product that a SKU means at a place in the order of events."""
        product = self.standing.name(sku, order)
        counts = self._standing_counts(location, self.standing.family(sku))
        return [count for each in counts for count in counts[each] if self.standing.name(each, count.order) == product]

    def product_at(self, location: str, sku: str, order: Order) -> Level:
        """The level of the product that a SKU means at a place in the order of events."""
        return self._levels[location, self.standing.name(sku, order)]

    def rebase(self, location: str, sku: str, own: Iterable[Key]) -> None:
        """Compute the levels of the products that standing merges connect with one at a location anew.

        What changes is carried to all but the keys `own`: their movements tell.
        """
        self._rebase(location, self.standing.family(sku), own)

    def _rebase(self, location: str, family: Iterable[str], own: Iterable[Key] = ()) -> None:
        counts = self._standing_counts(location, family)

        def moved_after(member: str, order: Order | None) -> int:
            key = (location, member)
            return self._levels[key].moved if order is None else self._counts.moved_after(key, order)

        def moved(member: str, begin: Order | None, end: Order | None) -> int:
            return moved_after(member, begin) - (0 if end is None else moved_after(member, end))

        for member in sorted(family):
            level = self._levels[location, member]
            base = last_count(self.standing, member, counts)
            after = on_hand(self.standing, member, counts, moved)
            counted = (None, None) if base is None else base.order
            if (after, counted) != (level.on_hand, (level.counted_at, level.counted_position)):
                if (location, member) not in own:
                    self.carry((location, member), after - level.on_hand)
                level.on_hand = after
                level.counted_at, level.counted_position = counted

    def rebase_all(self, sku: str) -> None:
        """Compute the levels of a family anew, wherever it has any."""
        for location in sorted(self._locations.get(sku, ())):
            self._rebase(location, self.family(sku))

    def levels_of(self, location: str, sku: str) -> dict[Key, Level]:
        """The levels of a family at a location."""
        return {key: self._levels[key] for key in self.keys_with(location, sku)}

    def all_levels_of(self, sku: str) -> dict[str, dict[Key, Level]]:
        """The levels of a family by location, wherever it has any."""
        return {location: self.levels_of(location, sku) for location in self._locations.get(sku, ())}

    def note(self, location: str, sku: str) -> None:
        """Note that a document of a SKU has changed, which is one of the product that it means."""
        if (product := self.standing.name(sku)) != sku:
            self.carry((location, product), 0)

    def carry(self, key: Key, quantity: int) -> None:
        """Note that merges carry `quantity` to a level that the posting does not name, or a document (0)."""
        self.carried[key] = self.carried.get(key, 0) + quantity

    def _standing_counts(self, location: str, family: Iterable[str]) -> dict[str, list[Count]]:
        counts = self._counts.counts
        return {
            sku: [count for count in counts.get((location, sku), ()) if count.voided_position is None] for sku in family
        }

    # ------------------------------------------------------------------------------ writing last

    def rows(self) -> list[tuple[object, ...]]:
        """The rows of `merge` to write."""
        return [tuple(merge) for merge in self._rows]


def _asked(
    merges: Merges, location: str, family: Iterable[str], counts: dict[str, list[Count]]
) -> set[tuple[Key, Order]]:
    """The places up to which movements have to be added up for the levels of a family."""
    asked: set[tuple[Key, Order]] = set()

    def note(sku: str, begin: Order | None, end: Order | None) -> int:
        asked.update(((location, sku), order) for order in (begin, end) if order is not None)
        return 0

    for sku in family:
        on_hand(merges, sku, counts, note)
    return asked
