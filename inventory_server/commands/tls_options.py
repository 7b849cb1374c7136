"""The options of `serve` that say who encrypts: the certificate, whose clients are trusted, who may do without TLS."""

from __future__ import annotations

import ipaddress
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from inventory_server.jsonserver import LOOPBACK_NETWORKS, CannotListen, Networks, ServerTls
from pos_client.commands.console import CommandError
from pos_client.protocol.address import Address

F = TypeVar("F", bound=Callable[..., Any])
log = logging.getLogger("tillwire.tls")
_file = click.Path(path_type=Path, dir_okay=False)


class NetworkParam(click.ParamType[str]):
    """A network in CIDR notation."""

    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The network in `value`."""
        try:
            return str(ipaddress.ip_network(value))
        except ValueError as error:
            return self.fail(f"expected a network such as 10.8.0.0/16 or fd00::/8: {error}", param, ctx)


def tls_options(command: F) -> F:
    """The options from which `tls_files` is made."""
    for option in (
        click.option(
            "--allow-plaintext",
            multiple=True,
            type=NetworkParam(),
            metavar="NETWORK",
            help="Network whose clients need no TLS, such as a VPN's; repeatable. Loopback only by default.",
        ),
        click.option("--tls-client-ca", type=_file, help="PEM file: clients need a certificate of this authority."),
        click.option("--tls-key", type=_file, help="PEM file with the certificate's private key."),
        click.option(
            "--tls-certificate", type=_file, help="PEM file with the server's certificate, and its authority's last."
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of the server's TLS; no certificate: it has none."""

    certificate: Path | None
    key: Path | None
    client_authorities: Path | None
    allow_plaintext: Sequence[str]

    @property
    def signals(self) -> Sequence[signal.Signals]:
        """Those at which the files are read again: SIGHUP; without TLS it ends the server as it does any program."""
        return () if self.certificate is None else (signal.SIGHUP,)

    def open(self) -> ServerTls | None:
        """The server's TLS; CannotListen for a file that cannot be used."""
        if self.certificate is None or self.key is None:
            return None
        return ServerTls(self.certificate, self.key, self.allow_plaintext, self.client_authorities)

    def assert_encrypted(self, listeners: Sequence[Address]) -> None:
        """CommandError where others could reach one of `listeners` and there is no TLS."""
        if self.certificate is not None:
            return
        plaintext = Networks(self.allow_plaintext)
        for each in listeners:
            if not plaintext.hold_all_clients_of(each):
                raise CommandError(
                    f"Cannot listen on {each}: others can reach it, and there is no TLS: give --tls-certificate and "
                    "--tls-key (inventory-server pki makes both), or name a safe network with --allow-plaintext."
                )


def tls_files(
    tls_certificate: Path | None, tls_key: Path | None, tls_client_ca: Path | None, allow_plaintext: Sequence[str]
) -> TlsFiles:
    """What the options say; CommandError where one of them lacks another."""
    if (tls_certificate is None) != (tls_key is None):
        raise CommandError("--tls-certificate and --tls-key are given together: name both files.")
    if tls_client_ca is not None and tls_certificate is None:
        raise CommandError("--tls-client-ca needs --tls-certificate and --tls-key: name these files, too.")
    return TlsFiles(tls_certificate, tls_key, tls_client_ca, allow_plaintext or LOOPBACK_NETWORKS)


def renew(tls: ServerTls | None) -> None:
    """Have new connections get the certificate that is in the files now; where that fails, the old one, and log it."""
    if tls is None:
        return
    try:
        tls.reload()
    except CannotListen as error:
        log.error("event=certificate_not_renewed error=%s", error)
    else:
        log.info("event=certificate_renewed")
