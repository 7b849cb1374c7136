"""The handler of a connection, which a program subclasses, and what it exchanges with the server."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import msgspec

from pos_client.protocol.errors import TillwireError
from pos_client.protocol.framing import FramingError
from pos_client.protocol.json_messages import NotJson, decode_message, encode_message, plain_decoder

_GOODBYE = b"BYE"


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """The server's certificate as a client was shown it: its SHA-256, and its authority's certificate (PEM)."""

    sha256: bytes
    authority: str


@dataclass(frozen=True, slots=True)
class Peer:
    """The client's end of a connection: its address, for the log, and whether it is on this machine.

    `shown` is the certificate that it was shown; None without TLS.
    """

    address: str
    loopback: bool
    shown: ShownCertificate | None = None


@dataclass(frozen=True, slots=True)
class EncodedReply:
    """The bytes to send, line end included, possibly none; `close` ends the connection after them.

    They are put off for `delay_seconds`, as the answer to a wrong password is.
    """

    data: bytes
    close: bool
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Notice:
    """Bytes to send before the reply to a frame, line end included: how far the work on it is."""

    data: bytes


class EndReason(enum.StrEnum):
    """Why a connection ended."""

    client_closed = enum.auto()
    """The client closed it."""
    handler_closed = enum.auto()
    """The handler ended it, as after a goodbye."""
    server_stopped = enum.auto()
    """The server stopped, and everything that had arrived was answered."""
    closed_by_force = enum.auto()
    """The server stopped, and its deadline passed before everything was answered."""
    timed_out = enum.auto()
    """The client sent nothing, took no reply or did not complete a frame in time."""
    connection_lost = enum.auto()
    """The network or the client's machine broke it."""
    frame_too_long = enum.auto()
    """The client sent a frame beyond the limit."""
    frame_invalid = enum.auto()
    """The client's bytes are no frames: a wrong checksum, a wrong header, a frame cut off, or TLS."""
    reader_too_slow = enum.auto()
    """More messages waited for the client than `max_unsent_bytes`."""
    not_encrypted = enum.auto()
    """The client spoke plain text where only TLS is served."""
    handshake_failed = enum.auto()
    """The TLS handshake failed."""
    connection_limit_reached = enum.auto()
    """It was refused, as all connections were taken."""
    evicted = enum.auto()
    """Its client had not identified itself, and another one needed the room."""
    not_identified = enum.auto()
    """Its client did not identify itself in time, or sent too much before."""
    memory_limit_reached = enum.auto()
    """It held the most of what all connections together held too much of."""
    not_verified = enum.auto()
    """The server's `verify_request` refused it."""
    thread_start_failed = enum.auto()
    """The machine had no thread left for it."""
    handler_failed = enum.auto()
    """The handler raised an exception, which is logged."""


SendReply = Callable[[EncodedReply | Notice | None], None]
"""Takes the reply to one frame, or None for no reply: exactly once, from any thread; AnsweredTwice for another one.
Before that it takes notices. What cannot be sent ends the connection, but raises nothing."""


class AnsweredTwice(TillwireError):
    """A handler answered a frame that is answered already; nothing was sent."""


class HandlerConnection(Protocol):
    """What a handler's connection does for it, from any thread."""

    def send(self, data: bytes) -> bool:
        """Send messages, each a line, between replies without waiting; False where they can no longer be sent."""

    def unsent_bytes(self) -> int:
        """How much of these messages has not been sent yet."""

    def end(self, reason: EndReason) -> None:
        """End the connection after what is being sent."""

    def fail(self, error: BaseException) -> None:
        """End the connection because the handler failed, and log `error`."""

    def recognise(self) -> None:
        """The client has identified itself."""


