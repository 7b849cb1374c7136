"""What is attacked: where it listens, whom it knows, and a client of plain lines to talk to it."""

from __future__ import annotations

import json
import socket
import struct
import time
import uuid
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any

AUTHORITY = Path(__file__).parents[1] / "support" / "certificates" / "ca.pem"
ANSWER_SECONDS = 60.0
"""How long a client waits for an answer: as long as a till does."""


@cache
def _context() -> SSLContext:
    return create_default_context(cafile=str(AUTHORITY))


@dataclass(frozen=True)
class Target:
    """A server on loopback; every terminal that it knows has the token `token`."""

    port: int
    is_tls: bool
    token: str = "secret"

    def save(self, path: Path) -> None:
        """Write it for another process."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Target:
        """What `save` has written."""
        return cls(**json.loads(path.read_text()))

    def plain_socket(self, receive_bytes: int | None = None) -> socket.socket:
        """A TCP connection; with `receive_bytes` its client's kernel takes no more than about that."""
        sock = socket.socket()
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.settimeout(ANSWER_SECONDS)
        sock.connect(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self, receive_bytes: int | None = None) -> socket.socket:
        """The same, inside TLS where the target speaks that."""
        sock = self.plain_socket(receive_bytes)
        return _context().wrap_socket(sock, server_hostname="localhost") if self.is_tls else sock

    def reset(self, sock: socket.socket) -> None:
        """Close a connection with a reset."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    def client(self, terminal: str | None = None, **hello: Any) -> Client:
        """A client, which has said hello where it has a name."""
        client = Client(self)
        if terminal is not None:
            client.hello(terminal, **hello)
        return client


class Client:
    """One connection that sends requests and reads lines; ConnectionError where it is over."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.socket = target.connect()
        self._lines = self.socket.makefile("rb")

    def send(self, *messages: Any) -> None:
        """Send messages, or bytes as they are, each as a line, all at once."""
        self.socket.sendall(b"".join(each if isinstance(each, bytes) else encoded(each) for each in messages))

    def read_line(self) -> bytes:
        """The next line."""
        line = self._lines.readline()
        if not line:
            raise ConnectionResetError("the server has closed the connection")
        return line

    def call(self, method: str, **params: Any) -> Any:
        """The answer to a request."""
        self.send({"id": 1, "method": method, "params": params})
        return json.loads(self.read_line())

    def hello(self, terminal: str, **params: Any) -> Any:
        """Say hello; ConnectionError if that is refused."""
        answer = self.call("hello", terminal=terminal, token=self._target.token, **params)
        if "result" not in answer:
            raise ConnectionRefusedError(answer["error"]["message"])
        return answer["result"]

    def post(self, *items: Any) -> Any:
        """The answer to a frame of postings."""
        return self.call("post", postings=list(items))

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self.socket.close()


def encoded(message: Any) -> bytes:
    """A line of JSON."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def now() -> str:
    """This instant."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def posting(kind: str = "sale", at: str | None = None, seq: int | None = None, **fields: Any) -> dict[str, Any]:
    """An item of `post` under a new id; `fields` are those of its body, one line of a SKU unless they say otherwise."""
    body = {"type": kind, "occurred_at": at or now(), **fields}
    if kind != "void":
        body.setdefault("lines", [{"sku": "ODD", "quantity": 1}])
    item: dict[str, Any] = {"id": str(uuid.uuid4()), "body": body}
    return item if seq is None else item | {"seq": seq}
