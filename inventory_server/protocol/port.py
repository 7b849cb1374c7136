"""Every method of the tills' port, among them `watch` and `unwatch`, which the session remembers."""

from __future__ import annotations

from inventory_server.domain.answers import FeedStart
from inventory_server.domain.requests import Watch
from inventory_server.protocol.methods import QUESTIONS, SPEAKING, MethodBinding, Ready, SessionContext, actor_of
from pos_client.protocol.feed import WatchParams, WatchResult
from pos_client.protocol.messages import NoParams


def _watch(talk: SessionContext, params: WatchParams) -> Watch:
    return Watch(params, actor=actor_of(talk))


def _watching(talk: SessionContext, start: FeedStart) -> WatchResult:
    talk.watching = start
    return WatchResult(start.position)


def _unwatch(talk: SessionContext, _: NoParams) -> Ready:
    talk.watching = None
    return Ready(NoParams())


TILL_METHODS: dict[str, MethodBinding] = {
    **SPEAKING,
    **QUESTIONS,
    "watch": MethodBinding(Watch, _watch, _watching),
    "unwatch": MethodBinding(None, _unwatch),
}
"""Every method of the tills' port."""
