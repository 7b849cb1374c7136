"""`inventory-server pki`: a private certificate authority, and certificates of servers and clients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from inventory_server.commands.options import checked, json_option
from inventory_server.commands.token_file import write_new
from inventory_server.config import PKI_AUTHORITY_DAYS, PKI_CERTIFICATE_DAYS
from pos_client.commands import console
from pos_client.protocol.fields import TerminalName

if TYPE_CHECKING:
    from inventory_server.pki import KeyPair

F = TypeVar("F", bound=Callable[..., Any])
_AUTHORITY = "ca"
folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="pki",
    show_default=True,
    help="Where the files are; who can read ca.key there can make certificates.",
)


def _days_option(default: int) -> Callable[[F], F]:
    return click.option(
        "--days", type=click.IntRange(1), default=default, show_default=True, help="How long it is valid."
    )


@click.group("pki")
def pki() -> None:
    """Make certificates for TLS with an authority of your own; needs tillwire[tls]."""


@pki.command("authority")
@click.option("--name", default="Tillwire", show_default=True, help="The authority's name in certificates.")
@folder_option
@_days_option(PKI_AUTHORITY_DAYS)
@json_option
def authority(name: str, folder: Path, days: int, as_json: bool) -> int:
    """Make the authority: ca.pem, which clients trust, and ca.key, which signs."""
    checked(name, TerminalName, "a name of 1 to 64 letters, digits, dots, dashes or underscores")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = _pki().make_authority(name, datetime.now(UTC), days)
    _write(folder, _AUTHORITY, made.key, made.certificate, renew=False)
    files = {"certificate": str(folder / "ca.pem"), "key": str(folder / "ca.key")}
    sentence = f"Made the authority {name}: {files['certificate']} is for clients; keep {files['key']} secret."
    console.say_or_json(as_json, sentence, **files)
    return console.OK


@pki.command("server")
@click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
@click.option("--renew", is_flag=True, help="Replace the files of an earlier certificate.")
@folder_option
@_days_option(PKI_CERTIFICATE_DAYS)
@json_option
def server(hosts: Sequence[str], renew: bool, folder: Path, days: int, as_json: bool) -> int:
    """Make the server's certificate for the names or IP addresses HOST by which clients reach it.

    A running server serves a renewed one from SIGHUP on.
    """
    return _sign("server", "server", list(hosts), renew, folder, days, as_json)


@pki.command("client")
@click.argument("name")
@click.option("--renew", is_flag=True, help="Replace the files of an earlier certificate.")
@folder_option
@_days_option(PKI_CERTIFICATE_DAYS)
@json_option
def client(name: str, renew: bool, folder: Path, days: int, as_json: bool) -> int:
    """Make the certificate of the client NAME, for a server that demands one (--tls-client-ca)."""
    checked(name, TerminalName, "a name of 1 to 64 letters, digits, dots, dashes or underscores")
    if name in (_AUTHORITY, "server"):
        raise console.CommandError(f"{name}.pem is the file of another certificate: choose another name.")
    return _sign("client", name, [], renew, folder, days, as_json)


def _sign(
    purpose: Literal["server", "client"],
    name: str,
    hosts: list[str],
    renew: bool,
    folder: Path,
    days: int,
    as_json: bool,
) -> int:
    made = _pki()
    above = made.KeyPair(_read(folder / "ca.key"), _read(folder / "ca.pem"))
    pair: KeyPair = made.make_certificate(above, purpose, hosts[0] if hosts else name, hosts, datetime.now(UTC), days)
    # The server hands its authority out to tills that enrol: the last certificate in its file.
    _write(folder, name, pair.key, pair.certificate + above.certificate, renew)
    files = {"certificate": str(folder / f"{name}.pem"), "key": str(folder / f"{name}.key")}
    whose = f"server at {', '.join(hosts)}" if hosts else f"client {name}"
    sentence = f"Made the certificate of the {whose}: {files['certificate']}, and its key {files['key']}."
    console.say_or_json(as_json, sentence, **files)
    return console.OK


def _pki() -> Any:
    """The module that makes certificates; CommandError without the extra that it needs."""
    try:
        from inventory_server import pki as made
    except ModuleNotFoundError as error:
        raise console.CommandError(
            f"{error.name} is missing, which makes certificates: pip install 'tillwire[tls]'"
        ) from error
    return made


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise console.CommandError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}. Make an authority with: "
            "inventory-server pki authority, or name its folder with --folder."
        ) from error


def _write(folder: Path, name: str, key: str, certificate: str, renew: bool) -> None:
    """Write both files so that neither is ever incomplete; the key first, as it is of no use without the other."""
    targets = {folder / f"{name}.key": key, folder / f"{name}.pem": certificate}
    if not renew and (there := [path for path in targets if path.exists()]):
        raise console.CommandError(f"{there[0]} exists already: remove it, or use another folder or --renew.")
    for path, text in targets.items():
        write_new(path.with_name(f"{path.name}.new"), text.splitlines())
    for path in targets:
        path.with_name(f"{path.name}.new").replace(path)
