"""The first bytes of a connection tell its framing: JSON lines, jsocket frames, or TLS."""

from __future__ import annotations

from inventory_server.jsonserver.limits import NetworkLimits
from pos_client.protocol.framing import (
    Framer,
    FramingError,
    JsocketFramer,
    LineFramer,
    is_jsocket,
    may_become_jsocket,
)

_TLS_HANDSHAKE = 0x16


class TlsRequired(FramingError):
    """A client speaks plain text where this server speaks TLS only."""


class TlsNotServed(FramingError):
    """A client opened the connection with a TLS handshake, which this server does not speak."""


def is_tls(first: bytes) -> bool:
    """True where the first byte of a connection is that of a TLS handshake."""
    return first == bytes([_TLS_HANDSHAKE])


def shows_framing(first: bytes) -> bool:
    """True once `first`, the first bytes of a connection, are enough for `choose_framer`."""
    return not may_become_jsocket(first)


def choose_framer(first: bytes, limits: NetworkLimits) -> Framer:
    """The framer for a connection that begins with `first`; TlsNotServed for a TLS handshake."""
    if first[:1] == bytes([_TLS_HANDSHAKE]):
        raise TlsNotServed("expected JSON, got a TLS handshake: this server speaks no TLS; connect without it")
    if limits.jsocket_frames and is_jsocket(first):
        return JsocketFramer(limits.max_frame_bytes)
    return LineFramer(limits.max_frame_bytes)
