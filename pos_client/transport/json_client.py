"""`JsonClient`: a connection to any JSON server, message by message."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any, Literal, Self

from pos_client.protocol.address import AddressLike, address_of_server
from pos_client.protocol.errors import ConnectionLost
from pos_client.protocol.framing import Framer, FramingError, JsocketFramer, LineFramer, jsocket_frame
from pos_client.protocol.json_messages import NotJson, decode_message, encode_message
from pos_client.transport.limits import CONNECT_SECONDS, REPLY_BYTES_MAX, REPLY_SECONDS
from pos_client.transport.stream import ClientStream
from pos_client.transport.tls_stream import Tls, connect_stream

Framing = Literal["jsocket", "lines"]
"""How messages are cut: the frames of the package jsocket (`JSN1`), or a line for each JSON text."""


class JsonClient:
    """A client of a JSON server: objects out and in, over TCP or a Unix socket; used by one thread at a time.

    `address` is `"host:port"`, `"unix:/path"`, or what a server's `addresses` says: a pair or a path. The framing
    `jsocket` suits a server of the package jsocket, which knows nothing else; ours take both. `timeout` is in seconds,
    for each message sent or awaited unless it names its own; connecting has `connect_timeout`. `tls` encrypts: True
    trusts the system's certificate authorities, a path the authority in that PEM file alone.

    ConnectionLost closes the connection: whether what was sent has been carried out is unknown. Use it as a context
    manager, or call `connect` and `close`.
    """

    def __init__(
        self,
        address: AddressLike,
        *,
        framing: Framing = "jsocket",
        timeout: float = REPLY_SECONDS,
        connect_timeout: float = CONNECT_SECONDS,
        tls: Tls = False,
    ) -> None:
        if framing not in ("jsocket", "lines"):
            raise ValueError(f"framing: expected 'jsocket' or 'lines', got {framing!r}")
        self.address = address_of_server(address)
        self.timeout = timeout
        self._connect_timeout = connect_timeout
        self._tls = tls
        self._uses_jsocket = framing == "jsocket"
        self._stream: ClientStream | None = None
        self._framer: Framer = LineFramer()
        self._received: deque[bytes] = deque()
        # What is wrong behind the frames received: those come first.
        self._broken: FramingError | None = None

    def connect(self) -> None:
        """Connect; ConnectionLost where the server cannot be reached, RuntimeError where this is connected already."""
        if self._stream is not None:
            raise RuntimeError(f"this client is connected to {self.address}: close it before it connects again")
        try:
            self._stream = connect_stream(self.address, self._connect_timeout, self.timeout, self._tls)
        except OSError as error:
            reason = error.strerror or error
            raise ConnectionLost(f"The server at {self.address} cannot be reached: {reason}.") from error
        self._framer = JsocketFramer(REPLY_BYTES_MAX) if self._uses_jsocket else LineFramer(REPLY_BYTES_MAX)
        self._received.clear()
        self._broken = None

    def send_obj(self, obj: Any, timeout: float | None = None) -> None:
        """Send one message; NotJson, and nothing is sent, if it holds what JSON cannot express."""
        text = encode_message(obj) + b"\n"
        stream = self._connected()
        try:
            stream.write(jsocket_frame(text) if self._uses_jsocket else text, self._deadline(timeout))
        except OSError as error:
            raise self._lost(error) from error

    def read_obj(self, timeout: float | None = None) -> Any:
        """The next message of the server; TimeoutError where none comes in time: the connection stays open.

        ConnectionLost where the server has closed; FramingError or NotJson, which also close, where its bytes are no
        frames or no JSON.
        """
        stream, deadline = self._connected(), self._deadline(timeout)
        try:
            while not self._received:
                if self._broken is not None:
                    raise self._broken
                self._take(stream.read(deadline))
                if self._framer.pending_bytes:  # the package jsocket sends header and payload apart
                    stream.acknowledge()
            return decode_message(self._received.popleft())
        except TimeoutError as error:
            raise TimeoutError(f"no message of {self.address} came in time") from error
        except OSError as error:
            raise self._lost(error) from error
        except (FramingError, NotJson):
            self.close()
            raise

    def request(self, obj: Any, timeout: float | None = None) -> Any:
        """Send `obj` and return the next message; ConnectionLost where none comes in `timeout` seconds for both.

        For servers that send a message only as a reply. With others, use `send_obj` and `read_obj`.
        """
        deadline = self._deadline(timeout)
        self.send_obj(obj, max(0.0, deadline - time.monotonic()))
        try:
            return self.read_obj(max(0.0, deadline - time.monotonic()))
        except TimeoutError as error:  # a late reply must not be taken for that of the next request
            raise self._lost(error) from error

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _take(self, data: bytes) -> None:
        if not data:
            self._framer.end()
            raise ConnectionResetError("the server closed the connection")
        try:
            self._received.extend(self._framer.feed(data))
        except FramingError as error:
            self._broken = error

    def _connected(self) -> ClientStream:
        if self._stream is None:
            raise RuntimeError(f"this client is not connected to {self.address}: call connect() first")
        return self._stream

    def _deadline(self, timeout: float | None) -> float:
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def _lost(self, error: Exception) -> ConnectionLost:
        self.close()
        return ConnectionLost(f"The connection to {self.address} was lost: {error}.")
