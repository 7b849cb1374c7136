"""Postings of receipts, whose ids are the same in every run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from uuid import UUID

from msgspec import UNSET

from pos_client.files.baskets import FileBasket, sort_key
from pos_client.files.body_spool import BodySpool
from pos_client.files.limits import PART_LINES
from pos_client.files.packed_rows import RowEntry
from pos_client.protocol.messages import Body
from pos_client.protocol.units import instant
from pos_client.protocol.uuid7 import uuid7
from pos_client.protocol.wire import encode_body


@dataclass(frozen=True, slots=True)
class FilePosting:
    """One posting, ready to send: `key` are the bytes of its id, its body of `size` bytes is in `spool`.

    `occurred_at` is in microseconds since 1970.
    """

    key: bytes
    occurred_at: int
    spool: BodySpool
    at: int
    size: int
    basket: str
    lines: int

    @property
    def id(self) -> UUID:
        """Its id."""
        return UUID(bytes=self.key)

    @property
    def body(self) -> bytes:
        """The body, from the spool."""
        return self.spool.read(self.at, self.size)


@dataclass(slots=True)
class FileTill:
    """The postings of one (location, lane), in the order they occurred; a simulated till sends them."""

    location: str
    lane: str
    postings: list[FilePosting] = field(default_factory=list)


def postings_of(
    basket: FileBasket, source: str, key: Sequence[str], sorted_at: int, spool: BodySpool
) -> Iterator[FilePosting]:
    """The posting of a receipt, or several if it is long, each of `PART_LINES` lines.

    `key` is what identifies it, `sorted_at` the instant by which its id is sorted; bodies are kept in `spool`.
    """
    _sort(basket.lines)
    lines = [line for _, line, _ in basket.lines]
    occurred_at, offset_minutes = basket.first
    for part, first in enumerate(range(0, len(lines), PART_LINES)):
        chosen = lines[first : first + PART_LINES]
        body = Body(
            type=basket.type,
            occurred_at=instant(occurred_at, offset_minutes),
            lines=chosen,
            reference=basket.reference,
            other_location=UNSET if basket.other_location is None else basket.other_location,
        )
        encoded = encode_body(body)
        yield FilePosting(
            key=posting_id(source, key, sorted_at, part).bytes,
            occurred_at=occurred_at,
            spool=spool,
            at=spool.add(encoded),
            size=len(encoded),
            basket=basket.name,
            lines=len(chosen),
        )


def _sort(lines: list[RowEntry]) -> None:
    """Sort lines by `sort_key`; where each has an order of its own, that decides alone, at a tenth of the time."""
    orders = {order for order, _, _ in lines}
    lines.sort(key=itemgetter(0) if len(orders) == len(lines) else sort_key)


def posting_id(source: str, key: Sequence[str], sorted_at: int, part: int = 0) -> UUID:
    """The UUID of a basket or of a part of one: the milliseconds of an instant, then a hash of its natural key.

    Ids of an instant that rises reach HQ's index nearly in order. The content of a basket is not part of its id: two
    baskets with the same goods are two sales, and a basket read twice is one.
    """
    name = json.dumps([source, *key, part] if part else [source, *key], ensure_ascii=False).encode()
    digest = hashlib.sha256(name).digest()
    tail = int.from_bytes(digest[:2]) >> 4 << 62 | int.from_bytes(digest[2:10]) & ((1 << 62) - 1)
    return uuid7(min(max(sorted_at // 1000, 0), (1 << 48) - 1), tail)
