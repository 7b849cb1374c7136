"""`inventory-server web`: serves headquarters' HTTP API and pages until SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from inventory_server.commands.logs import log_to_stderr, logging_without_waiting
from inventory_server.commands.options import db_option, load_settings
from inventory_server.commands.tls_options import NetworkParam, TlsFiles, tls_files
from inventory_server.jsonserver import address_of, listen_on_all
from inventory_server.store import shown
from pos_client.commands import console
from pos_client.protocol.address import Address

DEFAULT_WEB_PORT = 8080
DEFAULT_WEB_LISTEN = f"127.0.0.1:{DEFAULT_WEB_PORT}"


@click.command("web")
@db_option
@click.option(
    "--listen",
    default=DEFAULT_WEB_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    help="Address to listen on for browsers and programs.",
)
@click.option("--tls-certificate", type=click.Path(path_type=Path, dir_okay=False), help="PEM file: serve HTTPS.")
@click.option("--tls-key", type=click.Path(path_type=Path, dir_okay=False), help="PEM file with its private key.")
@click.option(
    "--allow-plaintext",
    multiple=True,
    type=NetworkParam(),
    metavar="NETWORK",
    help="Network whose clients need no HTTPS, such as a VPN's; repeatable. Loopback only by default.",
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Reverse proxy whose X-Forwarded-For and X-Forwarded-Proto are believed; repeatable.",
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Origin, such as https://shop.example, whose pages may call the API with a token; repeatable.",
)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with settings, the same as of serve.")
@click.option("--until-input-ends", is_flag=True, help="Also end when standard input does: for who starts it.")
@click.option("--verbose", is_flag=True, help="Log every request.")
def web(
    db: str,
    listen: str,
    tls_certificate: Path | None,
    tls_key: Path | None,
    allow_plaintext: Sequence[str],
    proxies: Sequence[str],
    origins: Sequence[str],
    config: Path | None,
    until_input_ends: bool,
    verbose: bool,
) -> int:
    """Serve the HTTP API of the ledger until SIGTERM or Ctrl-C.

    It reads the ledger itself and has the server on this machine make changes, so both run as one user. It needs
    tillwire[web].
    """
    log_to_stderr(verbose)
    settings = load_settings(config)
    process = web_process()
    address = web_address(listen)
    tls = tls_files(tls_certificate, tls_key, None, allow_plaintext)
    tls.assert_encrypted([address])
    certificate = None if tls.certificate is None or tls.key is None else (tls.certificate, tls.key)
    sockets = listen_on_all([address], settings)
    places = [address_of(each) for each in sockets]
    if until_input_ends:
        process.end_with_parent()
    with logging_without_waiting(), ExitStack() as opened:
        for each in sockets:
            opened.callback(each.close)
        process.serve_web(db, settings, sockets, lambda: _announce(places, db), origins, proxies, certificate)
    console.say("inventory-server: the web process has stopped.")
    return console.OK


def web_address(text: str) -> Address:
    """Where the web process listens; CommandError for what is no address."""
    try:
        address = Address.parse_listen(text)
    except ValueError as error:
        raise console.CommandError(str(error)) from error
    if address.path is not None:
        raise console.CommandError(f"Cannot serve pages on {text!r}: expected HOST:PORT, which a browser can open.")
    return address


def web_process() -> Any:
    """The module that serves; CommandError without the extra that it needs."""
    try:
        return import_process()
    except ModuleNotFoundError as error:
        raise console.CommandError(
            f"{error.name} is missing, which the web process needs: pip install 'tillwire[web]'"
        ) from error


def import_process() -> Any:
    """The module, imported only where it is needed: other commands do without the extra."""
    from inventory_server.web import process

    return process


def command_line(listen: str, config: Path | None, tls: TlsFiles) -> list[str]:
    """The command by which a server starts the web process beside itself; the ledger is in the environment."""
    options = ["--listen", listen, "--until-input-ends"]
    for name, value in (("--config", config), ("--tls-certificate", tls.certificate), ("--tls-key", tls.key)):
        if value is not None:
            options += [name, str(value)]
    for network in tls.allow_plaintext:
        options += ["--allow-plaintext", network]
    return [sys.executable, "-m", "inventory_server.cli", "web", *options]


def _announce(places: Sequence[Address], db: str) -> None:
    where = ", ".join(map(str, places))
    console.say(f"inventory-server: web pages and API on {where} from {shown(db)}")
    sys.stdout.flush()
