"""Paging: opaque cursors that name the last key of a page, and page sizes within their limit."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeVar

import msgspec
from msgspec import UnsetType

from inventory_server.config import ANSWER_BYTES_MAX, ANSWER_ITEM_BYTES
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.limits import VALUE_LENGTH_MAX

K = TypeVar("K")


def encode_cursor(*key: str | int) -> str:
    """A cursor after the item with this key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str | UnsetType, kind: type[K]) -> K | None:
    """The key in a cursor, None for the first page; RequestError for an invalid cursor."""
    if isinstance(cursor, UnsetType):
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        expected, came = "the cursor of the page before", ascii(cursor[:VALUE_LENGTH_MAX])
        raise RequestError(
            ErrorCode.invalid_params,
            f"$.cursor: expected {expected}, got {came}; omit it to start at the first page.",
            path="$.cursor",
            expected=expected,
            came=came,
        ) from error


def fitting(items: Iterable[Sequence[str | None]]) -> int:
    """How many of the first items, given by the texts in each, fit into a page of `ANSWER_BYTES_MAX`; at least one."""
    weights = (ANSWER_ITEM_BYTES + sum(_bytes_of(text) for text in texts if text is not None) for texts in items)
    return max(1, sum(total <= ANSWER_BYTES_MAX for total in accumulate(weights)))


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def page_size(limit: int | UnsetType, default: int, largest: int) -> int:
    """The number of items on a page; RequestError above the limit."""
    if isinstance(limit, UnsetType):
        return default
    if limit > largest:
        raise RequestError(
            ErrorCode.invalid_params,
            f"$.limit: expected at most {largest}, got {limit}; ask for the next page with its cursor.",
            path="$.limit",
            expected=f"at most {largest}",
            came=str(limit),
        )
    return limit
