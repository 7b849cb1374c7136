"""`inventory-server observe`: notices what has to be known, and delivers alerts, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click

from inventory_server.clock import now_microseconds
from inventory_server.commands.logs import log_to_stderr, logging_without_waiting
from inventory_server.commands.options import counted, db_option, load_settings
from inventory_server.commands.signals import stop_signals
from inventory_server.observer.lock import only_observer
from inventory_server.observer.process import ObserverProcess
from inventory_server.observer.targets import AlertTarget, TargetsError, read_targets
from inventory_server.store import shown
from pos_client.commands import console

targets_option = click.option(
    "--targets",
    "targets_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TILLWIRE_TARGETS",
    help="TOML file with who is told of alerts.",
)


@click.command("observe")
@db_option
@targets_option
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with settings, the same as of serve.")
@click.option("--verbose", is_flag=True, help="Log more.")
def observe(db: str, targets_file: Path | None, config: Path | None, verbose: bool) -> int:
    """Watch the ledger, prove levels and deliver alerts until SIGTERM or Ctrl-C; one process for each ledger.

    It reads the ledger itself and has the server on this machine note what it finds, so both run as one user. While
    either is away it waits. Without targets, alerts are only listed: inventory-server alerts list.
    """
    log_to_stderr(verbose)
    settings = load_settings(config)
    targets = targets_of(targets_file)
    wait_for_stop = stop_signals()
    with only_observer(db), logging_without_waiting():
        process = ObserverProcess(db, settings, now_microseconds, targets, _stop_this_process)
        process.start()
        console.say(f"inventory-server: observing {shown(db)}, {counted(len(targets), 'target')}.")
        wait_for_stop()
        has_ended = process.stop()
    if process.failure is not None:
        raise console.CommandError(f"The observer has ended: {process.failure}")
    if not has_ended:
        console.say("inventory-server: a delivery did not end in time; it will be repeated.", err=True)
    console.say("inventory-server: the observer has stopped.")
    return console.OK


def targets_of(path: Path | None) -> dict[str, AlertTarget]:
    """The targets in a file, none without one; CommandError if it cannot be used."""
    try:
        return {} if path is None else read_targets(path)
    except TargetsError as error:
        raise console.CommandError(str(error)) from error


def _stop_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
