"""`inventory-server db copy` and `db compare`: a ledger moves to another database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from inventory_server.commands.database import show_proof
from inventory_server.commands.options import db_option, json_option, office_of
from inventory_server.config import SHOWN_DIGEST_DIGITS
from inventory_server.domain.answers import Comparison, Proof
from inventory_server.domain.requests import Compare, CopyFrom, MarkMoved, UnmarkMoved, Verify
from inventory_server.store import OutcomeUnknown, StoreError, lasting_url, shown
from pos_client.commands import console


@click.command("copy")
@click.option("--from", "source", required=True, metavar="URL", help="The ledger to copy; its servers must be stopped.")
@click.option("--to", "target", required=True, metavar="URL", help="An empty ledger, created with: db upgrade.")
@click.option(
    "--move", "is_move", is_flag=True, help="The old ledger is no longer served, from the start of the copy on."
)
@json_option
def copy_command(source: str, target: str, is_move: bool, as_json: bool) -> int:
    """Copy a ledger into another database, SQLite or PostgreSQL, and check that both are equal.

    The copy is one transaction: all or nothing. It then runs `verify`; exit code 1 means that the copy is equal to a
    ledger that fails it.
    """
    with office_of(target) as office:
        bar = console.progress_bar("copying and comparing, rows", 1, shown=not as_json)
        with _moving(source, target, is_move), bar as progress:
            comparison: Comparison = office.change(CopyFrom(source), progress)
        with console.progress_bar("verifying, rows", 1, shown=not as_json) as progress:
            proof: Proof = office.ask(Verify(), progress)
    if as_json:
        console.print_json({**_told(comparison, "from", "to"), "moved": is_move, "proof": asdict(proof)})
    else:
        _show(comparison, "from", "to")
        show_proof(proof)
        if is_move:
            console.say(
                f"{shown(source)} is no longer served. To undo: inventory-server db unmove --db {shown(source)}"
            )
    return console.OK if proof.holds else console.FOUND_PROBLEMS


@contextmanager
def _moving(source: str, target: str, is_move: bool) -> Iterator[None]:
    """Mark `source` as moved before the block copies it, so that no till posts there meanwhile, and not if it fails."""
    if not is_move:
        yield
        return
    place = lasting_url(target)
    if place == lasting_url(source):
        raise console.CommandError(f"{shown(target)} is the ledger to be moved; name another database.")
    with office_of(source) as office:
        is_news = office.change(MarkMoved(place))
    try:
        yield
    except StoreError as error:
        if is_news and not isinstance(error.__cause__, OutcomeUnknown):  # else there may be a copy, and be served
            with office_of(source) as office:
                office.change(UnmarkMoved())
        raise


@click.command("unmove")
@db_option
@json_option
def unmove_command(db: str, as_json: bool) -> int:
    """Have a ledger served again that was moved to another database. Make sure that the other one is not served.

    What was posted to the other one is not in this ledger; the tills send it again as after a restore.
    """
    with office_of(db) as office:
        place: str = office.change(UnmarkMoved())
    sentence = f"{shown(db)} may be served again. Never serve {place} as well."
    console.say_or_json(as_json, sentence, db=shown(db), moved_to=place)
    return console.OK


@click.command("compare")
@click.option("--db", "one", envvar="TILLWIRE_DB", required=True, metavar="URL", help="The first ledger.")
@click.option("--with", "other", required=True, metavar="URL", help="The ledger to compare it with.")
@json_option
def compare_command(one: str, other: str, as_json: bool) -> int:
    """Compare two ledgers row by row; exit code 1 if they differ.

    Reads one snapshot of each; running servers keep posting meanwhile.
    """
    with office_of(one) as office, console.progress_bar("comparing, rows", 1, shown=not as_json) as progress:
        comparison: Comparison = office.ask(Compare(other), progress)
    if as_json:
        console.print_json(_told(comparison, "db", "with"))
    else:
        _show(comparison, "db", "with")
    return console.OK if comparison.is_equal else console.FOUND_PROBLEMS


def _told(comparison: Comparison, one: str, other: str) -> dict[str, Any]:
    tables = [
        {"table": pair.table, one: asdict(pair.one), other: asdict(pair.other), "equal": pair.is_equal}
        for pair in comparison.pairs
    ]
    return {one: comparison.one, other: comparison.other, "tables": tables, "equal": comparison.is_equal}


def _show(comparison: Comparison, one: str, other: str) -> None:
    columns = {"table": False, f"rows {one}": True, f"rows {other}": True, f"sha256 {one}": False, "": False}
    rows = []
    for pair in comparison.pairs:
        found = "equal" if pair.is_equal else f"differs from {pair.other.sha256[:SHOWN_DIGEST_DIGITS]}"
        rows.append(
            [pair.table, f"{pair.one.rows:,}", f"{pair.other.rows:,}", pair.one.sha256[:SHOWN_DIGEST_DIGITS], found]
        )
    console.print_table(columns, rows)
    differ = sum(not pair.is_equal for pair in comparison.pairs)
    said = f"differ in {differ} of {len(rows)} tables" if differ else "are equal"
    console.say(f"{comparison.one} and {comparison.other} {said}.")
