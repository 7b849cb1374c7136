"""Every method of the tills' port, among them `watch` and `unwatch`, which the session remembers."""

from __future__ import annotations

from msgspec import Raw

from inventory_server.domain.answers import FeedStart
from inventory_server.domain.requests import StartFeed
from inventory_server.protocol.binding import MethodBinding, Ready, SessionContext, actor_of
from inventory_server.protocol.enrolment import ENROLMENT
from inventory_server.protocol.methods import QUESTIONS, SPEAKING
from pos_client.protocol.feed import WatchParams, WatchResult
from pos_client.protocol.messages import NoParams


def _watch(talk: SessionContext, params: WatchParams) -> StartFeed:
    return StartFeed(params, actor=actor_of(talk))


def _watching(talk: SessionContext, start: FeedStart) -> WatchResult:
    talk.watching = start
    return WatchResult(start.position)


def _unwatch(talk: SessionContext, _: NoParams) -> Ready:
    talk.watching = None
    return Ready(NoParams())


def _discover(talk: SessionContext, _: NoParams) -> Ready:
    return Ready(Raw(talk.describe()))


TILL_METHODS: dict[str, MethodBinding] = {
    **ENROLMENT,
    **SPEAKING,
    **QUESTIONS,
    "watch": MethodBinding(StartFeed, _watch, _watching),
    "unwatch": MethodBinding(None, _unwatch),
    "rpc.discover": MethodBinding(None, _discover),
}
"""Every method of the tills' port."""
