"""How heavy a frame is: what a void reverses, and what a count looks back on, as the ledger tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import UnsetType
from sqlalchemy import Connection

from inventory_server.config import LINE_BYTES_MIN, ROWS_PER_MOVEMENT
from inventory_server.domain import inventory
from inventory_server.domain.requests import Item, Post
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import Key
from inventory_server.store.write.statements import Statements
from pos_client.protocol import gtin


def weigh(connection: Connection, sql: Statements, post: Post) -> list[int]:
    """By how many movements each posting of `post` is heavier than its lines tell."""
    reversed_ = _reversed(connection, sql, post)
    keys = _counted(connection, sql, post)
    behind = _looked_back_on(connection, sql, post, {key for counted in keys for key in counted})
    return [
        reversed_.get(_voided(item), 0) + sum(behind.get(key, 0) for key in counted)
        for item, counted in zip(post.items, keys, strict=True)
    ]


def _voided(item: Item) -> bytes:
    """The id that a posting voids; empty where it voids none."""
    return b"" if item.body is None or isinstance(item.body.voids, UnsetType) else item.body.voids.bytes


def _reversed(connection: Connection, sql: Statements, post: Post) -> Mapping[bytes, int]:
    """The movements of the postings that the frame voids, at most, by id."""
    ids = {id_ for item in post.items if (id_ := _voided(item))}
    positions = {row[1]: row[0] for row in sql.traces(connection, [(id_,) for id_ in ids]) if row[1] is not None}
    rows = sql.body_bytes(connection, [(position,) for position in positions])
    lines = {positions[position]: bytes_ // LINE_BYTES_MIN for position, bytes_ in rows}
    return lines | {item.key: len(item.quantities) for item in post.items if item.key in ids}


def _counted(connection: Connection, sql: Statements, post: Post) -> list[list[Key]]:
    """The (location, sku) that each posting counts."""
    lines = [
        item.body.lines
        if item.body is not None and item.body.type == "count" and isinstance(item.body.lines, list)
        else []
        for item in post.items
    ]
    scanned = {gtin.padded(line.gtin) for each in lines for line in each if isinstance(line.gtin, str)}
    barcodes = sql.barcodes(connection, [(digits,) for digits in scanned])
    meanings = {row[0]: (row[1], row[2]) for row in barcodes}
    counted = []
    for item, own in zip(post.items, lines, strict=True):
        here = post.actor.location
        if item.body is not None and isinstance(item.body.location, str):
            here = item.body.location
        skus = {sku for sku, _ in inventory.lines_of(own, item.quantities if own else [], meanings)}
        counted.append([(here, sku) for sku in skus])
    return counted


def _looked_back_on(connection: Connection, sql: Statements, post: Post, keys: Iterable[Key]) -> dict[Key, int]:
    """How heavy it is to look back on what moved a key since the earliest count of the frame, and on its counts."""
    wanted = list(keys)
    if not wanted:
        return {}
    [head] = sql.head(connection)
    open_segment = head[1] >> t.SEGMENT_POSITIONS_LOG2
    earliest = min(item.occurred_at or 0 for item in post.items if item.body is not None and item.body.type == "count")
    [(since,)] = sql.moved_since(connection, after=earliest)
    first = open_segment if since is None else since
    rows = sql.looked_back_on(connection, wanted, first=first, open=open_segment)
    visited = open_segment - first + 1
    return {(row[0], row[1]): (visited + row[2] + row[3]) // ROWS_PER_MOVEMENT for row in rows}
