"""The composition root: connects listeners, JSON server, sessions and store."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TypeGuard

import msgspec

from inventory_server.asking import QuestionThreads
from inventory_server.clock import now_microseconds
from inventory_server.config import LARGE_FRAME_BYTES, Settings
from inventory_server.counters import ClientCounters
from inventory_server.domain.answers import Client, FeedStart
from inventory_server.domain.door import Outcome, Store, perform
from inventory_server.domain.requests import REQUESTS, Ping, StoreRequest, TerminalRequest, terminal_of
from inventory_server.domain.roles import Speaker
from inventory_server.feed.feed import Feed
from inventory_server.heartbeats import Heartbeats
from inventory_server.jsonserver import (
    EncodedReply,
    EndReason,
    InterpreterTurn,
    JsonHandler,
    ListenTarget,
    Peer,
    SendReply,
    ServerFactory,
    ServerTls,
)
from inventory_server.large_frames import LargeFrames
from inventory_server.protocol.refusals import refusal_encoder
from inventory_server.protocol.session import Finished, Session, Shared, Steps, advance, drive
from inventory_server.resources import schema_path
from inventory_server.revocations import Revocations
from pos_client.protocol.address import Address
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.wire import encode_refusal, is_batch

log = logging.getLogger("tillwire.server")


@cache
def openrpc_document() -> bytes:
    """The OpenRPC document shipped with the program, on one line; made once, since anybody may ask for it."""
    return msgspec.json.format(schema_path("openrpc.json").read_bytes(), indent=-1)


class Application:
    """Headquarters: start() serves `listeners` from `store`; stop() drains, closes the store and is final.

    `dev` trusts loopback peers (development only); `clock` returns microseconds since 1970 UTC; `server` is the
    program name and version in the answer to `hello`; `tls` the certificate for clients that encrypt.
    `hangs_up_on_revoked` also looks for terminals that were revoked or got a new token, by whichever server.
    `on_failure` is called by the thread that serves all clients if it cannot go on. That thread computes in `turn`.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        listeners: Sequence[ListenTarget],
        *,
        dev: bool = False,
        clock: Callable[[], int] = now_microseconds,
        new_incident_id: Callable[[], str] = lambda: secrets.token_hex(6),
        describe: Callable[[], bytes] = openrpc_document,
        server: str = "tillwire",
        tls: ServerTls | None = None,
        on_failure: Callable[[Exception], None] | None = None,
        hangs_up_on_revoked: bool = False,
        turn: InterpreterTurn | None = None,
    ) -> None:
        self._store = store
        self._dev = dev
        self.clock = clock
        self._new_incident_id = new_incident_id
        self._describe = describe
        self._server = server
        self._draining = threading.Event()
        self.counters = ClientCounters()
        self._shared = Shared(self.counters.refused)
        # Guards `_handlers`, those of the connections that stand, in order of arrival (a set with an order).
        self._handlers_lock = threading.Lock()
        self._handlers: dict[FrameHandler, None] = {}
        self._large_frames = LargeFrames(settings.large_frames_max, settings.handler_threads, settings.frame_seconds)
        refuse = refusal_encoder(settings.busy_retry_ms, self.counters.refused)
        self._json_server = ServerFactory(
            self._new_handler,
            *listeners,
            limits=settings,
            encode_refusal=refuse,
            handlers="shared",
            tls=tls,
            on_failure=on_failure,
            clients_identify=True,
            turn=turn,
        )
        self._asking = QuestionThreads()
        self._revocations = Revocations(store.ask, self.hang_up) if hangs_up_on_revoked else None
        self.feed = Feed(store.ask, self._asking.read)
        self.heartbeats = Heartbeats(store.submit)
        self._settings = replace(settings, max_connections=self._json_server.max_connections)

    @property
    def addresses(self) -> list[Address]:
        """Where the server listens, with the actual ports."""
        served = self._json_server.addresses
        return [Address.unix(each) if isinstance(each, str) else Address(*each) for each in served]

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return self._json_server.connections

    def clients(self) -> list[Client]:
        """Who is connected, in order of arrival."""
        with self._handlers_lock:
            handlers = list(self._handlers)
        return [handler.client() for handler in handlers]

    def start(self) -> None:
        """Start serving; CannotListen if an address cannot be listened on."""
        self._json_server.start()
        self.heartbeats.start()
        if self._revocations is not None:
            self._revocations.start()

    def hang_up(self, terminal: str, before: int) -> None:
        """Close the connections that a terminal has had since `before` (microseconds) or longer."""
        with self._handlers_lock:
            ended = [handler for handler in self._handlers if handler.is_of(terminal, before)]
        for handler in ended:
            handler.close()
        if ended:
            log.info("event=access_ended terminal=%s connections=%d", terminal, len(ended))

    def drain(self) -> None:
        """Answer new posts with `draining` from now on; those in flight are completed."""
        self._draining.set()

    def stop(self, deadline_seconds: float | None = None) -> int:
        """Drain, close every connection and the store; return how many connections were closed by force.

        `deadline_seconds` is what is left for answers in flight: `drain_seconds` unless given.
        """
        self.drain()
        if self._revocations is not None:
            self._revocations.close()
        self.feed.close()
        forced = self._json_server.stop(self._settings.drain_seconds if deadline_seconds is None else deadline_seconds)
        self._large_frames.close()
        self._asking.close()
        self.heartbeats.close()
        self._store.close()
        return forced

    def _new_handler(self) -> FrameHandler:
        def new_session(peer: Peer) -> Session:
            return Session(
                self._settings,
                peer,
                self.clock,
                self._new_incident_id,
                self._describe,
                self._draining.is_set,
                self._dev,
                self._server,
                random_bytes=secrets.token_bytes,
                shared=self._shared,
            )

        return FrameHandler(
            new_session, self._store, self._asking, self._large_frames, self._settings.busy_retry_ms, self
        )

    def opened(self, handler: FrameHandler) -> None:
        """Note the handler of a new connection."""
        self.counters.opened()
        with self._handlers_lock:
            self._handlers[handler] = None

    def ended(self, handler: FrameHandler) -> None:
        """Forget the handler of a connection that has ended."""
        self.counters.ended(handler.end_reason.value)
        with self._handlers_lock:
            del self._handlers[handler]


