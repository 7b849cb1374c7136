"""The composition root: connects listeners, JSON server, sessions and store."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeGuard

import msgspec

from inventory_server.clock import now_microseconds
from inventory_server.config import LARGE_FRAME_BYTES, QUESTION_THREADS, STOCK_THREADS, Settings
from inventory_server.domain.answers import Client
from inventory_server.domain.door import Store, perform
from inventory_server.domain.requests import REQUESTS, Stock, StoreRequest, TerminalRequest
from inventory_server.jsonserver import (
    EncodedReply,
    EndReason,
    JsonHandler,
    ListenTarget,
    Peer,
    SendReply,
    ServerFactory,
    ServerTls,
    WorkerPool,
)
from inventory_server.protocol.events import RefusalLog
from inventory_server.protocol.refusals import refusal_encoder
from inventory_server.protocol.session import Finished, Session, advance, drive
from inventory_server.resources import schema_path
from pos_client.protocol.address import Address
from pos_client.protocol.wire import is_batch


def openrpc_document() -> bytes:
    """The OpenRPC document shipped with the program, on one line."""
    return msgspec.json.format(schema_path("openrpc.json").read_bytes(), indent=-1)


class Application:
    """Headquarters: start() serves `listeners` from `store`; stop() drains, closes the store and is final.

    `dev` trusts loopback peers (development only); `clock` returns microseconds since 1970 UTC; `server` is the
    program name and version in the answer to `hello`; `tls` the certificate for clients that encrypt.
    `on_failure` is called by the thread that serves all clients if it cannot go on.
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
    ) -> None:
        self._store = store
        self._dev = dev
        self.clock = clock
        self._new_incident_id = new_incident_id
        self._describe = describe
        self._server = server
        self._draining = threading.Event()
        self._refusals = RefusalLog()
        # Guards `_handlers`, those of the connections that stand, in order of arrival (a set with an order).
        self._handlers_lock = threading.Lock()
        self._handlers: dict[FrameHandler, None] = {}
        # Caps large frames decoded at once, so that they do not starve live tills of the interpreter lock.
        self._large_frames = threading.BoundedSemaphore(settings.large_frames_max)
        refuse = refusal_encoder(settings.busy_retry_ms)
        self._json_server = ServerFactory(
            self._new_handler,
            *listeners,
            limits=settings,
            encode_refusal=refuse,
            handlers="shared",
            tls=tls,
            on_failure=on_failure,
        )
        self._questions = Questions()
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

    def drain(self) -> None:
        """Answer new posts with `draining` from now on; those in flight are completed."""
        self._draining.set()

    def stop(self, deadline_seconds: float | None = None) -> int:
        """Drain, close every connection and the store; return how many connections were closed by force.

        `deadline_seconds` is what is left for answers in flight: `drain_seconds` unless given.
        """
        self.drain()
        forced = self._json_server.stop(self._settings.drain_seconds if deadline_seconds is None else deadline_seconds)
        self._questions.close()
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
                refusals=self._refusals,
            )

        return FrameHandler(
            new_session, self._store, self._questions, self._large_frames, self._settings.frame_seconds, self
        )

    def opened(self, handler: FrameHandler) -> None:
        """Note the handler of a new connection."""
        with self._handlers_lock:
            self._handlers[handler] = None

    def ended(self, handler: FrameHandler) -> None:
        """Forget the handler of a connection that has ended."""
        with self._handlers_lock:
            del self._handlers[handler]


class Questions:
    """The threads that ask the store: answering a question waits for the database, which the loop must not."""

    def __init__(self) -> None:
        self._stock = WorkerPool(STOCK_THREADS, "stock")
        self._others = WorkerPool(QUESTION_THREADS, "ask")

    def run(self, request: StoreRequest, ask: Callable[[], None]) -> None:
        """Have `ask` put `request` to the store. The stock of one SKU never waits behind a listing."""
        is_short = isinstance(request, Stock) and isinstance(request.params.sku, str)
        (self._stock if is_short else self._others).run(ask)

    def close(self) -> None:
        """End the threads, once they are idle."""
        self._stock.close()
        self._others.close()


class FrameHandler(JsonHandler):
    """Runs one session: small frames on the loop, others in the server's pool, what asks the store on its threads.

    Commits are answered by the thread that committed them.
    """

    def __init__(
        self,
        new_session: Callable[[Peer], Session],
        store: Store,
        questions: Questions,
        large_frames: threading.BoundedSemaphore,
        turn_seconds: float,
        application: Application,
    ) -> None:
        self._new_session = new_session
        self._store = store
        self._questions = questions
        self._large_frames = large_frames
        self._turn_seconds = turn_seconds
        self._application = application
        # Guards `_has_slot`: a connection may be closed while its frame is being answered.
        self._lock = threading.Lock()
        self._has_slot = False

    def setup(self) -> None:
        """Begin the session."""
        self._session = self._new_session(self.peer)
        self._connected_at = self._application.clock()
        self._application.opened(self)

    def client(self) -> Client:
        """The connection as an operator sees it."""
        return self._session.client(self._connected_at)

    def may_block(self, frame: bytes) -> bool:
        """True for a frame that takes long to decode, waits for a slot, or makes several requests of the store."""
        return len(frame) > LARGE_FRAME_BYTES or is_batch(frame)

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        """Have the session answer one frame; a large one waits for a slot first, and none ends the connection.

        Only the size is known before decoding. Which postings are committed first is the writer's decision.
        """
        if len(frame) > LARGE_FRAME_BYTES:
            self._has_slot = self._large_frames.acquire(timeout=self._turn_seconds)
            if not self._has_slot:  # its sender has timed out by now and resends it
                self.close(EndReason.timed_out)
                answer(None)
                return
        steps = self._session.handle(frame)

        def finish(work: StoreRequest | Finished[EncodedReply | None]) -> None:
            reply = drive(steps, partial(perform, self._store), work)
            self._release_slot()
            answer(reply)

        work = advance(steps)
        if isinstance(work, Finished) or is_batch(frame):
            finish(work)
        elif _is_committed_by_writer(work):
            self._store.submit(work, lambda outcome, error: finish(advance(steps, outcome, error)))
        else:
            self._questions.run(work, partial(finish, work))

    def _release_slot(self) -> None:
        with self._lock:
            had_slot, self._has_slot = self._has_slot, False
        if had_slot:
            self._large_frames.release()

    def finish(self) -> None:
        """Release the slot of an unanswered large frame, and log the end of a terminal's connection."""
        self._application.ended(self)
        self._release_slot()
        self._session.ended(self.end_reason)


def _is_committed_by_writer(request: StoreRequest) -> TypeGuard[TerminalRequest]:
    """True if the thread that commits the request sends the reply."""
    return REQUESTS[type(request)].is_grouped