class JsonHandler:
    """Answers the messages of one connection. Subclass it and override `handle_message`.

    A server makes a handler for each client and calls it on a thread of that client's own, so it may block. An
    exception that it raises ends this connection, is logged once with an incident id, and disturbs no other client.
    """

    decoder: ClassVar[msgspec.json.Decoder[Any]] = plain_decoder
    """What messages are decoded with: plain data unless a subclass names a type (`msgspec.json.Decoder(Order)`)."""
    peer: Peer
    """The client."""
    server: Any
    """The server that made this handler, for what its handlers share."""
    end_reason: EndReason = EndReason.client_closed
    """Why the connection ended; set before `finish`."""
    _connection: HandlerConnection

    def attach(self, peer: Peer, server: Any, connection: HandlerConnection) -> None:
        """Connect the handler; called once by the server, before `setup`."""
        self.peer, self.server, self._connection = peer, server, connection

    def setup(self) -> None:
        """The connection stands; called once, before any message."""

    def handle_message(self, message: Any) -> Any:
        """The reply to `message`: what JSON can express, a Future of it to reply later, or None for no reply."""
        raise NotImplementedError(f"{type(self).__name__} must override handle_message")

    def may_block(self, frame: bytes) -> bool:  # noqa: ARG002 (for subclasses)
        """With shared handlers: True where the handling of `frame` may wait for something, or takes long.

        It then runs in the server's pool, otherwise on the thread that serves all clients.
        """
        return True

    def handle_timeout(self) -> None:
        """Nothing came for `idle_seconds`: the connection ends, unless this is overridden to do something else."""
        self.close(EndReason.timed_out)

    def finish(self) -> None:
        """The connection has ended, for whatever reason; called once where `setup` succeeded."""

    def send(self, message: Any) -> bool:
        """Send `message` to the client between replies, without waiting, from any thread.

        False where it is not sent: the connection has ended, or is ended now because more than `max_unsent_bytes`
        wait for a client that does not read. Raises NotJson.
        """
        return self._connection.send(encode_message(message) + b"\n")

    @property
    def unsent_bytes(self) -> int:
        """How many bytes of these messages wait for a client that does not read, or has not shown its framing yet."""
        return self._connection.unsent_bytes()

    def close(self, reason: EndReason = EndReason.handler_closed) -> None:
        """End the connection after what is being sent, for `reason` in the log; from any thread."""
        self._connection.end(reason)

    def recognise(self) -> None:
        """The client has identified itself; from any thread, before the reply that tells it so.

        Where a server's `clients_identify` is set, a client is a newcomer until then: it has `newcomer_seconds`, may
        send `newcomer_bytes` ahead, and gives way to other newcomers while it is idle.
        """
        self._connection.recognise()

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        """Answer one frame, its framing removed: by default with `handle_message`, if it is a JSON text.

        Empty frames are ignored, `BYE` ends the connection, and what is no JSON is answered with an object that has
        `error`. A subclass that overrides this must have `answer` called exactly once, now or later, by any thread.
        """
        text = frame.strip()
        if not text:
            answer(None)
        elif len(text) == len(_GOODBYE) and text.upper() == _GOODBYE:
            answer(EncodedReply(b"", close=True))
        else:
            self._answer_text(text, answer)

    def _answer_text(self, text: bytes, answer: SendReply) -> None:
        try:
            message = decode_message(text, self.decoder)
        except NotJson as error:
            answer(encoded({"error": str(error)}))
            return
        reply = self.handle_message(message)
        if isinstance(reply, Future):
            reply.add_done_callback(partial(self._answer_later, answer))
        else:
            answer(encoded(reply))

    def _answer_later(self, answer: SendReply, reply: Future[Any]) -> None:
        try:
            answer(encoded(reply.result()))
        except Exception as error:  # noqa: BLE001 (whatever the handler's work raises)
            self._connection.fail(error)
            answer(None)


def encoded(reply: Any) -> EncodedReply | None:
    """The line of a reply; None for None. NotJson if it holds what JSON cannot express."""
    return None if reply is None else EncodedReply(encode_message(reply) + b"\n", close=False)


class ServerBusy(TillwireError):
    """The server has no room for the client at the moment; it may try again later."""


class ConnectionLimitReached(ServerBusy):
    """All connections are taken."""


class NewcomerEvicted(ServerBusy):
    """The client had not identified itself when another one needed its room."""


class MemoryLimitReached(ServerBusy):
    """All clients together have sent more long frames than the server may hold."""


class NotIdentified(TillwireError):
    """The client did not identify itself in time, or sent too much before."""


ServerRefusal = FramingError | ServerBusy | NotIdentified
"""Why the server ends a connection itself, with a last line that is not the handler's."""
RefusalEncoder = Callable[[ServerRefusal], bytes]
"""Makes the last line of a connection that the server itself ends."""


def encode_refusal(refusal: ServerRefusal) -> bytes:
    """The default last line for `refusal`: a JSON object with `error`."""
    return json.dumps({"error": str(refusal)}).encode() + b"\n"
