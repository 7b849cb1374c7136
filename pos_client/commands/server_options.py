"""The options that name HQ: its address, and whether and how to encrypt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from pos_client.protocol.address import Address
from pos_client.transport.connection import Connection
from pos_client.transport.limits import CONNECT_SECONDS
from pos_client.transport.tls_stream import ClientTls, Tls

F = TypeVar("F", bound=Callable[..., Any])
_META = "tillwire.tls"


@dataclass(frozen=True, slots=True)
class Hq:
    """Where HQ is, and how to connect to it; `tls` is None where no option says so."""

    address: Address
    tls: Tls | None

    def __str__(self) -> str:
        return str(self.address)

    def connect(self, timeout_seconds: float = CONNECT_SECONDS, authority: Path | None = None) -> Connection:
        """A connection to HQ; ConnectionLost if it cannot be reached in time, HqRefused as `Connection.open`.

        `authority` is trusted where no option says how to encrypt; None: it is not encrypted.
        """
        return Connection.open(self.address, timeout_seconds, tls=self.tls or authority or False)


class ServerAddress(click.ParamType[Address]):
    """HOST, HOST:PORT, [IPv6]:PORT or unix:PATH."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """The address in `value`."""
        try:
            return value if isinstance(value, Address) else Address.parse(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


def _note(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep the value of a TLS option for `_hq`, which is called after those of eager options."""
    ctx.meta.setdefault(_META, {})[param.name] = value


def _hq(ctx: click.Context, _: click.Parameter, address: Address) -> Hq:
    given = ctx.meta.get(_META, {})
    authority, certificate, key = (given.get(name) for name in ("tls_ca", "tls_certificate", "tls_key"))
    if key is not None and certificate is None:
        raise click.UsageError("Expected --tls-certificate with --tls-key, got the key alone: name both files.")
    if certificate is not None:
        return Hq(address, ClientTls(authority, certificate, key))
    return Hq(address, authority or (True if given.get("tls") else None))


def _tls_file(name: str, explained: str) -> Callable[[F], F]:
    return click.option(
        f"--{name}",
        envvar=f"TILLWIRE_{name.upper().replace('-', '_')}",
        type=click.Path(path_type=Path, dir_okay=False),
        is_eager=True,
        expose_value=False,
        callback=_note,
        help=explained,
    )


def server_option(command: F) -> F:
    """The option `--server` and those of TLS, together one argument `server`, an `Hq`."""
    for option in (
        _tls_file("tls-key", "PEM file with the key of that certificate, if it is not in the same file."),
        _tls_file("tls-certificate", "PEM file with this client's own certificate, for a server that demands one."),
        _tls_file("tls-ca", "Encrypt, and trust the certificate authority in this PEM file alone."),
        click.option(
            "--tls",
            envvar="TILLWIRE_TLS",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_note,
            help="Encrypt, and trust this system's certificate authorities.",
        ),
        click.option(
            "--server",
            envvar="TILLWIRE_SERVER",
            type=ServerAddress(),
            default="127.0.0.1",
            show_default=True,
            callback=_hq,
            help="HQ's address: HOST[:PORT] or unix:PATH.",
        ),
    ):
        command = option(command)
    return command
