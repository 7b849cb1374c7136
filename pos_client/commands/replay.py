"""`pos-client replay`: posts sales files and prints a summary."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pos_client.commands import console
from pos_client.commands.options import server_option
from pos_client.files.csv_reader import Problem
from pos_client.files.mapping import SalesMapping, load_mapping
from pos_client.files.sales_file import FileTill, SalesFiles
from pos_client.protocol.address import Address
from pos_client.replay.replay import Replay, ReplayOutcome, ReplaySpeed
from pos_client.transport.connection import Connection

_LISTS = ("basket", "timestamp", "order")
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
@click.option("--mapping", "mapping_file", type=click.Path(path_type=Path), help="TOML file that maps the columns.")
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
@click.option("--delimiter", help="Column delimiter; default: a comma.")
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
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def replay(files: Sequence[Path], server: Address, **options: Any) -> int:
    """Post the sales of CSV FILES (also .csv.gz) to HQ through simulated tills.

    Each location and lane becomes a till. A second run counts nothing twice. A row that does not map is reported with
    its file and line, and its basket is held back; everything else is posted, and the exit code is 1.
    """
    started = time.monotonic()
    mapping = load_mapping(options["mapping_file"], _changes(options))
    read = _read(mapping, files)
    tills = read.tills(options["tills"])
    reading_seconds = time.monotonic() - started
    outcome = _post(tills, server, options)
    seconds = time.monotonic() - started - reading_seconds
    _report_refused(outcome)
    summary = _summary(read, tills, outcome, reading_seconds, seconds)
    if options["as_json"]:
        console.print_json(summary)
    else:
        console.print_table(
            {"replay": False, "": True}, [[name.replace("_", " "), f"{value:,}"] for name, value in summary.items()]
        )
    return console.FOUND_PROBLEMS if read.rows_not_mapped or outcome.refused else console.OK


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
    changes |= {name: options[name] for name in ("source", "delimiter") if options[name]}
    return changes


def _read(mapping: SalesMapping, files: Sequence[Path]) -> SalesFiles:
    sizes = [path.stat().st_size if path.exists() else 0 for path in files]
    with console.progress_bar("reading, bytes", sum(sizes)) as progress:
        before = 0
        read = SalesFiles(mapping, _report, lambda done: progress(before + done))
        for path, size in zip(files, sizes, strict=True):
            read.read(path)
            before += size
    return read


def _report(problem: Problem) -> None:
    console.say(str(problem), err=True)


def _post(tills: Sequence[FileTill], server: Address, options: dict[str, Any]) -> ReplayOutcome:
    speed = ReplaySpeed(options["speed"], options["workers"], options["patience"])
    work = Replay(
        tills, lambda: Connection.open(server), speed, _tokens(options["token_file"]), time.monotonic, random.Random()
    )
    with console.progress_bar("posting, sales", sum(len(till.postings) for till in tills)) as progress:
        return work.run(progress)


def _tokens(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        entries = [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise console.CommandError(f"The token file {path} cannot be read: {error}.") from error
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


def _summary(
    read: SalesFiles, tills: Sequence[FileTill], outcome: ReplayOutcome, reading_seconds: float, seconds: float
) -> dict[str, int | float]:
    postings = outcome.statuses.total()
    return {
        "rows": read.rows,
        "rows_not_mapped": read.rows_not_mapped,
        "rows_held_back": read.rows_held,
        "locations": len({till.location for till in tills}),
        "tills": len(tills),
        "postings": postings,
        **{status: outcome.statuses[status] for status in ("posted", "duplicate", "conflict", "rejected")},
        "lines_posted": outcome.lines,
        "reading_seconds": round(reading_seconds, 2),
        "posting_seconds": round(seconds, 2),
        "sales_per_second": round(postings / seconds) if seconds > 0 else 0,
    }