class FrameHandler(JsonHandler):
    """Runs one session: small frames on the loop, large ones and what asks the store on the application's threads.

    Commits are answered by the thread that committed them.
    """

    def __init__(
        self,
        new_session: Callable[[Peer], Session],
        store: Store,
        asking: QuestionThreads,
        large_frames: LargeFrames,
        busy_retry_ms: int,
        application: Application,
    ) -> None:
        self._new_session = new_session
        self._store = store
        self._asking = asking
        self._large_frames = large_frames
        self._busy_retry_ms = busy_retry_ms
        self._application = application
        self._is_known = False
        self._is_over = False
        self._watching: FeedStart | None = None

    def setup(self) -> None:
        """Begin the session."""
        self._session = self._new_session(self.peer)
        if self._session.is_trusted:
            self.recognise()
        self._connected_at = self._application.clock()
        self._application.opened(self)

    def client(self) -> Client:
        """The connection as an operator sees it."""
        return self._session.client(os.getpid(), self._connected_at)

    def is_of(self, terminal: str, before: int) -> bool:
        """True if it is a terminal's connection, and stood at `before` (microseconds)."""
        actor = self._session.actor
        return isinstance(actor, Speaker) and actor.terminal == terminal and self._connected_at <= before

    def may_block(self, frame: bytes) -> bool:  # noqa: ARG002 (overrides)
        """False: what waits or takes long runs on the application's threads."""
        return False

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        """Have the session answer one frame; a large one waits for a slot first, and none ends the connection.

        Only the size is known before decoding. Which postings are committed first is the writer's decision.
        """
        handle = self._handle_batch if is_batch(frame) and self._is_known else self._handle_request
        if len(frame) > LARGE_FRAME_BYTES:
            begin = self._unless_over(partial(handle, frame, answer), answer)
            self._large_frames.enter(self, begin, partial(self._give_up, answer))
        else:
            handle(frame, answer)

    def _handle_request(self, frame: bytes, answer: SendReply) -> None:
        steps = self._session.handle(frame)
        self._go_on(steps, advance(steps), answer)

    def _go_on(
        self, steps: Steps[EncodedReply | None], work: StoreRequest | Finished[EncodedReply | None], answer: SendReply
    ) -> None:
        """Have the store do what `steps` ask for, each request on the thread for its kind, and send their result."""

        def ask() -> None:
            try:
                outcome, error = self._perform(asked), None
            except Exception as failure:  # noqa: BLE001 (the session logs and answers it)
                outcome, error = None, failure
            self._go_on(steps, advance(steps, outcome, error), answer)

        if isinstance(work, Finished):
            self._reply(work.result, answer)
            return
        asked = work
        if isinstance(work, Ping):
            self._hold(work)
            self._go_on(steps, advance(steps), answer)
        elif _is_committed_by_writer(work):
            self._application.heartbeats.write(terminal_of(work))
            self._store.submit(work, lambda outcome, error: self._go_on(steps, advance(steps, outcome, error), answer))
        elif not self._asking.ask(self, self._terminal, work, self._unless_over(ask, answer)):
            self._go_on(steps, advance(steps, None, self._busy()), answer)

    def _handle_batch(self, frame: bytes, answer: SendReply) -> None:
        """Each of its requests may wait for the store."""

        def handle() -> None:
            steps = self._session.handle(frame)
            self._reply(drive(steps, self._perform, advance(steps)), answer)

        if not self._asking.answer_batch(self, self._terminal, self._unless_over(handle, answer)):
            self._reply(EncodedReply(encode_refusal(frame, self._busy()), close=False), answer)

    @property
    def _terminal(self) -> str:
        """Whose turn it is to ask; connections that have not said hello share one."""
        actor = self._session.actor
        return "" if actor is None else actor.name

    def _hold(self, ping: Ping) -> None:
        """Have a ping, which is answered at once, written with others."""
        self._application.heartbeats.hold(ping, self.close)

    def _perform(self, request: StoreRequest) -> Outcome:
        if isinstance(request, Ping):
            self._hold(request)
            return None
        if _is_committed_by_writer(request):
            self._application.heartbeats.write(terminal_of(request))
        return perform(self._store, request, is_wanted=lambda: not self._is_over)

    def _reply(self, reply: EncodedReply | None, answer: SendReply) -> None:
        if not self._is_known and self._session.actor is not None:
            self._is_known = True
            self.recognise()
        self._large_frames.leave(self)
        if self._session.watching is self._watching:
            answer(reply)
        else:
            self._answer_watch(self._session.watching, reply, answer)

    def _answer_watch(self, start: FeedStart | None, reply: EncodedReply | None, answer: SendReply) -> None:
        """Nothing of the feed before is sent after this answer, and nothing of the new one before it."""
        feed, actor = self._application.feed, self._session.actor
        self._watching = start
        feed.unwatch(self)
        answer(reply)
        if start is not None and actor is not None:
            feed.watch(self, start, actor)
            if self._is_over:  # it ended once it was answered, perhaps before it was watched for
                feed.unwatch(self)

    def push(self, lines: bytes) -> bool:
        """Send lines of the feed."""
        return self._connection.send(lines)

    def takes_more(self) -> bool:
        """True where all of the feed that was pushed has been sent."""
        return not self._connection.unsent_bytes()

    def end_watch(self) -> None:
        """The client may watch no longer."""
        self.close()

    def handle_timeout(self) -> None:
        """Who watches need not ask anything: the feed finds out whether it still reads."""
        if self._session.watching is None:
            super().handle_timeout()

    def _give_up(self, answer: SendReply) -> None:
        """No slot in time: the sender of the frame has timed out by now, and sends it again."""
        self.close(EndReason.timed_out)
        answer(None)

    def _busy(self) -> RequestError:
        message = f"Too many questions wait for the database; try again in {self._busy_retry_ms} ms."
        return RequestError(ErrorCode.busy, message, retry_after_ms=self._busy_retry_ms)

    def _unless_over(self, work: Callable[[], None], answer: SendReply) -> Callable[[], None]:
        """`work` for another thread: not done once the connection is over, and what goes wrong ends the connection."""

        def run() -> None:
            if self._is_over:
                return
            try:
                work()
            except Exception as error:  # noqa: BLE001 (it is logged)
                self._connection.fail(error)
                answer(None)

        return run

    def finish(self) -> None:
        """Release what an unanswered frame holds or waits for, and log the end of a terminal's connection."""
        self._is_over = True
        self._application.feed.unwatch(self)
        self._application.ended(self)
        self._large_frames.leave(self)
        self._asking.withdraw(self)
        self._session.ended(self.end_reason)


def _is_committed_by_writer(request: StoreRequest) -> TypeGuard[TerminalRequest]:
    """True if the thread that commits the request sends the reply."""
    return REQUESTS[type(request)].is_grouped
