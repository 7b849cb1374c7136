"""Documents with a reference: the digest by which one that was posted twice under two ids is found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from uuid import UUID

import msgspec

from inventory_server.domain.inventory import totals_of
from pos_client.protocol.messages import Body

_encode = msgspec.msgpack.Encoder().encode
_WITH_REFERENCE = ("receipt", "adjustment", "transfer_out", "transfer_in")


def digest_of(body: Body, location: str, lines: Iterable[tuple[str, int]]) -> bytes | None:
    """SHA-256 over what makes two deliveries, transfers or adjustments the same; None for everything else."""
    if body.type not in _WITH_REFERENCE or not isinstance(body.reference, str):
        return None
    other = body.other_location if isinstance(body.other_location, str) else None
    transfer = body.transfer.bytes if isinstance(body.transfer, UUID) else None
    same = (body.type, location, body.reference, other, transfer, sorted(totals_of(lines).items()))
    return hashlib.sha256(_encode(same)).digest()
