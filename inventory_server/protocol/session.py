"""The protocol as a sans-I/O core: a frame in, a reply out; no sockets, no SQL, no locks, no clock of its own.

`Session.handle` is a generator: it yields requests of the store (`domain/requests.py`) and is sent the outcome, or has
the store's error thrown in. A connection's thread drives it in production, an event loop on a virtual clock in the
simulator.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import UNSET, UnsetType

from inventory_server.config import Settings
from inventory_server.domain.answers import Client, FeedStart
from inventory_server.domain.door import Outcome, OutcomeUnknown
from inventory_server.domain.requests import CheckToken, Hello, StoreRequest
from inventory_server.domain.roles import HEADQUARTERS, Actor, Speaker
from inventory_server.jsonserver import EncodedReply, Peer, site_of
from inventory_server.protocol import events
from inventory_server.protocol.attempts import FailedHellos
from inventory_server.protocol.binding import MethodBinding, Ready, SessionContext
from inventory_server.protocol.port import TILL_METHODS
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.fields import RequestId
from pos_client.protocol.limits import METHOD_LENGTH_MAX
from pos_client.protocol.messages import HelloParams, PostResult, Request
from pos_client.protocol.methods import needs_hello
from pos_client.protocol.wire import (
    JSON_WHITE_SPACE,
    decode_frame,
    decode_member,
    encode_error,
    encode_refusal,
    encode_result,
)

log = logging.getLogger("tillwire.session")

_GOODBYE = b"BYE"
T = TypeVar("T")
Steps = Generator[StoreRequest, Outcome, T]
"""A computation of a `T` that yields `StoreRequest` and receives their outcomes."""


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """The end of `Steps`."""

    result: T


def advance(steps: Steps[T], outcome: Outcome = None, error: Exception | None = None) -> StoreRequest | Finished[T]:
    """Start `steps`, or resume them with the outcome of their last request; return the next request or `Finished`."""
    try:
        return steps.send(outcome) if error is None else steps.throw(error)
    except StopIteration as end:
        return Finished(end.value)


def drive(steps: Steps[T], perform: Callable[[StoreRequest], Outcome], work: StoreRequest | Finished[T]) -> T:
    """Run `steps`, which have yielded `work`, to their end; `perform` carries out each request."""
    while not isinstance(work, Finished):
        try:
            outcome = perform(work)
        except Exception as error:  # noqa: BLE001 (the session logs and answers it)
            work = advance(steps, None, error)
        else:
            work = advance(steps, outcome)
    return work.result


class Shared:
    """What all sessions of a process share: the log of refusals, and the failed hellos that they count."""

    def __init__(self, on_refusal: Callable[[str], None] = lambda _: None) -> None:
        """`on_refusal` is called with the name of the error of each request that is refused."""
        self.refusals = events.RefusalLog()
        self.on_refusal = on_refusal
        self.failed_hellos = FailedHellos()


class Session:
    """One connection's session: its actor, and the answer to each frame. Used by one thread at a time.

    `clock` returns microseconds since 1970 UTC, `draining` whether posts are refused, `describe` the OpenRPC document,
    `new_incident_id` an id for an unexpected error in the answer and in the log. `dev` trusts loopback peers without a
    token and enrols unknown terminals. `methods` are those offered; `actor` is set if no `hello` is needed;
    `shared` is that of the sessions of a process. `random_bytes` makes the secrets of tills that enrol.
    """

    def __init__(
        self,
        settings: Settings,
        peer: Peer,
        clock: Callable[[], int],
        new_incident_id: Callable[[], str],
        describe: Callable[[], bytes],
        draining: Callable[[], bool] = lambda: False,
        dev: bool = False,
        server: str = "tillwire",
        methods: Mapping[str, MethodBinding] = TILL_METHODS,
        actor: Actor | None = None,
        random_bytes: Callable[[int], bytes] | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._methods = methods
        self._settings = settings
        self._peer = peer
        self._new_incident_id = new_incident_id
        self._shared = shared or Shared()
        # How long the reply to this frame is put off, and whether `rpc.discover` was answered before hello.
        self._delay_seconds = 0.0
        self._has_discovered = False
        trusted = dev and peer.loopback
        self._refused: tuple[int, str] | None = None
        self._talk = SessionContext(settings, clock, draining, describe, server, trusted, peer.address, actor)
        self._talk.shown, self._talk.random_bytes = peer.shown, random_bytes

    @property
    def is_trusted(self) -> bool:
        """True where no token is needed: in development, on this machine."""
        return self._talk.trusted

    @property
    def actor(self) -> Actor | None:
        """Who is connected; None before `hello`."""
        return self._talk.actor

    def client(self, pid: int, connected_at: int) -> Client:
        """The connection as an operator sees it; process `pid` serves it, since `connected_at` (microseconds)."""
        actor, app = self._talk.actor, self._talk.app
        terminal, role, location = None, None, None
        if isinstance(actor, Speaker):
            terminal, role, location = actor.terminal, actor.role, actor.location
        refused_at, refusal = self._refused or (None, None)
        fenced = 0 if terminal is None else self._shared.refusals.fences(terminal, self._talk.clock())
        return Client(
            pid=pid,
            address=self._peer.address,
            connected_at=connected_at,
            terminal=terminal,
            role=role,
            location=location,
            app=app,
            refused_at=refused_at,
            refusal=refusal,
            fenced=fenced,
        )

    @property
    def watching(self) -> FeedStart | None:
        """What the client watches, from where on; None if it does not."""
        return self._talk.watching

    def ended(self, reason: str) -> None:
        """Log the end of the connection if it was a terminal's."""
        events.note_end(self._talk.actor, self._peer.address, reason)

    def handle(self, frame: bytes) -> Steps[EncodedReply | None]:
        """Answer one frame, its line end removed; None if there is no answer, as for a notification."""
        text = frame.strip(JSON_WHITE_SPACE)
        if not text:
            return None
        if len(text) == len(_GOODBYE) and text.upper() == _GOODBYE:
            line = yield from self._answer(Request(method="bye", id=None))
            return EncodedReply(line or b"", close=True)
        try:
            decoded = decode_frame(frame)  # not `text`: errors count bytes from the start of the line
            if self._talk.actor is None:
                self._assert_may_precede_hello(decoded)
        except RequestError as error:
            return EncodedReply(encode_refusal(frame, error), close=False)
        if isinstance(decoded, Request):
            line = yield from self._answer(decoded)
        else:
            line = yield from self._answer_batch(decoded)
        if not line and not self._talk.closing:
            return None
        delay_seconds, self._delay_seconds = self._delay_seconds, 0.0
        return EncodedReply(line or b"", self._talk.closing, delay_seconds)

    def _assert_may_precede_hello(self, decoded: Request | list[bytes]) -> None:
        """RequestError for what a client without a hello may not send: whoever it is, it costs the server little."""
        if not isinstance(decoded, Request):
            raise RequestError(ErrorCode.unauthenticated, "Say hello before a batch, on its own.", expected="hello")
        if decoded.id is UNSET and decoded.method != "bye":
            message = "$.id: expected an id, got none: say hello before notifications."
            raise RequestError(ErrorCode.invalid_request, message, path="$.id", expected="an id", came="none")
        if decoded.method == "rpc.discover":
            if self._has_discovered:
                once = "Before hello rpc.discover is answered once; say hello first."
                raise RequestError(ErrorCode.unauthenticated, once, expected="hello")
            self._has_discovered = True

    def _answer_batch(self, members: list[bytes]) -> Steps[bytes | None]:
        most = self._settings.max_batch_requests
        if not 1 <= len(members) <= most:
            expected, came = f"1 to {most} requests in a batch", str(len(members))
            message = f"$: expected {expected}, got {came}."
            return encode_error(
                None, RequestError(ErrorCode.invalid_request, message, path="$", expected=expected, came=came)
            )
        lines: list[bytes] = []
        size = 0
        for member in members:
            if line := (yield from self._answer_member(member, size)):
                lines.append(line.rstrip())
                size += len(line)
            if self._talk.closing:
                break
        return b"[" + b",".join(lines) + b"]\n" if lines else None

    def _answer_member(self, member: bytes, replied_bytes: int) -> Steps[bytes | None]:
        most = self._settings.batch_reply_bytes_max
        try:
            if replied_bytes > most:
                raise RequestError(ErrorCode.too_large, f"The replies to a batch end past {most} bytes.", limit=most)
            request = decode_member(member)
        except RequestError as error:
            return encode_refusal(member, error)
        return (yield from self._answer(request))

    def _answer(self, request: Request) -> Steps[bytes | None]:
        request_id: RequestId | None = None if isinstance(request.id, UnsetType) else request.id
        peer = self._peer.address
        try:
            line = encode_result(request_id, (yield from self._perform(request)))
            events.note_request(request, self._talk.actor, peer, "ok")
        except RequestError as error:
            events.note_request(request, self._talk.actor, peer, error.code.name)
            line = encode_error(request_id, error)
        except OutcomeUnknown:
            log.exception("event=outcome_unknown method=%s peer=%s", request.method, peer)
            self._talk.closing = True
            return None
        except Exception:
            incident = self._new_incident_id()
            log.exception("event=incident incident=%s method=%s peer=%s", incident, request.method, peer)
            line = encode_error(request_id, _internal(incident))
        return None if request.id is UNSET else line

    def _perform(self, request: Request) -> Steps[Any]:
        method = self._methods.get(request.method)
        if method is None:
            name = repr(request.method[:METHOD_LENGTH_MAX])
            expected = f"one of {', '.join(sorted(self._methods))}"
            message = f"There is no method {name}."
            raise RequestError(ErrorCode.method_not_found, message, path="$.method", expected=expected, came=name)
        actor = self._talk.actor
        params = None
        try:
            _assert_may_call(actor, request.method, method)
            params = method.decode(request)
            asked = method.ask(self._talk, params)
            if isinstance(asked, Hello) and not asked.trusted:
                yield CheckToken(asked, actor=HEADQUARTERS)  # a wrong token costs no commit
            result = asked.result if isinstance(asked, Ready) else method.tell(self._talk, (yield asked))
        except RequestError as error:
            now = self._talk.clock()
            self._refused = now, f"{request.method}: {error}"
            if error.code is ErrorCode.unauthenticated and isinstance(params, HelloParams):
                self._delay_seconds += self._shared.failed_hellos.failed(site_of(self._peer), params.terminal, now)
            self._shared.on_refusal(error.code.name)
            self._shared.refusals.note(request.method, actor, params, error, self._peer.address, now)
            raise
        if isinstance(result, PostResult):
            self._shared.refusals.note_postings(self._talk.actor, result, self._peer.address, self._talk.clock)
        else:
            events.note_success(self._talk.actor, params, self._peer.address)
        return result


def _assert_may_call(actor: Actor | None, name: str, method: MethodBinding) -> None:
    """RequestError `unauthenticated` or `forbidden` where `actor` may not call the method `name`."""
    if actor is None:
        if needs_hello(name):
            raise RequestError(ErrorCode.unauthenticated, f"Say hello before {name}.", expected="hello")
    elif actor.role not in method.roles:
        message = f"The role {actor.role} may not call {name}: use another role."
        raise RequestError(ErrorCode.forbidden, message, role=actor.role)


def _internal(incident: str) -> RequestError:
    message = f"The server failed to answer; its log tells more under incident {incident}."
    return RequestError(ErrorCode.internal, message, incident=incident)
