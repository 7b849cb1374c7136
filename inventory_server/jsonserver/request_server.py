"""`RequestServer`: one request and one reply per connection, text or JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from inventory_server.jsonserver.handler import EncodedReply, JsonHandler, RefusalEncoder, SendReply, encode_refusal
from inventory_server.jsonserver.limits import DEFAULT_LIMITS, NetworkLimits, ServerOptions
from inventory_server.jsonserver.places import ServerPlace
from inventory_server.jsonserver.server import JsonServer
from inventory_server.jsonserver.tls import ServerTls
from inventory_server.jsonserver.turns import Handlers
from pos_client.protocol.json_messages import NotJson, decode_message, encode_message


class RequestServer(JsonServer):
    """Answers one request per connection with `handle_request`, overridden in a subclass or passed, and hangs up.

    A request is a line. One that begins with `{` or `[` is JSON: the function gets its data, and its result is sent as
    JSON. Any other is text in UTF-8: the function gets the `str`, and its result is sent as it is if it is a `str` in
    one line, else as JSON. `text_only` makes every request text. Several clients are served at a time, each on a
    thread of its own. `start`, `run` and `stop` are those of every server here.
    """

    def __init__(
        self,
        *addresses: ServerPlace,
        handle_request: Callable[[Any], Any] | None = None,
        text_only: bool = False,
        limits: NetworkLimits = DEFAULT_LIMITS,
        reuse_address: bool = True,
        encode_refusal: RefusalEncoder = encode_refusal,
        handlers: Handlers = "thread",
        tls: ServerTls | None = None,
        **options: Unpack[ServerOptions],
    ) -> None:
        if handle_request is None and type(self).handle_request is RequestServer.handle_request:
            raise TypeError("a RequestServer needs handle_request: override it, or pass a function")
        answer = handle_request or self.handle_request
        super().__init__(
            lambda: _RequestHandler(answer, text_only),
            *addresses,
            limits=limits,
            reuse_address=reuse_address,
            encode_refusal=encode_refusal,
            handlers=handlers,
            tls=tls,
            **options,
        )

    def handle_request(self, request: Any) -> Any:
        """The reply to `request`: text or what JSON can express; None is the JSON text `null`."""
        raise NotImplementedError

    def run(self) -> None:
        """Serve in the calling thread until `stop` is called elsewhere, or Ctrl-C."""
        self.serve_forever()


class _RequestHandler(JsonHandler):
    """Answers one request, and ends the connection."""

    def __init__(self, answer: Callable[[Any], Any], text_only: bool) -> None:
        self._answer_request = answer
        self._text_only = text_only

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        text = frame.strip()
        if not text:
            answer(None)
            return
        try:
            reply = self._reply_to(text)
        except _BadRequest as error:
            reply = encode_message({"error": str(error)})
        answer(EncodedReply(reply + b"\n", close=True))

    def _reply_to(self, text: bytes) -> bytes:
        is_json = text[:1] in (b"{", b"[") and not self._text_only
        try:
            request = decode_message(text) if is_json else text.decode()
        except (NotJson, UnicodeDecodeError) as error:
            raise _BadRequest(error if is_json else f"expected a line of UTF-8 text: {error}") from error
        reply = self._answer_request(request)
        if is_json or not isinstance(reply, str):
            return encode_message(reply)
        if len(reply.splitlines()) > 1:
            raise ValueError(f"expected a reply in one line to a request in text, got {len(reply.splitlines())} lines")
        return reply.encode()


class _BadRequest(Exception):
    """The request is neither text nor JSON."""
