"""`inventory-server db`, `verify`, `status`, `postings` and `audit`: the ledger itself."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

import click

from inventory_server.commands.complete import waiting_ids
from inventory_server.commands.options import counted, db_option, json_option, office_of, told, when
from inventory_server.domain.answers import AuditEntry, Overview, Proof, WaitingPosting
from inventory_server.domain.requests import ListAudit, ListWaiting, ReopenPosting, ShowOverview, Verify
from inventory_server.store import shown, upgrade
from pos_client.commands import console
from pos_client.protocol.units import instant

OVERVIEW = {
    "position": "postings",
    "archived": "postings in the archive",
    "levels": "stock figures",
    "negative": "negative stock figures",
    "locations": "locations",
    "terminals": "terminals, revoked ones excluded",
    "products": "products in the catalogue",
    "unlisted": "products not in the catalogue",
    "rejected": "rejected postings",
    "quarantined": "conflicting postings (quarantine)",
}
"""The figures of `Overview` and how `status` labels them."""
PROOF = {
    "postings": "postings",
    "movements": "movements",
    "levels": "stock figures",
    "transfers": "transfers",
    "chains": "chains",
    "closings": "closings",
    "archived": "postings in the archive",
    "mismatches": "mismatches",
}
"""The figures of `Proof` and how `verify` labels them."""


@click.group("db")
def db_group() -> None:
    """Create, upgrade, copy and maintain the ledger's database."""


@db_group.command("upgrade")
@db_option
@json_option
def db_upgrade(db: str, as_json: bool) -> int:
    """Create the database, or migrate it to the schema of this version; stop its servers first."""
    upgrade(db)
    console.say_or_json(as_json, f"{shown(db)} is ready.", db=shown(db))
    return console.OK


@click.command("verify")
@db_option
@json_option
def verify(db: str, as_json: bool) -> int:
    """Prove that every stock figure, transfer and chain follows from the postings; exit code 1 if one does not.

    Reads one snapshot; a running server keeps posting meanwhile.
    """
    with office_of(db) as office, console.progress_bar("verifying, rows", 1, shown=not as_json) as progress:
        proof: Proof = office.ask(Verify(), progress)
    if as_json:
        console.print_json(asdict(proof))
    else:
        show_proof(proof)
    return console.OK if proof.holds else console.FOUND_PROBLEMS


def show_proof(proof: Proof) -> None:
    """Print the proof as a table, and its findings to standard error."""
    rows = [[label, getattr(proof, name)] for name, label in PROOF.items() if name != "archived" or proof.archived]
    console.print_table({"proven": False, "": True}, [[label, f"{count:,}"] for label, count in rows])
    for finding in proof.findings:
        console.say(finding, err=True)
    if proof.mismatches > len(proof.findings):
        console.say(f"… and {proof.mismatches - len(proof.findings):,} more.", err=True)
    console.say(
        "The proof holds." if proof.holds else f"The proof fails: {counted(proof.mismatches, 'mismatch', 'es')}."
    )


@click.command("status")
@db_option
@json_option
def status(db: str, as_json: bool) -> int:
    """Summarise what the ledger holds."""
    with office_of(db) as office:
        found: Overview = office.ask(ShowOverview())
    if as_json:
        console.print_json({"db": shown(db), **told(found)})
        return console.OK
    rows = [[label, f"{getattr(found, name):,}"] for name, label in OVERVIEW.items()]
    rows.append(["last recorded", when(found.recorded_at)])
    rows += [] if found.moved_to is None else [["moved to", found.moved_to]]
    console.print_table({"ledger": False, shown(db): True}, rows)
    return console.OK


@click.group("postings")
def postings() -> None:
    """Postings that need a decision."""


@postings.command("waiting")
@db_option
@json_option
def waiting_postings(db: str, as_json: bool) -> int:
    """List rejected postings and those in quarantine; exit code 1 if there are any."""
    with office_of(db) as office:
        found: list[WaitingPosting] = office.ask(ListWaiting())
    if as_json:
        console.print_json([told(one) for one in found])
    elif not found:
        console.say("No postings are waiting.")
    else:
        columns = {"id": False, "kind": False, "terminal": False, "recorded at": False, "reason": False}
        rows = [[one.id, one.kind, one.terminal, when(one.recorded_at), one.reason] for one in found]
        console.print_table(columns, rows)
    return console.FOUND_PROBLEMS if found else console.OK


@postings.command("reopen")
@click.argument("posting_id", type=click.UUID, metavar="ID", shell_complete=waiting_ids)
@db_option
@json_option
def reopen(posting_id: UUID, db: str, as_json: bool) -> int:
    """Have the rejected posting ID decided again when its till resends it (pos-client outbox redrive)."""
    with office_of(db) as office:
        office.change(ReopenPosting(posting_id))
    console.say_or_json(as_json, f"{posting_id} will be decided again when its till resends it.", id=posting_id)
    return console.OK


@click.command("audit")
@db_option
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Show at most this many entries.")
@click.option("--before", type=click.IntRange(1), metavar="ENTRY", help="Show only entries older than ENTRY.")
@json_option
def audit(db: str, limit: int, before: int | None, as_json: bool) -> int:
    """Show who changed what: the latest changes by administrators, refused ones included."""
    with office_of(db) as office:
        entries: list[AuditEntry] = office.ask(ListAudit(limit, before))
    if as_json:
        console.print_json([{**asdict(entry), "at": instant(entry.at)} for entry in entries])
    elif not entries:
        console.say("No changes are recorded.")
    else:
        columns = {"entry": True, "at": False, "actor": False, "role": False, "from": False, "request": False}
        rows = [
            [str(one.id), when(one.at), one.actor, one.role, one.source, one.request, one.arguments, one.outcome]
            for one in entries
        ]
        console.print_table({**columns, "arguments": False, "outcome": False}, rows)
    return console.OK
