"""The notifications of the feed, as they are sent: one line each."""

from __future__ import annotations

from msgspec import Struct

from pos_client.protocol.base import Message
from pos_client.protocol.feed import ChangedParams, LaggingParams
from pos_client.protocol.wire import encode


class Notification(Struct, frozen=True, kw_only=True):
    """A JSON-RPC notification."""

    jsonrpc: str = "2.0"
    method: str
    params: Message


def changed(params: ChangedParams) -> bytes:
    """The line of a position."""
    return encode(Notification(method="changed", params=params))


def lagging(resume_from: int) -> bytes:
    """The line that ends a watch: what was to be told next is in the archive, up to this position."""
    return encode(Notification(method="lagging", params=LaggingParams(resume_from)))
