"""`pos-client outbox`: lists pending and parked postings, exports parked ones, and sends them again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import click
import msgspec

from pos_client.commands import console
from pos_client.commands.complete import parked_postings
from pos_client.commands.limits import BODY_BYTES_SHOWN_MAX, POSTINGS_SHOWN_MAX
from pos_client.commands.open_till import open_outbox
from pos_client.commands.options import json_option, outbox_option
from pos_client.protocol.messages import Body

_PARKED = {"id": False, "reference": False, "occurred at": False, "parked at": False, "code": False, "reason": False}
_PENDING = {"seq": True, "id": False, "type": False, "occurred at": False, "lines": True, "reference": False}


@click.group("outbox")
def outbox() -> None:
    """Inspect and repair the till's outbox."""


@outbox.command("list")
@outbox_option
@json_option
def pending(outbox: Path, as_json: bool) -> int:
    """List the postings that HQ has not answered yet."""
    box = open_outbox(outbox)
    try:
        counts, entries = box.counts(), box.next_batch(POSTINGS_SHOWN_MAX, BODY_BYTES_SHOWN_MAX)
    finally:
        box.close()
    bodies = [(entry, msgspec.json.decode(entry.body, type=Body)) for entry in entries]
    if as_json:
        shown = [{"seq": entry.seq, "id": entry.id, "body": body} for entry, body in bodies]
        console.print_json({"pending": counts.pending, "postings": shown})
        return console.OK
    rows = [
        [
            str(entry.seq),
            str(entry.id),
            body.type,
            f"{body.occurred_at:%Y-%m-%d %H:%M:%S%z}",
            str(len(body.lines)) if isinstance(body.lines, list) else "",
            body.reference if isinstance(body.reference, str) else "",
        ]
        for entry, body in bodies
    ]
    console.print_table(_PENDING, rows)
    console.say(
        f"{counts.pending:,} pending, {min(POSTINGS_SHOWN_MAX, counts.pending):,} shown; {counts.parked:,} parked."
    )
    return console.OK


@outbox.command("parked")
@outbox_option
@json_option
def parked(outbox: Path, as_json: bool) -> int:
    """List the postings that HQ rejected; exit code 1 if there are any."""
    box = open_outbox(outbox)
    try:
        found = list(box.parked())
    finally:
        box.close()
    if as_json:
        console.print_json(found)
    else:
        rows = [
            [str(one.id), one.reference or "", _short(one.occurred_at), _short(one.parked_at), one.code, one.reason]
            for one in found
        ]
        console.print_table(_PARKED, rows)
    return console.FOUND_PROBLEMS if found else console.OK


@outbox.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@outbox_option
def export(file: Path, outbox: Path) -> int:
    """Write the parked postings to FILE (`-`: standard output), one JSON object per line."""
    box = open_outbox(outbox)
    try:
        if str(file) == "-":
            written = box.export_parked(console.JsonOutput())
        else:
            with file.open("x", encoding="utf-8") as target:
                written = box.export_parked(target)
    except OSError as error:
        raise console.CommandError(
            f"{file} cannot be written: {error.strerror}. Give the name of a new file."
        ) from error
    finally:
        box.close()
    console.say(f"Wrote {written:,} parked posting{'' if written == 1 else 's'}.", err=True)
    return console.OK


@outbox.command("redrive")
@click.argument("ids", nargs=-1, type=click.UUID, shell_complete=parked_postings)
@click.option("--all", "everything", is_flag=True, help="All parked postings.")
@outbox_option
@json_option
def redrive(ids: Sequence[UUID], everything: bool, outbox: Path, as_json: bool) -> int:
    """Make parked postings pending again, with the same ids and bytes.

    HQ gives the same answer as before unless an operator has reopened the id there.
    """
    if bool(ids) == everything:
        raise click.UsageError(f"Expected ids of parked postings or --all, got {'both' if everything else 'neither'}.")
    box = open_outbox(outbox)
    try:
        chosen = [one.id for one in box.parked()] if everything else ids
        for posting_id in chosen:
            box.redrive(posting_id)
    finally:
        box.close()
    again = f"{len(chosen):,} posting{' is' if len(chosen) == 1 else 's are'} pending again."
    console.say_or_json(as_json, again, pending_again=list(chosen))
    return console.OK


def _short(instant: datetime) -> str:
    """An instant in this machine's time zone, to the second."""
    return f"{instant.astimezone():%Y-%m-%d %H:%M:%S}"
