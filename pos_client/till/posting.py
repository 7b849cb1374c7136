"""`Posting`, the handle of a stored posting, and the registry that tells handles their results."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from uuid import UUID

from pos_client.protocol.errors import HqRefused
from pos_client.protocol.messages import PostingResult
from pos_client.till.outbox_records import Found, State
from pos_client.till.posting_details import check_timeout

log = logging.getLogger("tillwire.till")

OnResult = Callable[[PostingResult], None]


class Posting:
    """The handle of a posting that is stored in the outbox and will be delivered to HQ."""

    def __init__(self, posting_id: UUID, reference: str | None, registry: PendingRegistry) -> None:
        self.id = posting_id
        self.reference = reference
        self.result: PostingResult | None = None
        """HQ's answer; None while the posting is pending."""
        self._registry = registry

    @property
    def state(self) -> State:
        """`pending`, `done` (HQ has it) or `parked` (HQ rejected it: `result.reason` says why)."""
        if self.result is None:
            return "pending"
        return "done" if self.result.status in ("posted", "duplicate") else "parked"

    def wait(self, timeout: float | None = None) -> PostingResult:
        """HQ's answer; TimeoutError after `timeout` seconds without one: the posting stays pending.

        HqRefused, at once, if HQ refuses the till: the posting stays pending, too.
        """
        return self._registry.wait(self, timeout)

    def future(self) -> Future[PostingResult]:
        """HQ's answer as a future, which ends with HqRefused as soon as HQ refuses the till."""
        return self._registry.future(self)

    def __repr__(self) -> str:
        return f"Posting({self.id}, {self.reference!r}, {self.state})"


class PendingRegistry:
    """The handles that still wait for a result. Thread-safe."""

    def __init__(self, on_result: OnResult | None) -> None:
        self._on_result = on_result
        self._changed = threading.Condition()  # guards all fields below and the handles' `result`
        self._waiting: weakref.WeakValueDictionary[UUID, Posting] = weakref.WeakValueDictionary()
        self._callbacks: dict[UUID, OnResult] = {}
        self._futures: dict[UUID, list[Future[PostingResult]]] = {}
        self._refusal: HqRefused | None = None

    @contextmanager
    def expecting(self, posting_id: UUID, reference: str | None, on_result: OnResult | None) -> Iterator[Posting]:
        """The handle of a posting that the `with` block stores; if it raises, all is as it was before."""
        with self._changed:
            known, former = self._waiting.get(posting_id), self._callbacks.get(posting_id)
            posting = known or Posting(posting_id, reference, self)
            self._waiting[posting_id] = posting
            self._set_callback(posting_id, on_result or former)
        try:
            yield posting
        except BaseException:
            with self._changed:
                if known is None:
                    self._waiting.pop(posting_id, None)
                self._set_callback(posting_id, former)
            raise

    def _set_callback(self, posting_id: UUID, callback: OnResult | None) -> None:
        if callback is not None:
            self._callbacks[posting_id] = callback
        else:
            self._callbacks.pop(posting_id, None)

    def resolve(self, result: PostingResult) -> None:
        """Set a posting's result: wake the waiting threads, then call the callbacks."""
        with self._changed:
            posting = self._waiting.pop(result.id, None)
            callback = self._callbacks.pop(result.id, None)
            if posting is not None:
                posting.result = result
            futures = self._futures.pop(result.id, [])
            self._changed.notify_all()
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_result(result)
        for on_result in (callback, self._on_result):
            if on_result is not None:
                _call(on_result, result)

    def refresh(self, find: Callable[[UUID], Found | None]) -> None:
        """Resolve the postings that another process has delivered."""
        with self._changed:
            waiting = {*self._waiting.keys(), *self._callbacks}
        for posting_id in waiting:
            found = find(posting_id)
            if found is not None and found.result is not None:
                self.resolve(found.result)

    def note_refusal(self, refusal: HqRefused | None) -> None:
        """HQ refuses the till: wake the waiting threads. None: it does not, or no longer."""
        with self._changed:
            self._refusal = refusal
            self._changed.notify_all()
            ended: list[Future[PostingResult]] = []
            if refusal is not None:
                ended = [future for futures in self._futures.values() for future in futures]
                self._futures.clear()
        for future in ended:
            if refusal is not None and future.set_running_or_notify_cancel():
                future.set_exception(HqRefused.of(refusal))

    def future(self, posting: Posting) -> Future[PostingResult]:
        """A future that ends as `wait` does, without a limit in time."""
        future: Future[PostingResult] = Future()
        with self._changed:
            result, refusal = posting.result, self._refusal
            if result is None and refusal is None:
                self._futures.setdefault(posting.id, []).append(future)
        if result is not None:
            future.set_result(result)
        elif refusal is not None:
            future.set_exception(HqRefused.of(refusal))
        else:
            future.add_done_callback(lambda done: self._drop(posting.id, done))
        return future

    def _drop(self, posting_id: UUID, future: Future[PostingResult]) -> None:
        """Forget a future that was cancelled."""
        with self._changed:
            left = [each for each in self._futures.pop(posting_id, []) if each is not future]
            if left:
                self._futures[posting_id] = left

    def wait(self, posting: Posting, timeout: float | None) -> PostingResult:
        """Block until `posting` has its result; HqRefused if HQ refuses the till, else TimeoutError after `timeout`."""
        if timeout is not None:
            check_timeout(timeout)
        with self._changed:
            self._changed.wait_for(lambda: posting.result is not None or self._refusal is not None, timeout)
            if posting.result is not None:
                return posting.result
            if self._refusal is not None:
                raise HqRefused.of(self._refusal)
            raise TimeoutError(f"No answer from HQ for {posting.id} within {timeout} s; the posting stays pending.")

    def pause(self, seconds: float) -> None:
        """Wait until any posting gets its result, at most `seconds`; HqRefused if HQ refuses the till."""
        with self._changed:
            if self._refusal is None:
                self._changed.wait(seconds)
            if self._refusal is not None:
                raise HqRefused.of(self._refusal)


def _call(callback: OnResult, result: PostingResult) -> None:
    try:
        callback(result)
    except Exception:  # the till program's own code: a defect there must not stop delivery
        log.exception("event=on_result_failed id=%s", result.id)
