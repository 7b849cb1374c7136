"""What the archive keeps of products that merges connect: sums of movements up to their merges and counts."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from inventory_server.domain.merge import Order, families
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.timetravel import Cut, counts_of


def merged_places(connection: Connection, cut: Cut, since: int) -> Iterator[tuple[Key, set[Order]]]:
    """The places before `cut` up to which levels of merged products are added up, by the (location, sku) of the sums.

    These are the merges that stand (a void is for good) and the counts of each family of products; only of families
    that were merged or counted after the position `since`.
    """
    merges = [merge for merge in merges_of(connection, head_of(connection)) if merge.stands()]
    connected = families((merge.ended, merge.into) for merge in merges)
    for skus in sorted({tuple(sorted(family)) for family in connected.values()}):
        own = [merge for merge in merges if merge.ended in skus]
        places = {merge.order for merge in own}
        levels = select(t.level.c.location).where(t.level.c.sku.in_(skus)).distinct().order_by(t.level.c.location)
        for location in connection.execute(levels).scalars().all():
            counts = [count for sku in skus for count in counts_of(connection, location, sku)]
            here = {order for order in places.union(count.order for count in counts) if order[0] < cut.closed_at}
            newest = max(each.position for each in own)
            if max([newest, *(count.position for count in counts)]) > since:
                yield from (((location, sku), here) for sku in skus)
