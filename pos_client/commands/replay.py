"""`pos-client replay`: posts sales files and prints a summary."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click

from pos_client.commands import console
from pos_client.commands.replay_report import (
    Problems,
    print_rehearsal,
    rehearsal,
    say_notes,
    say_questions,
    summary,
    write_terminals,
)
from pos_client.commands.server_options import Hq, server_option
from pos_client.commands.tokens import read_entries
from pos_client.files.mapping import load_mapping
from pos_client.files.postings import FileTill
from pos_client.files.ready_mappings import recognised
from pos_client.files.receipts import Undecided
from pos_client.files.records import Quoting
from pos_client.files.rejects import write_rejects
from pos_client.files.sales_file import SalesFiles
from pos_client.files.settings import SalesMapping
from pos_client.replay.replay import Replay, ReplayOutcome, ReplaySpeed

_LISTS = ("basket", "timestamp", "order")
_SETTINGS = ("delimiter", "encoding", "quoting", "decimal", "thousands", "repeats", "restarts", "sheet")
_SPEED = ReplaySpeed()


class Speed(click.ParamType[float | None]):
    """`max`, or a multiple of real time: `60x`."""

    name = "max|60x"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """None for `max`, else the factor."""
        if value is None or value == "max":
            return None
        text = str(value).removesuffix("x")
        if text.replace(".", "", 1).isdecimal() and float(text) > 0:
            return float(text)
        return self.fail(f"expected max or a factor like 60x, got {value!r}", param, ctx)


@click.command("replay")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@server_option
@click.option(
    "--mapping",
    "mapping_file",
    type=click.Path(path_type=Path),
    help="TOML file that maps the columns; auto: the ready one for the header of the first file.",
)
@click.option("--source", help="A permanent name for where the sales come from; part of every id.")
@click.option(
    "--column", "columns", multiple=True, callback=console.pairs, metavar="FIELD=COLUMN",
    help="location, lane, basket, sku, quantity, unit_price, currency, timestamp, order or type; "
    "repeatable for basket, timestamp and order.",
)  # fmt: skip
@click.option(
    "--constant", "constants", multiple=True, callback=console.pairs, metavar="FIELD=VALUE",
    help="location, lane, currency or type, if the file has no column for it.",
)  # fmt: skip
@click.option("--time-format", "formats", multiple=True, help="iso, epoch, epoch_ms or a strptime format; repeatable.")
@click.option("--zone", help="Time zone of timestamps without a UTC offset: Europe/London or +01:00.")
@click.option("--delimiter", help="Column delimiter; recognised by the header where it is , ; | or a tab.")
@click.option("--encoding", help="Encoding of the files, such as cp1252; UTF-8 and UTF-16 are recognised.")
@click.option(
    "--quoting",
    type=click.Choice(get_args(Quoting)),
    help="none: a quote is a character like any other; trusted: a quoted cell may look like rows.",
)
@click.option("--decimal", type=click.Choice([".", ","]), help="Decimal sign of quantities and prices.")
@click.option("--thousands", type=click.Choice([".", ",", "'", " "]), help="Sign between thousands.")
@click.option("--repeats", type=click.Choice(["rows", "receipts"]), help="What rows that are there twice are.")
@click.option("--restarts", type=click.Choice(["daily", "never"]), help="Whether receipt numbers restart every day.")
@click.option("--sheet", help="The sheet of a workbook that has several.")
@click.option("--tills", type=click.IntRange(1, 1000), help="Distribute each location's sales over this many tills.")
@click.option("--speed", type=Speed(), default="max", help="max (the default), or a multiple of real time: 60x.")
@click.option("--workers", type=click.IntRange(1, 64), default=_SPEED.workers, show_default=True, help="Threads.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Lines of a terminal name, a space and its token.")
@click.option(
    "--patience",
    type=click.FloatRange(0),
    default=_SPEED.patience_seconds,
    show_default=True,
    help="Seconds HQ may be unreachable.",
)
@click.option("--dry-run", is_flag=True, help="Read and check everything, show what would be posted, and post nothing.")
@click.option("--rejects", type=click.Path(path_type=Path), help="Write the rows that are not posted to this file.")
@click.option(
    "--terminals",
    type=click.Path(path_type=Path),
    help="With --dry-run: write the tills to this file, for inventory-server terminal import.",
)
@console.yes_option
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def replay(files: Sequence[Path], server: Hq, **options: Any) -> int:
    """Post the sales of FILES to HQ through simulated tills: CSV (compressed, too) or .xlsx.

    Each location and lane becomes a till. A second run counts nothing twice. A row that does not map is reported with
    its file and line, and its receipt is held back; everything else is posted, and the exit code is 1. If the files can
    be read in two ways, the command says what to decide and posts nothing. In a terminal it shows first what would be
    posted, and asks.
    """
    started = time.monotonic()
    mapping = load_mapping(_mapping_file(files, options), _changes(options))
    problems = Problems()
    read = _read(mapping, files, problems)
    try:
        tills = read.tills(options["tills"])
    except Undecided as error:
        problems.say()
        say_questions(error.questions)
        raise console.CommandError(
            "Nothing was posted: the files can be read in several ways. Decide in the mapping, then run it again."
        ) from error
    problems.say()
    if options["rejects"] is not None and (problems.all or read.held):
        console.say(f"Wrote {write_rejects(options['rejects'], read):,} rows to {options['rejects']}.", err=True)
    if not options["as_json"]:
        say_notes(read)
    found = console.FOUND_PROBLEMS if problems.all else console.OK
    if options["dry_run"]:
        return _rehearse(read, tills, options) or found
    if not options["as_json"] and console.is_interactive():
        print_rehearsal(rehearsal(read, tills), None)
        console.confirm("Post these sales?", options["yes"])
    return _post_all(read, tills, server, options, started) or found


def _rehearse(read: SalesFiles, tills: Sequence[FileTill], options: dict[str, Any]) -> int:
    told = rehearsal(read, tills)
    if options["terminals"] is not None:
        write_terminals(options["terminals"], told)
    if options["as_json"]:
        console.print_json(told)
    else:
        print_rehearsal(told, options["terminals"])
        console.say("Nothing was posted.")
    return console.OK


def _post_all(read: SalesFiles, tills: Sequence[FileTill], server: Hq, options: dict[str, Any], started: float) -> int:
    reading_seconds = time.monotonic() - started
    outcome = _post(tills, server, options)
    _report_refused(outcome)
    told = summary(read, tills, outcome, reading_seconds, time.monotonic() - started - reading_seconds)
    if options["as_json"]:
        console.print_json(told)
    else:
        console.print_table(
            {"replay": False, "": True}, [[name.replace("_", " "), f"{value:,}"] for name, value in told.items()]
        )
    return console.FOUND_PROBLEMS if outcome.refused else console.OK


def _mapping_file(files: Sequence[Path], options: dict[str, Any]) -> Path | None:
    """The mapping file that is named, or the one recognised by the header of the first file."""
    named: Path | None = options["mapping_file"]
    if named != Path("auto"):
        return named
    found = recognised(files[0], _changes(options))
    console.say(f"{files[0]} is read with the mapping {found.stem}.", err=True)
    return found


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    """The options, in the form of a mapping file."""
    columns: dict[str, Any] = {}
    for field, name in options["columns"]:
        columns[field] = [*columns.get(field, []), name] if field in _LISTS else name
    changes: dict[str, Any] = {"columns": columns, "constants": dict(options["constants"]), "time": {}}
    if options["formats"]:
        changes["time"]["formats"] = list(options["formats"])
    if options["zone"]:
        changes["time"]["zone"] = options["zone"]
    changes |= {name: options[name] for name in ("source", *_SETTINGS) if options[name]}
    return changes


def _read(mapping: SalesMapping, files: Sequence[Path], problems: Problems) -> SalesFiles:
    sizes = [path.stat().st_size if path.exists() else 0 for path in files]
    with console.progress_bar("reading, bytes", sum(sizes)) as progress:
        before = 0
        now = time.time_ns() // 1_000
        read = SalesFiles(mapping, problems.add, lambda done: progress(before + done), now)
        for path, size in zip(files, sizes, strict=True):
            read.read(path)
            before += size
    return read


def _post(tills: Sequence[FileTill], server: Hq, options: dict[str, Any]) -> ReplayOutcome:
    speed = ReplaySpeed(options["speed"], options["workers"], options["patience"])
    work = Replay(tills, server.connect, speed, _tokens(options["token_file"]), time.monotonic, random.Random())
    with console.progress_bar("posting, sales", sum(len(till.postings) for till in tills)) as progress:
        return work.run(progress)


def _tokens(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    entries = read_entries(path)
    for number, entry in enumerate(entries, start=1):
        if len(entry) != 2:
            raise console.CommandError(
                f"{path}: entry {number}: expected a terminal name and its token, got {len(entry)} words."
            )
    return {entry[0]: entry[1] for entry in entries}


def _report_refused(outcome: ReplayOutcome) -> None:
    for posting, result in outcome.refused:
        console.say(
            f"basket {posting.basket} ({posting.id}): {result.status}: {result.reason or result.code}", err=True
        )
