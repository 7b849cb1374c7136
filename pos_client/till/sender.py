"""The sender: a state machine that drains the outbox. No threads, sockets or sleep.

Its driver calls `next_action()`, executes the action, reports the outcome with one of the `on_…` methods, and repeats.
`sender_thread.py` drives it over a real connection, a simulator on a virtual clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from msgspec import UNSET, Raw, UnsetType

from pos_client.protocol.errors import ErrorCode, HqRefused, OutboxError, RequestError
from pos_client.protocol.limits import ENVELOPE_BYTES
from pos_client.protocol.messages import (
    PROTOCOL_VERSION,
    TICK_CLOCK,
    ByeParams,
    HelloParams,
    HelloResult,
    Limits,
    OutboxReport,
    PingParams,
    PingResult,
    PostingResult,
    PostItem,
    PostParams,
    PostResult,
)
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import SECOND_MICROS, instant, micros, unscaled
from pos_client.till.actions import Action, Connect, Idle, SendHello, SendPing, SendPost
from pos_client.till.clock import TickClock
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_records import ISOLATED, PendingEntry
from pos_client.till.poison import PoisonSearch
from pos_client.till.policy import (
    ADOPTION_POLL_SECONDS,
    MEANINGS,
    RESTING_SECONDS,
    RETRY_AFTER_MS,
    Identity,
    Meaning,
    RetryPolicy,
    blames_postings,
)
from pos_client.till.retry import RetryTimer

A = TypeVar("A", SendHello, SendPost, SendPing)


class Sender:
    """Decides what is sent next and what an answer means for each posting. Not thread-safe.

    `clock` is the till's wall clock, `timer` a monotonic clock (default: `clock`), both in µs; the instants of actions
    are the timer's. `tick_clock` dates what is sent. `on_result` is called for every posting that is settled or parked.
    """

    def __init__(
        self,
        outbox: Outbox,
        identity: Identity,
        *,
        clock: Callable[[], int],
        tick_clock: TickClock,
        rng: random.Random,
        timer: Callable[[], int] | None = None,
        retry_policy: RetryPolicy | None = None,
        on_result: Callable[[PostingResult], None] | None = None,
    ) -> None:
        self.outbox = outbox
        self.hello: HelloResult | None = None  # HQ's answer to `hello`, while connected
        self.limits: Limits | None = None  # HQ's latest limits, kept while disconnected
        self.last_error: str | None = None
        self.refusal: HqRefused | None = None  # HQ's last word, if it refused this till
        self.hq_ahead_micros: int | None = None  # HQ's clock minus the till's, at HQ's last answer
        self._identity = identity
        self._clock = clock
        self._tick_clock = tick_clock
        # HQ's, as it said last; kept while disconnected. Until then the first hello carries a tick, too: without one HQ
        # cannot tell how late it came.
        self._features: tuple[str, ...] = (TICK_CLOCK,)
        self._timer = timer or clock
        self._retry = RetryTimer(retry_policy or RetryPolicy(), self._timer, rng)
        self._on_result = on_result or (lambda _: None)
        self._poison = PoisonSearch(self._retry.policy.alone_seconds)
        self._connected = False
        self._asked: Action | None = None
        self._batch: list[PendingEntry] = []
        self._parent: str | None = None
        self._forks = 0
        self._next_ping_at = 0
        self._told_pending = 0  # the pending count HQ was last told
        self._parked_untold = False
        self._resting = False
        self._ask_again_at: int | None = None  # when to say hello again, while another terminal's postings are held

    @property
    def is_connected(self) -> bool:
        """True while the connection that was opened last is to be kept."""
        return self._connected

    @property
    def is_resting(self) -> bool:
        """True between `bye` and the next posting."""
        return self._resting

    @property
    def awaits_work(self) -> bool:
        """True if a posting added to the outbox can be sent at once. Thread-safe."""
        return self.hello is not None or self._resting

    # ------------------------------------------------------------------ the next action

    def next_action(self) -> Action:
        """What to do now. Its outcome must be reported before the next call; Idle has none."""
        if self._asked is not None:
            raise RuntimeError(f"The outcome of {type(self._asked).__name__} has not been reported.")
        if not self._retry.is_due:
            return Idle(self._retry.not_before)
        try:
            action = self._decide(self._timer())
        except OutboxError as error:
            self._back_off(str(error))
            return Idle(self._retry.not_before)
        self._asked = None if isinstance(action, Idle) else action
        return action

    def _decide(self, now: int) -> Action:
        if self.hello is None:
            if self._resting and not self.outbox.next_batch(1, 1):
                return Idle(now + RESTING_SECONDS * SECOND_MICROS)
            self._resting = False
            return SendHello(self._hello_params()) if self._connected else Connect()
        self._batch = self._next_batch(self.hello)
        if self._batch:
            items = [self._item(entry) for entry in self._batch]
            return SendPost(PostParams(items, self._parent or UNSET, *self._tick()))
        if self._ask_again_at is not None and now >= self._ask_again_at:
            self._disconnect()
            return Connect()
        if now >= self._next_ping_at or self._told_pending or self._parked_untold:
            if self._ask_again_at is None and self.outbox.held():  # they were reopened since the hello
                self._ask_again_at = now + ADOPTION_POLL_SECONDS * SECOND_MICROS
            return SendPing(self.ping_params())
        return Idle(min(self._next_ping_at, self._ask_again_at or self._next_ping_at))

    def _item(self, entry: PendingEntry) -> PostItem:
        tick = entry.tick if TICK_CLOCK in self._features else None
        return PostItem(entry.id, Raw(entry.body), entry.seq, *(tick or (UNSET, UNSET)))

    def _tick(self) -> Tick | tuple[UnsetType, UnsetType]:
        """The tick clock of now, if HQ reads it."""
        return self._tick_clock() if TICK_CLOCK in self._features else (UNSET, UNSET)

    def _report(self) -> OutboxReport:
        return self.outbox.report(self._tick_clock().boot if TICK_CLOCK in self._features else None)

    def _hello_params(self) -> HelloParams:
        who = self._identity
        boot, tick_ms = self._tick()
        return HelloParams(
            terminal=who.terminal,
            token=who.token or UNSET,
            lineage=self.outbox.lineage,
            app=who.app or UNSET,
            protocol=(PROTOCOL_VERSION, PROTOCOL_VERSION),
            location=self.outbox.location or who.location or UNSET,
            outbox=self._report(),
            now=instant(self._clock()),
            boot=boot,
            tick_ms=tick_ms,
        )

    def _next_batch(self, hello: HelloResult) -> list[PendingEntry]:
        window = self._poison.window()
        most = max(1, hello.limits.max_postings)
        max_bytes = hello.limits.max_frame_bytes - ENVELOPE_BYTES
        batch = self.outbox.next_batch(min(window.most or most, most), max_bytes, skip=window.skip)
        if window.skip and not batch:
            self._poison.no_witness()
            return self.outbox.next_batch(1, max_bytes)
        return batch

    def ping_params(self) -> PingParams:
        """A heartbeat of now: the clocks and what is pending."""
        return PingParams(self._report(), instant(self._clock()), *self._tick())

    def bye_params(self) -> ByeParams:
        """The control totals of the lineage, for a `bye` on the connection; then `on_bye`."""
        totals, report = self.outbox.totals(), self.outbox.report()
        quantity, pending, dead = unscaled(totals.quantity), report.pending, report.dead
        return ByeParams(totals.lineage, totals.last_seq, totals.count, quantity, pending, dead)

    def connect_now(self) -> None:
        """Connect now instead of after the back-off, because a caller is waiting. Waits that HQ asked for are kept."""
        self._resting = False
        self._retry.hurry()

    # ------------------------------------------------------------------ outcomes

    def on_connected(self) -> None:
        """The connection is open."""
        if not isinstance(self._asked, Connect):
            raise RuntimeError("No connection was asked for.")
        self._asked, self._connected = None, True

    def on_hello(self, result: HelloResult) -> None:
        """HQ accepted `hello`. If its chain is not the one this outbox left behind, a new lineage begins."""
        told = self._take(SendHello).params.outbox
        self.limits, self._features = result.limits, result.features
        self._compare_clocks(result.server_time)
        try:
            if not self._is_ours(result):
                self._begin_lineage("The outbox or HQ was restored from a backup or a copy.", result.parent)
                return
            if self.outbox.location != result.location:
                self.outbox.note_location(result.location)
            self._note_refusal(None)
            held = {each.terminal for each in self.outbox.held()}
        except OutboxError as error:
            self._disconnect()
            self._back_off(str(error))
            return
        if adopted := held.intersection(result.adopted):
            self._begin_lineage("HQ lets this till deliver for another.", result.parent, adopted)
            return
        self._ask_again_at = self._timer() + ADOPTION_POLL_SECONDS * SECOND_MICROS if held else None
        self.hello, self._parent = result, result.parent
        self._next_ping_at = self._timer() + max(1, result.heartbeat_s) * SECOND_MICROS
        self._told(told)

    def on_post(self, result: PostResult) -> None:
        """HQ gave one definite answer for each posting of the frame."""
        self._take(SendPost)
        if [each.id for each in result.results] != [entry.id for entry in self._batch]:
            self._died("HQ answered for other postings than were sent.")
            self._disconnect()
            return
        self._parent = result.parent
        try:
            hq_forgot = self.outbox.settle(result.results, result.parent)
        except OutboxError as error:
            self._back_off(str(error))  # still pending: they are sent again and answered as duplicates
            return
        self._poison.passed(self._ids(), self.hello.limits.max_postings if self.hello else 1)
        self._forks, self.last_error = 0, None
        self._retry.succeeded()
        for each in result.results:
            self._parked_untold |= each.status in ("conflict", "rejected")
            self._on_result(each)
        if hq_forgot:
            self._start_over("HQ was restored from a backup.")

    def on_pong(self, result: PingResult) -> None:
        """HQ answered a heartbeat."""
        told = self._take(SendPing).params.outbox
        self._compare_clocks(result.server_time)
        if self.hello is not None:
            self._next_ping_at = self._timer() + max(1, self.hello.heartbeat_s) * SECOND_MICROS
        self._told(told)

    def on_error(self, error: RequestError) -> None:
        """HQ refused the whole request: nothing was executed."""
        asked, self._asked = self._asked, None
        if isinstance(asked, SendHello) and error.code in (ErrorCode.invalid_params, ErrorCode.unsupported_protocol):
            self._features = ()  # an older server refuses fields that it does not know
        self.last_error = f"{error.code.name}: {error.message}"
        meaning = MEANINGS[error.code]
        if isinstance(asked, SendPost) and meaning is Meaning.frame and blames_postings(error):
            self._refused(error)
        elif isinstance(asked, SendPost) and meaning is Meaning.fork:
            self._begin_lineage(self.last_error)
        elif isinstance(asked, SendPost) and meaning is Meaning.again:
            self._died(self.last_error)
        elif meaning is Meaning.again:
            self._disconnect()
            self._back_off(self.last_error)
        elif meaning is Meaning.wait:
            self._wait_as_told(error, asked)
        else:
            self._disconnect()
            self._retry.stay_away(fenced=meaning is Meaning.fenced)
            if meaning is Meaning.person:
                self._hear_refusal(error)

    def on_lost(self, reason: str = "The connection was lost.") -> None:
        """The connection was lost or timed out: the request may or may not have been executed."""
        posting = isinstance(self._asked, SendPost)
        self._asked = None
        self._disconnect()
        if posting:
            self._died(reason)
        elif not self._retry.is_held:
            self._back_off(reason)

    def on_bye(self) -> None:
        """`bye` was answered and HQ closed the connection: stay disconnected until there is something to send."""
        self._disconnect()
        self._resting = True

    # ------------------------------------------------------------------ helpers
    def _is_ours(self, hello: HelloResult) -> bool:
        """False if HQ has heard from another copy of this outbox, or has lost postings of this one."""
        if self.outbox.head is None:  # this file has never posted in this lineage
            if hello.acked_seq == 0:
                self.outbox.adopt_head(hello.parent)
            return hello.acked_seq == 0
        return self.outbox.recognises(hello.parent, hello.acked_seq, max(1, hello.limits.max_postings))

    def _take(self, kind: type[A]) -> A:
        asked, self._asked = self._asked, None
        if not isinstance(asked, kind):
            raise RuntimeError(
                f"The outcome of {kind.__name__} was reported, but {type(asked).__name__} was asked for."
            )
        return asked

    def _ids(self) -> list[UUID]:
        return [entry.id for entry in self._batch]

    def _disconnect(self) -> None:
        self.hello, self._connected = None, False

    def _compare_clocks(self, server_time: datetime) -> None:
        self.hq_ahead_micros = micros(server_time) - self._clock()

    def _told(self, report: OutboxReport | UnsetType) -> None:
        self._told_pending = 0 if isinstance(report, UnsetType) else report.pending
        self._parked_untold = False
        if not self._poison.is_troubled:
            self.last_error = None
            self._retry.succeeded()

    def _back_off(self, reason: str) -> None:
        self.last_error = reason
        self._retry.back_off()

    def _hear_refusal(self, error: RequestError) -> None:
        """HQ does not let this till in: everything stays pending until a person has changed something."""
        refusal = HqRefused.of(error)
        try:
            self.last_error = str(refusal)
            self._note_refusal(refusal)
        except OutboxError as failure:
            self.last_error = f"{refusal} {failure}"

    def _note_refusal(self, refusal: HqRefused | None) -> None:
        self.refusal = refusal
        if refusal is not None or self.outbox.refusal is not None:
            self.outbox.note_refusal(refusal)

    def _wait_as_told(self, error: RequestError, asked: Action | None) -> None:
        if not isinstance(asked, SendPost):
            self._disconnect()
        told = error.data.get("retry_after_ms")
        milliseconds = told if isinstance(told, int) and told > 0 else RETRY_AFTER_MS
        self._retry.hold(milliseconds / 1_000, 2 * milliseconds / 1_000)

    def _died(self, reason: str) -> None:
        """A frame was sent and not answered: its outcome is unknown, so the same postings are sent again."""
        culprit = self._poison.died(self._ids(), self._timer())
        self._back_off(reason)
        self._park(culprit, ISOLATED, f"HQ never answered when this posting was sent alone; last error: {reason}")

    def _refused(self, error: RequestError) -> None:
        culprit = self._poison.refused(self._ids())
        if error.code is ErrorCode.too_large:
            self._disconnect()  # the server closes the connection after this answer
        self._park(culprit, error.code.name, error.message)

    def _park(self, culprit: UUID | None, code: str, reason: str) -> None:
        try:
            if isinstance(culprit, UUID):
                self._parked_untold = True
                self._on_result(self.outbox.park(culprit, code, reason))
            elif code == ISOLATED:
                self.outbox.note_attempt(self._ids())
        except OutboxError as error:
            self._back_off(str(error))

    def _begin_lineage(self, reason: str, head: str | None = None, adopting: Iterable[str] = ()) -> None:
        try:
            self.outbox.new_lineage(head=head, adopting=adopting)
        except OutboxError as error:
            self._disconnect()
            self._back_off(str(error))
            return
        self._start_over(reason)

    def _start_over(self, reason: str) -> None:
        """A new lineage has begun: it needs a new `hello`."""
        self._disconnect()
        self._forks += 1
        if self._forks > 1:  # most likely another device uses this identity: do not race it
            self._back_off(reason)
