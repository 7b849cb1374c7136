"""`inventory-server db backup` and `db restore`: copies of a ledger in an SQLite file, proven each time."""

from __future__ import annotations

from pathlib import Path

import click

from inventory_server.commands.database import show_proof
from inventory_server.commands.options import db_option, json_option, office_of
from inventory_server.domain.answers import Comparison, Proof
from inventory_server.domain.requests import Compare, Verify
from inventory_server.store import StoreError, assert_restorable, back_up, file_url, restore, shown
from pos_client.commands import console

_file = click.Path(path_type=Path, dir_okay=False)


@click.command("backup")
@click.argument("target", type=_file)
@db_option
@json_option
def backup_command(target: Path, db: str, as_json: bool) -> int:
    """Copy the ledger to the new file TARGET, which only you may read, and prove the copy; servers go on meanwhile.

    Exit code 1 if the proof fails: the ledger itself is wrong then. A PostgreSQL ledger has its own programs for this.
    """
    back_up(db, target)
    proof = _proof(file_url(target), as_json)
    if as_json:
        console.print_json({"db": shown(db), "backup": str(target), "postings": proof.postings, "holds": proof.holds})
    else:
        show_proof(proof)
        console.say(f"{target} is a backup of {shown(db)}.")
    return console.OK if proof.holds else console.FOUND_PROBLEMS


@click.command("restore")
@click.argument("source", type=_file)
@db_option
@json_option
def restore_command(source: Path, db: str, as_json: bool) -> int:
    """Make the ledger from the backup SOURCE, once that is proven. It must not exist: nothing is overwritten.

    Exit code 1, and nothing is made, if the proof fails. Tills then send again what the backup lacks.
    """
    assert_restorable(source, db)  # before the proof, which may take long
    backup = file_url(source)
    proof = _proof(backup, as_json)
    if not proof.holds:
        show_proof(proof)
        console.say(f"Nothing was restored: {source} is no good backup. Use another one.", err=True)
        return console.FOUND_PROBLEMS
    restore(source, db)
    with office_of(db) as office:
        compared: Comparison = office.ask(Compare(backup))
    if not compared.is_equal:
        raise StoreError(f"{shown(db)} differs from {source}, which changed meanwhile: move it away and restore again.")
    if as_json:
        console.print_json({"db": shown(db), "backup": str(source), "postings": proof.postings, "holds": True})
    else:
        show_proof(proof)
        console.say(f"{shown(db)} is restored from {source}. Serve it; tills send again what it lacks.")
    return console.OK


def _proof(url: str, as_json: bool) -> Proof:
    with office_of(url) as office, console.progress_bar("verifying, rows", 1, shown=not as_json) as progress:
        proof: Proof = office.ask(Verify(), progress)
        return proof
