"""`Posting`, the handle of a stored posting, and the registry that tells handles their results."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from uuid import UUID

from pos_client.protocol.messages import PostingResult
from pos_client.till.outbox_records import Found, State

log = logging.getLogger("tillwire.till")

OnResult = Callable[[PostingResult], None]


class Posting:
    """A posting that is durable on the till and on its way to HQ."""

    def __init__(self, posting_id: UUID, reference: str | None, registry: PendingRegistry) -> None:
        self.id = posting_id
        self.reference = reference
        self.result: PostingResult | None = None
        """HQ's answer; None while it is pending."""
        self._registry = registry

    @property
    def state(self) -> State:
        """`pending`, `done` (HQ has it) or `parked` (HQ refused it for good: `result.reason` says why)."""
        if self.result is None:
            return "pending"
        return "done" if self.result.status in ("posted", "duplicate") else "parked"

    def wait(self, timeout: float | None = None) -> PostingResult:
        """HQ's answer; TimeoutError where there is none within `timeout` seconds, and the posting stays pending."""
        return self._registry.wait(self, timeout)

    def __repr__(self) -> str:
        return f"Posting({self.id}, {self.reference!r}, {self.state})"


class PendingRegistry:
    """The handles that still wait for a result. Any thread may use it."""

    def __init__(self, on_result: OnResult | None) -> None:
        self._on_result = on_result
        self._changed = threading.Condition()  # guards all fields below and the handles' results
        self._waiting: weakref.WeakValueDictionary[UUID, Posting] = weakref.WeakValueDictionary()
        self._callbacks: dict[UUID, OnResult] = {}

    def expect(self, posting_id: UUID, reference: str | None, on_result: OnResult | None) -> Posting:
        """A handle for a posting that is about to be stored."""
        with self._changed:
            posting = self._waiting.get(posting_id) or Posting(posting_id, reference, self)
            self._waiting[posting_id] = posting
            if on_result is not None:
                self._callbacks[posting_id] = on_result
        return posting

    def forget(self, posting: Posting) -> None:
        """It was not stored after all."""
        with self._changed:
            self._waiting.pop(posting.id, None)
            self._callbacks.pop(posting.id, None)

    def resolve(self, result: PostingResult) -> None:
        """A posting has its result: wake who waits, call who asked to be called."""
        with self._changed:
            posting = self._waiting.pop(result.id, None)
            callback = self._callbacks.pop(result.id, None)
            if posting is not None:
                posting.result = result
            self._changed.notify_all()
        for each in (callback, self._on_result):
            if each is not None:
                _call(each, result)

    def refresh(self, find: Callable[[UUID], Found | None]) -> None:
        """Resolve what another process has delivered meanwhile."""
        with self._changed:
            waiting = {*self._waiting.keys(), *self._callbacks}
        for posting_id in waiting:
            found = find(posting_id)
            if found is not None and found.result is not None:
                self.resolve(found.result)

    def wait(self, posting: Posting, timeout: float | None) -> PostingResult:
        """Block until `posting` has its result."""
        with self._changed:
            self._changed.wait_for(lambda: posting.result is not None, timeout)
            if posting.result is None:
                raise TimeoutError(f"HQ has not answered {posting.id} within {timeout} s; it stays pending.")
            return posting.result

    def pause(self, seconds: float) -> None:
        """Wait until some posting has its result, at most `seconds`."""
        with self._changed:
            self._changed.wait(seconds)


def _call(callback: OnResult, result: PostingResult) -> None:
    try:
        callback(result)
    except Exception:
        log.exception("event=callback_failed id=%s", result.id)
