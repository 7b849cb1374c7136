"""`inventory-server db`, `verify`, `status`, `reconcile` and `postings`: the ledger itself."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

import click

from inventory_server.commands.options import db_option, json_option, office_of, told, when
from inventory_server.domain.answers import AuditEntry, Finding, Overview, Proof, WaitingPosting
from inventory_server.domain.requests import ListAudit, ListWaiting, Reconcile, ReopenPosting, ShowOverview, Verify
from inventory_server.store import shown, upgrade
from pos_client.commands import console
from pos_client.protocol.units import instant


@click.group("db")
def db_group() -> None:
    """The database under the ledger."""


@db_group.command("upgrade")
@db_option
def db_upgrade(db: str) -> int:
    """Make the database, or bring it to what this version needs; the server must be stopped."""
    upgrade(db)
    click.echo(f"{shown(db)} is ready.")
    return console.OK


@click.command("verify")
@db_option
@json_option
def verify(db: str, as_json: bool) -> int:
    """Prove that every level, transfer and chain follows from the ledger; exit code 1 where one does not.

    Reads one snapshot; a running server goes on posting meanwhile.
    """
    with office_of(db) as office, console.progress_bar("proving, postings", 1) as progress:
        proof: Proof = office.ask(Verify(), progress)
    if as_json:
        click.echo(console.to_json(asdict(proof)))
    else:
        show_proof(proof)
    return console.OK if proof.holds else console.FOUND_PROBLEMS


def show_proof(proof: Proof) -> None:
    """The proof as a table, and what it found wrong on stderr."""
    counted = ("postings", "movements", "levels", "transfers", "chains", "closings", "archived", "mismatches")
    shown = [name for name in counted if name != "archived" or proof.archived]
    console.print_table({"proven": False, "": True}, [[name, f"{getattr(proof, name):,}"] for name in shown])
    for finding in proof.findings:
        click.echo(finding, err=True)
    if proof.mismatches > len(proof.findings):
        click.echo(f"… and {proof.mismatches - len(proof.findings):,} more.", err=True)
    click.echo("The proof holds." if proof.holds else f"The proof fails: {proof.mismatches:,} mismatches.")


@click.command("status")
@db_option
@json_option
def status(db: str, as_json: bool) -> int:
    """Show what the ledger holds, at a glance."""
    with office_of(db) as office:
        found: Overview = office.ask(ShowOverview())
    if as_json:
        click.echo(console.to_json({"db": shown(db), **told(found)}))
        return console.OK
    figures = {name: f"{value:,}" for name, value in asdict(found).items() if name != "recorded_at"}
    figures["last recorded"] = when(found.recorded_at)
    console.print_table({"ledger": False, shown(db): True}, [[name, value] for name, value in figures.items()])
    return console.OK


@click.command("reconcile")
@db_option
@json_option
def reconcile_command(db: str, as_json: bool) -> int:
    """Compare every till's last word with the ledger; exit code 1 where one does not agree."""
    with office_of(db) as office:
        findings: list[Finding] = office.ask(Reconcile())
    open_ones = [finding for finding in findings if finding.differences]
    if as_json:
        click.echo(console.to_json([told(finding) for finding in findings]))
    elif open_ones:
        columns = {"location": False, "terminal": False, "last contact": False, "differences": False}
        rows = [[one.location, one.terminal, when(one.contact_at), "; ".join(one.differences)] for one in open_ones]
        console.print_table(columns, rows)
        click.echo(f"Outboxes that agree: {len(findings) - len(open_ones):,} of {len(findings):,}.")
    else:
        click.echo(f"Every outbox agrees: {len(findings):,} of {len(findings):,}.")
    return console.FOUND_PROBLEMS if open_ones else console.OK


@click.group("postings")
def postings() -> None:
    """Postings that wait for a person."""


@postings.command("waiting")
@db_option
@json_option
def waiting_postings(db: str, as_json: bool) -> int:
    """Show what was refused or is in quarantine; exit code 1 where there is any."""
    with office_of(db) as office:
        found: list[WaitingPosting] = office.ask(ListWaiting())
    if as_json:
        click.echo(console.to_json([told(one) for one in found]))
    elif not found:
        click.echo("Nothing waits.")
    else:
        columns = {"id": False, "kind": False, "terminal": False, "recorded at": False, "reason": False}
        rows = [[one.id, one.kind, one.terminal, when(one.recorded_at), one.reason] for one in found]
        console.print_table(columns, rows)
    return console.FOUND_PROBLEMS if found else console.OK


@postings.command("reopen")
@click.argument("posting_id", type=click.UUID, metavar="ID")
@db_option
def reopen(posting_id: UUID, db: str) -> int:
    """Let the refused posting ID be judged anew when its till sends it again (pos-client outbox redrive)."""
    with office_of(db) as office:
        office.change(ReopenPosting(posting_id))
    click.echo(f"{posting_id} will be judged anew when its till sends it again.")
    return console.OK


@click.command("audit")
@db_option
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Show so many entries.")
@click.option("--before", type=click.IntRange(1), metavar="ENTRY", help="Show those before this entry.")
@json_option
def audit(db: str, limit: int, before: int | None, as_json: bool) -> int:
    """Show who changed what: the newest changes by administrators, refused ones included."""
    with office_of(db) as office:
        entries: list[AuditEntry] = office.ask(ListAudit(limit, before))
    if as_json:
        click.echo(console.to_json([{**asdict(entry), "at": instant(entry.at)} for entry in entries]))
    elif not entries:
        click.echo("Nothing was changed.")
    else:
        columns = {"entry": True, "at": False, "actor": False, "role": False, "from": False, "request": False}
        rows = [
            [str(one.id), when(one.at), one.actor, one.role, one.source, one.request, one.arguments, one.outcome]
            for one in entries
        ]
        console.print_table({**columns, "arguments": False, "outcome": False}, rows)
    return console.OK
