"""`inventory-server serve`: runs the server until SIGTERM or SIGINT."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from inventory_server.admin.control_socket import ControlServer
from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.commands.logs import flush_log, log_to_stderr, logging_without_waiting
from inventory_server.commands.options import counted, db_option, load_settings
from inventory_server.commands.signals import stop_signals
from inventory_server.commands.tls_options import TlsFiles, renew, tls_files, tls_options
from inventory_server.commands.web import command_line, web_address, web_process
from inventory_server.config import ENDING_SECONDS, GC_THRESHOLDS, WORKERS_MAX, Settings
from inventory_server.domain.answers import TerminalRow
from inventory_server.domain.door import Reader
from inventory_server.domain.requests import AdviseOnGrowth, ListTerminals
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.jsonserver import InterpreterTurn, ListenTarget, address_of, close_listener, listen_on_all
from inventory_server.keeper import Keeper
from inventory_server.store import LedgerStore, StoreError, open_store, shown, sqlite_path, upgrade
from inventory_server.supervisor import Supervisor
from inventory_server.systemd import activated_sockets, notify
from pos_client.commands import console
from pos_client.protocol.address import DEFAULT_PORT, Address

DEFAULT_LISTEN = f"127.0.0.1:{DEFAULT_PORT}"


@click.command("serve")
@db_option
@click.option(
    "--listen",
    multiple=True,
    metavar="HOST:PORT",
    help=f"Address to listen on, {DEFAULT_LISTEN} by default; repeatable. A name stands for all its addresses here.",
)
@click.option("--unix", "sockets", multiple=True, metavar="PATH", help="Unix socket to listen on; repeatable.")
@tls_options
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with settings.")
@click.option("--dev", is_flag=True, help="Development only: clients on this machine need no token.")
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=1,
    show_default=True,
    help="Processes that share the addresses; more than one requires PostgreSQL.",
)
@click.option(
    "--read-db",
    envvar="TILLWIRE_READ_DB",
    metavar="URL",
    help="Standby of the ledger's database; answers queries.",
)
@click.option(
    "--web",
    "web_listen",
    metavar="HOST:PORT",
    help="Also start the web process on this address, and again if it ends; needs tillwire[web].",
)
@click.option("--verbose", is_flag=True, help="Log every request and connection.")
def serve(
    db: str,
    listen: Sequence[str],
    sockets: Sequence[str],
    config: Path | None,
    dev: bool,
    workers: int,
    read_db: str | None,
    web_listen: str | None,
    verbose: bool,
    **tls_given: Any,
) -> int:
    """Run the server until SIGTERM or Ctrl-C; it then answers the requests in flight and exits.

    SIGHUP has it read its TLS files again.
    """
    log_to_stderr(verbose)
    settings = load_settings(config)
    collect_rarely()
    passed = activated_sockets()
    if passed and (listen or sockets):
        raise console.CommandError("systemd has passed sockets to listen on: leave out --listen and --unix.")
    addresses = [address_of(each) for each in passed] or listen_addresses(listen, sockets)
    tls = tls_files(**tls_given)
    tls.assert_encrypted(addresses)
    keeper = None if web_listen is None else web_keeper(db, web_listen, config, tls)

    def serve_here(places: Sequence[ListenTarget], ready: Callable[[Application], None]) -> int:
        turn = InterpreterTurn()
        store = open_store(db, settings, now_microseconds, end_at_once, read_db, turn=turn, preload=True)
        if workers == 1:
            check_before_serving(store, dev)
        with logging_without_waiting():
            return _serve_until_stopped(db, store, settings, places, tls, dev, ready, turn)

    tls.open()  # here, so that an error is reported once and before anything is made
    if workers == 1:
        make_missing(db, dev)
        with kept(keeper, settings.drain_seconds):
            return serve_here(passed or addresses, lambda application: announce(application.addresses, shown(db), dev))
    if sqlite_path(db) is not None:
        raise console.CommandError(
            f"An SQLite database has one writing process: leave out --workers {workers}, or use PostgreSQL."
        )
    # Opened here first, so that an error is reported once, not by every worker.
    store = open_store(db, settings, now_microseconds, read_url=read_db)
    check_before_serving(store, dev)
    store.close()
    listening = passed or listen_on_all(addresses, settings)

    def close_listeners() -> None:
        for each in listening:
            each.close() if passed else close_listener(each)

    where = [address_of(each) for each in listening]
    supervisor = Supervisor(
        workers,
        lambda ready: serve_here(listening, lambda _: ready()),
        settings.drain_seconds,
        close_listeners,
        forwarded=tls.signals,
        beside=None if keeper is None else partial(keep, keeper, settings.drain_seconds),
    )
    return supervisor.run(lambda: announce(where, shown(db), dev))


def web_keeper(db: str, listen: str, config: Path | None, tls: TlsFiles) -> Keeper:
    """What keeps the web process running; CommandError where that could not serve."""
    web_process()
    tls.assert_encrypted([web_address(listen)])
    return Keeper("web", command_line(listen, config, tls), {"TILLWIRE_DB": db})  # a URL may hold a password


@contextmanager
def kept(keeper: Keeper | None, seconds: float) -> Iterator[None]:
    """Have the program of `keeper` run during the block; it has `seconds` to end."""
    if keeper is None:
        yield
        return
    keeper.start()
    try:
        yield
    finally:
        keeper.close(seconds)


def keep(keeper: Keeper, seconds: float, ready: Callable[[], None]) -> int:
    """Have the program of `keeper` run until SIGTERM: the work of a process beside the workers."""
    wait_for_stop = stop_signals()
    with kept(keeper, seconds):
        ready()
        wait_for_stop()
    return console.OK


def listen_addresses(listen: Sequence[str], sockets: Sequence[str]) -> list[Address]:
    """Where to listen by the options `--listen` and `--unix`; CommandError if one is invalid."""
    try:
        tcp = [Address.parse_listen(text) for text in listen or ([] if sockets else [DEFAULT_LISTEN])]
    except ValueError as error:
        raise console.CommandError(str(error)) from error
    return tcp + [Address.unix(path) for path in sockets]


def _serve_until_stopped(
    db: str,
    store: LedgerStore,
    settings: Settings,
    places: Sequence[ListenTarget],
    tls_files: TlsFiles,
    dev: bool,
    ready: Callable[[Application], None],
    turn: InterpreterTurn,
) -> int:
    wait_for_stop = stop_signals(tls_files.signals)
    tls = tls_files.open()
    server = f"tillwire {version('tillwire')}"
    application = Application(
        settings,
        store,
        places,
        dev=dev,
        server=server,
        tls=tls,
        on_failure=end_without_clients,
        hangs_up_on_revoked=True,
        turn=turn,
    )
    control = _control_server(db, store, settings, application)
    try:
        if control is not None:
            control.start()
        application.start()
        ready(application)
        wait_for_stop(partial(renew, tls))
    finally:
        application.drain()
        with _ended_after(settings.drain_seconds + ENDING_SECONDS):
            forced = _stop(application, control, settings.drain_seconds)
    how = f"{counted(forced, 'connection')} closed by force" if forced else "all connections closed cleanly"
    console.say(f"inventory-server: stopped; {how}.")
    return console.OK


def _control_server(db: str, store: LedgerStore, settings: Settings, application: Application) -> ControlServer | None:
    """The control socket; None where it cannot be had and is not needed: on PostgreSQL commands write themselves."""
    try:
        return ControlServer(
            db,
            store,
            settings,
            now_microseconds,
            application.clients,
            end_without_clients,
            lambda: application.counters.metrics(application.connections, store.counters),
        )
    except StoreError as error:
        console.say(f"inventory-server: {error} The command clients will not list this server's.", err=True)
        return None


def _stop(application: Application, control: ControlServer | None, seconds: float) -> int:
    """Stop both servers within one deadline; return how many connections were closed by force."""
    deadline = time.monotonic() + seconds
    forced = 0
    try:
        if control is not None:
            forced = control.stop(seconds)
    finally:
        forced += application.stop(max(0.0, deadline - time.monotonic()))
    return forced


def make_missing(db: str, dev: bool) -> None:
    """Create an SQLite ledger if there is none at the default path or, with `dev`, at any path.

    Any other path without a file may be that of an unmounted disk: opening the store refuses it.
    """
    by_hand = click.get_current_context().get_parameter_source("db") is not ParameterSource.DEFAULT
    path = sqlite_path(db)
    if path is None or os.path.lexists(path) or (by_hand and not dev):
        return
    upgrade(db)
    console.say(f"inventory-server: made a new ledger, {shown(db)}.")


def check_before_serving(ledger: Reader, dev: bool) -> None:
    """Print a warning if the ledger needs new partitions soon; CommandError where `dev` would open it to anybody.

    A peer that a tunnel forwards is a program on this machine, too. A ledger that is refused is closed.
    """
    terminals: list[TerminalRow] = ledger.ask(ListTerminals(actor=HEADQUARTERS))
    if dev and (enrolled := [row.terminal for row in terminals if row.has_token]):
        ledger.close()
        raise console.CommandError(
            f"Terminals of this ledger have tokens ({counted(len(enrolled), 'terminal')}, such as {enrolled[0]}), and "
            "with --dev nobody needs one: leave out --dev, or use another ledger for trials."
        )
    if warning := ledger.ask(AdviseOnGrowth(actor=HEADQUARTERS)):
        console.say(f"inventory-server: {warning}", err=True)


def collect_rarely() -> None:
    """Run the cycle collector less often: reference counts free nearly everything; it took a fifth of a sale's time."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def announce(addresses: Sequence[Address], db: str, dev: bool) -> None:
    """Print where the server listens, tell systemd that it does, and print a warning in development mode."""
    if dev:
        console.say(
            "inventory-server: DEVELOPMENT MODE: every program on this machine may post without a token.", err=True
        )
    where = ", ".join(map(str, addresses))
    console.say(f"inventory-server: serving on {where} from {db}")
    sys.stdout.flush()
    notify(f"READY=1\nSTATUS=serving on {where}")


def end_at_once(error: Exception) -> None:
    """Exit at once when the store can no longer be trusted: nothing more may be answered or written."""
    console.say(f"inventory-server: {error} Check the disk, then start the server again.", err=True)
    _exit(console.CANNOT)


def end_without_clients(error: Exception) -> None:
    """Exit at once when clients can no longer be served: whoever watches the process, such as systemd, restarts it."""
    console.say(
        f"inventory-server: clients can no longer be served, since {type(error).__name__} was raised: {error}. "
        "The log has the details; start the server again.",
        err=True,
    )
    _exit(console.CANNOT)


def _exit(code: int) -> None:
    flush_log()
    os._exit(code)


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Exit if the block takes longer: a database that does not answer can block its threads for ever."""
    timer = threading.Timer(seconds, _end_without_the_database)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


def _end_without_the_database() -> None:
    """A commit in progress is not answered, as after a crash."""
    said = "the database did not answer in time; stopped anyway. Tills resend what was not answered."
    console.say(f"inventory-server: {said}", err=True)
    _exit(console.FOUND_PROBLEMS)
