"""What the sender asks of the thread that drives it."""

from __future__ import annotations

from typing import NamedTuple

from pos_client.protocol.messages import HelloParams, PingParams, PostParams


class Connect(NamedTuple):
    """Open a new connection, giving up the one there is; then `on_connected` or `on_lost`."""


class SendHello(NamedTuple):
    """Say hello; then `on_hello`, `on_error` or `on_lost`."""

    params: HelloParams


class SendPost(NamedTuple):
    """Post a frame; then `on_post`, `on_error` or `on_lost`."""

    params: PostParams


class SendPing(NamedTuple):
    """Send a heartbeat; then `on_pong`, `on_error` or `on_lost`."""

    params: PingParams


class Idle(NamedTuple):
    """Nothing to do until the timer shows `until`, or something was added to the outbox."""

    until: int


Action = Connect | SendHello | SendPost | SendPing | Idle
