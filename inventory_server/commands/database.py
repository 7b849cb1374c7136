"""`inventory-server db`, `verify` and `status`: the ledger itself."""

from __future__ import annotations

from dataclasses import asdict

import click

from inventory_server.commands.options import db_option, json_option
from inventory_server.store import read_store, upgrade
from inventory_server.store.proof import Proof, prove
from pos_client import console


@click.group("db")
def db_group() -> None:
    """The database under the ledger."""


@db_group.command("upgrade")
@db_option
def db_upgrade(db: str) -> int:
    """Make the database, or bring it to what this version needs; the server must be stopped."""
    upgrade(db)
    click.echo(f"{db} is ready.")
    return console.OK


@click.command("verify")
@db_option
@json_option
def verify(db: str, as_json: bool) -> int:
    """Prove that every level, transfer and chain follows from the ledger; exit code 1 where one does not.

    Reads one snapshot; a running server goes on posting meanwhile.
    """
    with console.progress_bar("proving, postings", 1) as progress:
        proof: Proof = read_store(db, lambda connection: prove(connection, progress))
    if as_json:
        click.echo(console.to_json(asdict(proof)))
    else:
        show_proof(proof)
    return console.OK if proof.holds else console.FOUND_PROBLEMS


def show_proof(proof: Proof) -> None:
    """The proof as a table, and what it found wrong on stderr."""
    counted = ("postings", "movements", "levels", "transfers", "chains", "mismatches")
    console.print_table({"proven": False, "": True}, [[name, f"{getattr(proof, name):,}"] for name in counted])
    for finding in proof.findings:
        click.echo(finding, err=True)
    if proof.mismatches > len(proof.findings):
        click.echo(f"… and {proof.mismatches - len(proof.findings):,} more.", err=True)
    click.echo("The proof holds." if proof.holds else f"The proof fails: {proof.mismatches:,} mismatches.")
