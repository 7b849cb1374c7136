"""PostgreSQL partitions of a ledger: ranges of positions, which are spans of time, as positions follow recording.

`posting` is partitioned by position and `movement` by segment, at the same boundaries. The last partition has no upper
bound, so that every posting fits somewhere. It should stay empty: then splitting it never has to scan rows.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from sqlalchemy import Connection, text

from inventory_server.config import PARTITION_LOCK_MS, PARTITIONS_AHEAD
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of

PARTITIONED = (t.movement, t.posting)
"""In the order in which readers lock them, to avoid deadlock."""

CUT_BY = {t.posting.name: "position", t.movement.name: "segment"}
"""The column by which each table is partitioned."""
_SEGMENT_LOG2 = t.SEGMENT_POSITIONS_LOG2
_KINDS = """
    SELECT relname, coalesce(pg_get_partkeydef(oid), 'nothing') FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:tables)
"""
_PARTS = """
    SELECT parent.relname, part.relname, pg_get_expr(part.relpartbound, part.oid)
    FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
    WHERE parent.relnamespace = current_schema()::regnamespace AND parent.relname = ANY(:tables)
"""
_BOUNDS = re.compile(r"FOR VALUES FROM \('?(?P<first>\d+)'?\) TO \((?:'?(?P<end>\d+)'?|MAXVALUE)\)")


class Partition(NamedTuple):
    """The positions from `first` up to but excluding `end`; None: no upper bound."""

    first: int
    end: int | None

    def name(self, table: str) -> str:
        """The name of this partition of `table`."""
        return f"{table}_{self.first}"

    def values(self, table: str) -> str:
        """Its bounds in `table`, in PostgreSQL's syntax."""
        end = "MAXVALUE" if self.end is None else bound(table, self.end)
        return f"FROM ({bound(table, self.first)}) TO ({end})"


def bound(table: str, position: int) -> int:
    """`position` in terms of the column by which `table` is partitioned."""
    return position if table == t.posting.name else position >> _SEGMENT_LOG2


def partitions(connection: Connection) -> list[Partition]:
    """All partitions by position; the last has no upper bound."""
    return _ranges(connection, t.posting.name)


def names(connection: Connection) -> set[str]:
    """The names of all partition tables."""
    return {name for _, name, _ in _parts(connection)}


def difference(connection: Connection) -> str | None:
    """In words, how the partitions differ from what is required: same boundaries in both tables, no gap."""
    wanted = {table.name: table.dialect_options["postgresql"]["partition_by"] for table in PARTITIONED}
    for table, found in connection.execute(text(_KINDS), {"tables": list(wanted)}):
        if found.replace('"', "") != wanted[table]:
            return f"{table} is partitioned by {found}"
    found = _ranges(connection, t.posting.name)
    if found != _ranges(connection, t.movement.name):
        return f"the partitions of {t.movement.name} are not those of {t.posting.name}"
    return _gap(found, head_of(connection).archived_position + 1)


def _gap(found: list[Partition], first: int) -> str | None:
    """In words, the first position from `first` on that no partition covers."""
    for each in found:
        if each.end is None and each.first <= first:
            return None
        if each.end is not None and each.first <= first < each.end:
            first = each.end
    return f"there is no partition from position {first} on"


def warning(connection: Connection) -> str | None:
    """In words, that partitions are running out; None while there are enough."""
    found, at = partitions(connection), head_of(connection).position
    left = sum(each.first > at for each in found[:-1])
    if left:
        return None
    where = "the last partition" if at < found[-1].first else "the open-ended partition"
    return f"the ledger is in {where}; run: inventory-server db partition --ahead {PARTITIONS_AHEAD}"


def extend(connection: Connection, ahead: int, positions: int, upto: int = 0) -> list[Partition]:
    """Make sure that `ahead` empty partitions of `positions` each follow the current one; return the new ones.

    The caller holds the ledger. `upto` is the position that the ledger is about to reach (for a copy). PostgreSQL scans
    the rows that are already in the open-ended partition once.
    """
    found, at = partitions(connection), head_of(connection).position
    upto, last = max(at, upto), found[-1]
    ready = sum(each.first > upto for each in found[:-1])
    ends = [last.first]
    while ready < ahead or ends[-1] <= upto:
        ready += ends[-1] > upto
        filled = len(ends) == 1 and at >= last.first
        parts = (at - last.first) // positions + 1 if filled else 1
        ends.append(ends[-1] + parts * positions)
    made = [Partition(first, end) for first, end in itertools.pairwise(ends)]
    if made:
        lock(connection)
        for table in (each.name for each in PARTITIONED):
            _split(connection, table, last, made)
    return made


def lock(connection: Connection) -> None:
    """Lock the partitioned tables exclusively until the transaction ends."""
    _execute(connection, f"SET LOCAL lock_timeout = {PARTITION_LOCK_MS}")
    for table in PARTITIONED:
        _execute(connection, f"LOCK TABLE ONLY {table.name} IN ACCESS EXCLUSIVE MODE")


def _split(connection: Connection, table: str, last: Partition, made: list[Partition]) -> None:
    _execute(connection, f"ALTER TABLE {table} DETACH PARTITION {last.name(table)}")
    _execute(connection, f"ALTER TABLE {table} ATTACH PARTITION {last.name(table)} FOR VALUES {made[0].values(table)}")
    end = made[-1].end
    assert end is not None, "only the last partition is open-ended"
    for each in (*made[1:], Partition(end, None)):
        _execute(connection, f"CREATE TABLE {each.name(table)} PARTITION OF {table} FOR VALUES {each.values(table)}")


def _execute(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def _parts(connection: Connection) -> list[tuple[str, str, str]]:
    found = connection.execute(text(_PARTS), {"tables": [table.name for table in PARTITIONED]})
    return [(parent, name, bounds) for parent, name, bounds in found]


def _ranges(connection: Connection, table: str) -> list[Partition]:
    shift = 0 if table == t.posting.name else _SEGMENT_LOG2
    found = []
    for parent, _, bounds in _parts(connection):
        if parent == table and (match := _BOUNDS.fullmatch(bounds)):
            end = match["end"]
            found.append(Partition(int(match["first"]) << shift, None if end is None else int(end) << shift))
    return sorted(found, key=lambda each: each.first)
