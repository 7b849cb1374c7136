"""Paging: opaque cursors that name the last key of a page, and page sizes within their limit."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec
from msgspec import UnsetType

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
