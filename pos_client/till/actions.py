"""Actions: what the sender asks the thread that drives it to do next."""

from __future__ import annotations

from typing import NamedTuple

from pos_client.protocol.messages import HelloParams, PingParams, PostParams


class Connect(NamedTuple):
    """Close the connection, if any, and open a new one; then call `on_connected` or `on_lost`."""


class SendHello(NamedTuple):
    """Send `hello`; then call `on_hello`, `on_error` or `on_lost`."""

    params: HelloParams


class SendPost(NamedTuple):
    """Send `post`; then call `on_post`, `on_error` or `on_lost`."""

    params: PostParams


class SendPing(NamedTuple):
    """Send `ping`; then call `on_pong`, `on_error` or `on_lost`."""

    params: PingParams


class Idle(NamedTuple):
    """Nothing to do before the timer reaches `until`, unless something is added to the outbox."""

    until: int


Action = Connect | SendHello | SendPost | SendPing | Idle
