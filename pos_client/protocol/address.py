"""An address to connect to or to listen on: a TCP host and port, or the path of a Unix socket."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_PORT = 29876
"""The TCP port of headquarters where an address names none."""

_UNIX = "unix:"
_TCP = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?\Z")


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP host and port, or a Unix socket's `path`; `str` writes it as `parse` reads it."""

    host: str
    port: int
    path: str | None = None

    @classmethod
    def unix(cls, path: str) -> Address:
        """The address of the Unix socket at `path`."""
        return cls("", 0, path)

    @classmethod
    def parse(cls, text: str) -> Address:
        """A server's address: `host`, `host:port`, `[::1]:port` or `unix:/path.sock`; ValueError for anything else."""
        address = _read(text)
        if address is None or not (address.path or (address.host and address.port)):
            raise ValueError(f"{text!r} is no address: give host, host:port, [::1]:port or unix:/path.sock")
        return address

    @classmethod
    def parse_listen(cls, text: str) -> Address:
        """As `parse`, for an address to listen on: port 0 is any free one, `:port` listens on all IPv4 interfaces."""
        address = _read(text)
        if address is None:
            raise ValueError(f"Cannot listen on {text!r}: expected HOST:PORT or [IPv6]:PORT, port 0 to 65535.")
        return address if address.host or address.path else cls("0.0.0.0", address.port)  # noqa: S104 (as documented)

    def __str__(self) -> str:
        if self.path is not None:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


AddressLike = str | tuple[str, int]
"""A server's address: text as for `Address.parse`, the path of a Unix socket, or a pair of host and port."""


def address_of_server(given: AddressLike) -> Address:
    """The address that `given` says; ValueError where it is none."""
    if isinstance(given, tuple):
        return Address(*given)
    return Address.unix(given) if given.startswith("/") else Address.parse(given)


def _read(text: str) -> Address | None:
    """What `text` says, its host empty where it names none; None where it is no address."""
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        return Address.unix(path) if path else None
    found = _TCP.match(text)
    port = int(found["port"] or DEFAULT_PORT) if found else 0
    if found is None or not text or port > 65_535:
        return None
    return Address(found["bracketed"] or found["host"], port)
