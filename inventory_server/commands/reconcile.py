"""`inventory-server reconcile`: every till's last report against the ledger."""

from __future__ import annotations

from collections.abc import Sequence

import click

from inventory_server.commands.options import db_option, json_option, office_of, told, when
from inventory_server.config import TILLS_NAMED_MAX
from inventory_server.domain.answers import Finding
from inventory_server.domain.requests import Reconcile
from pos_client.commands import console


@click.command("reconcile")
@db_option
@json_option
def reconcile_command(db: str, as_json: bool) -> int:
    """Compare every till's last report with the ledger; exit code 1 if one disagrees or is silent.

    Tills that are enrolled but have never connected are not in use yet: they are named and do not change the exit code.
    """
    with office_of(db) as office:
        findings: list[Finding] = office.ask(Reconcile())
    open_ones = [finding for finding in findings if finding.is_open]
    if as_json:
        console.print_json([told(finding) for finding in findings])
    else:
        if open_ones:
            columns = {"location": False, "terminal": False, "last contact": False, "differences": False}
            console.print_table(columns, [_row(finding) for finding in open_ones])
        console.say(summary(findings))
    return console.FOUND_PROBLEMS if open_ones else console.OK


def _row(finding: Finding) -> list[str]:
    silent = [] if finding.silent_since_at is None else ["silent"]
    return [finding.location, finding.terminal, when(finding.contact_at), "; ".join([*finding.differences, *silent])]


def summary(findings: Sequence[Finding]) -> str:
    """How many tills agree, how many do not, how many are silent and which are not in use yet, in one sentence."""
    tills = {finding.terminal for finding in findings}
    if not tills:
        return "No tills are enrolled."
    absent = [finding.terminal for finding in findings if finding.contact_at is None]
    disagree = len({finding.terminal for finding in findings if finding.differences})
    silent = len({finding.terminal for finding in findings if finding.silent_since_at is not None})
    agree = len(tills) - len(absent) - disagree
    parts = [f"{agree:,} of {len(tills):,} tills reported and {'agrees' if agree == 1 else 'agree'}"]
    if disagree:
        parts.append(f"{disagree:,} {'disagrees' if disagree == 1 else 'disagree'}")
    if silent:
        parts.append(f"{silent:,} {'is' if silent == 1 else 'are'} silent")
    if absent:
        parts.append(f"{_named(absent)} {'is' if len(absent) == 1 else 'are'} not in use yet")
    return "; ".join(parts) + "."


def _named(terminals: Sequence[str]) -> str:
    """`terminals` as a sentence lists them."""
    *others, last = terminals[:TILLS_NAMED_MAX]
    if len(terminals) > TILLS_NAMED_MAX:
        others, last = [*others, last], f"{len(terminals) - TILLS_NAMED_MAX:,} more"
    return f"{', '.join(others)} and {last}" if others else last
