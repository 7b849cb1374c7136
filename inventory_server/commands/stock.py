"""`inventory-server stock`: opening stock and stock-takes from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from inventory_server.admin.office import Office
from inventory_server.clock import now_microseconds
from inventory_server.commands.catalog import chunks
from inventory_server.commands.complete import locations
from inventory_server.commands.file_options import file_options, writing
from inventory_server.commands.options import counted, db_option, json_option, office_of
from inventory_server.commands.stock_levels import stock_of
from inventory_server.config import VARIANCES_SHOWN
from inventory_server.domain.answers import LocationRow
from inventory_server.domain.business_day import FIRST_DAY, LAST_DAY, BusinessDays, time_zone
from inventory_server.domain.changes import ImportedCount
from inventory_server.domain.requests import FindBarcodes, ImportCounts, ListLocations, ListProducts
from inventory_server.imports.stock_figures import count_id, figures_of
from inventory_server.imports.stock_sheet import FIELDS, StockSheet, read_stock_sheet
from pos_client.commands import console
from pos_client.commands.asking import DayParam
from pos_client.files.limits import PART_LINES
from pos_client.files.problems import Problem
from pos_client.protocol.messages import PostingResult
from pos_client.protocol.nearest import nearest
from pos_client.protocol.units import TOTAL_MAX, instant, micros, scaled, unscaled

_DATE_LENGTH = len("2026-10-31")
_COLUMNS = {"location": False, "sku": False, "book": True, "counted": True, "difference": True}


class CountDifference(NamedTuple):
    """What the ledger says was there just before a count, and what was counted, in units of 10⁻⁵."""

    location: str
    sku: str
    book: int
    counted: int

    @property
    def difference(self) -> int:
        """How much more there was than the ledger says."""
        return self.counted - self.book


@click.group("stock")
def stock() -> None:
    """Opening stock and stock-takes."""


@stock.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--at", "moment", required=True, type=DayParam(),
    help="When it was counted: an instant, or a date for the end of each location's business day.",
)  # fmt: skip
@click.option("--location", shell_complete=locations, help="Where, if the file does not say so.")
@file_options(FIELDS)
@click.option("--dry-run", is_flag=True, help="Only show how the figures differ from the ledger; post nothing.")
@console.yes_option
@db_option
@json_option
def import_stock(
    file: Path, moment: str, location: str | None, dry_run: bool, yes: bool, db: str, as_json: bool, **options: Any
) -> int:
    """Post the stock in FILE (CSV, compressed, too, or .xlsx) as counts by HQ, after showing how it differs.

    The columns are sku or barcode, quantity and location; or, instead of the last two, one column for each location,
    called like it. A blank quantity was not counted. If anything is wrong, nothing is posted, and the exit code is 1.
    The same file for the same instant changes nothing when it is imported again.
    """
    written = writing(FIELDS, options)
    problems: list[Problem] = []
    with office_of(db) as office:
        places = {row.location: row for row in office.ask(ListLocations())}
        if location is not None and location not in places:
            raise console.CommandError(
                f"HQ knows no location {location!r}; it learns of a new one by: inventory-server location set"
            )
        sheet = read_stock_sheet(
            file, written.columns, location, places, problems.append, written.form, written.decimal
        )
        scanned = sorted({figure.code for figure in sheet.figures if figure.is_barcode})
        figures = figures_of(sheet, office.ask(FindBarcodes(scanned)), problems.append)
        if sheet.ignored:
            console.say(f"Ignored columns: {', '.join(sheet.ignored)}.", err=True)
        if problems or not figures:
            return _refused(problems, as_json)
        instants = {name: _instant(moment, places[name]) for name in sorted(figures)}
        variances, unknown = _variances(office, figures, instants)
        if unknown:
            known = "HQ has never heard of these products; they will be posted as not in the catalogue"
            listed = [product.sku for product in office.ask(ListProducts()).products]
            console.say(f"{known}: {', '.join(_hinted(sku, listed) for sku in unknown)}", err=True)
        told = _told(sheet, instants, variances)
        if dry_run:
            return _show(told, variances, as_json, "Nothing was posted.")
        if not as_json:
            _show(told, variances, as_json, None)
            console.confirm("Post these counts?", yes)
        results = _post(office, figures, instants)
        return _posted(results, _replaced(results, variances), told, as_json)


def _hinted(sku: str, listed: Sequence[str]) -> str:
    """An unknown SKU with the listed one that it may mean."""
    near = nearest(sku, listed)
    return sku if near is None else f"{sku} (is it {near}?)"


def _refused(problems: Sequence[Problem], as_json: bool) -> int:
    for problem in sorted(problems, key=lambda each: each.line):
        console.say(str(problem), err=True)
    correct = f"correct the {counted(len(problems), 'problem')} and import the file again"
    reason = correct if problems else "no row of the file has a quantity"
    console.say_or_json(as_json, f"Nothing was posted: {reason}.", posted=0, problems=len(problems))
    return console.FOUND_PROBLEMS


def _instant(moment: str, place: LocationRow) -> int:
    """When the stock of a location was counted, in microseconds."""
    if len(moment) > _DATE_LENGTH:
        at = micros(datetime.fromisoformat(moment))
    else:
        day = date.fromisoformat(moment)
        if not FIRST_DAY <= day <= LAST_DAY:
            raise console.CommandError(f"--at: expected a date from {FIRST_DAY} to {LAST_DAY}, got {moment}.")
        at = BusinessDays(time_zone(place.time_zone), place.day_ends_hour).end(day)
    if at > now_microseconds():
        raise console.CommandError(
            f"--at: expected what has passed, got {moment}, which at {place.location} ends at "
            f"{instant(at).isoformat()}. Name the instant at which it was counted."
        )
    return at


# ---------------------------------------------------------------------------------- how it differs


def _variances(
    office: Office, figures: Mapping[str, Mapping[str, int]], instants: Mapping[str, int]
) -> tuple[list[CountDifference], list[str]]:
    """How the figures differ from the ledger, the largest differences first, and the products it never heard of."""
    found: list[CountDifference] = []
    unknown: dict[str, None] = {}
    for location, counted_here in figures.items():
        book: dict[str, int] = {}
        for page in stock_of(office, sorted(counted_here), location, instants[location]):
            book |= {item.sku: scaled(item.on_hand, TOTAL_MAX) for item in page.items}
            unknown.update((item.sku, None) for item in page.unknown if item.sku is not None)
        found += (CountDifference(location, sku, book.get(sku, 0), number) for sku, number in counted_here.items())
    found.sort(key=lambda each: (-abs(each.difference), each.location, each.sku))
    return found, list(unknown)


def _told(sheet: StockSheet, instants: Mapping[str, int], variances: Sequence[CountDifference]) -> dict[str, Any]:
    """What is known of an import before it is made, for programs."""
    return {
        "counted_at": {location: instant(at) for location, at in instants.items()},
        "figures": len(variances),
        "differ": sum(each.difference != 0 for each in variances),
        "blank": sheet.blank,
        "ignored_columns": sheet.ignored,
        "variances": [
            {
                "location": each.location,
                "sku": each.sku,
                "book": unscaled(each.book),
                "counted": unscaled(each.counted),
                "difference": unscaled(each.difference),
            }
            for each in variances
            if each.difference
        ],
    }


def _show(told: Mapping[str, Any], variances: Sequence[CountDifference], as_json: bool, conclusion: str | None) -> int:
    if as_json:
        console.print_json(told)
        return console.OK
    console.print_table(
        {"location": False, "counted at": False, "products": True, "differ": True},
        [[location, f"{at.astimezone():%Y-%m-%d %H:%M:%S %z}", *_numbers(variances, location)]
         for location, at in told["counted_at"].items()],
    )  # fmt: skip
    differing = [each for each in variances if each.difference]
    if differing:
        shown = differing[:VARIANCES_SHOWN]
        console.print_table(_COLUMNS, [_row(each) for each in shown])
        if len(differing) > len(shown):
            console.say(f"… and {counted(len(differing) - len(shown), 'smaller difference')}; --json has all of them.")
    if told["blank"]:
        console.say(f"Not counted: {counted(told['blank'], 'blank cell')}.")
    if conclusion is not None:
        console.say(conclusion)
    return console.OK


def _numbers(variances: Sequence[CountDifference], location: str) -> Iterator[str]:
    here = [each for each in variances if each.location == location]
    yield f"{len(here):,}"
    yield f"{sum(each.difference != 0 for each in here):,}"


def _row(each: CountDifference) -> list[str]:
    figures = (f"{unscaled(units):,}" for units in (each.book, each.counted))
    return [each.location, each.sku, *figures, f"{unscaled(each.difference):+,}"]


# ---------------------------------------------------------------------------------- posting


def _post(
    office: Office, figures: Mapping[str, Mapping[str, int]], instants: Mapping[str, int]
) -> list[tuple[ImportedCount, PostingResult]]:
    counts = []
    for location, counted_here in figures.items():
        lines = sorted(counted_here.items())
        for first in range(0, len(lines), PART_LINES):
            chosen, at = lines[first : first + PART_LINES], instants[location]
            counts.append(ImportedCount(count_id(location, at, chosen), location, at, chosen))
    results: list[tuple[ImportedCount, PostingResult]] = []
    with console.progress_bar("counts", len(counts)) as progress:
        for chunk in chunks(counts):
            results += zip(chunk, office.change(ImportCounts(chunk)), strict=True)
            progress(len(results))
    return results


def _replaced(results: Sequence[tuple[ImportedCount, PostingResult]], variances: Sequence[CountDifference]) -> int:
    """How many figures HQ has known before and that do not stand any more; each count with some is named."""
    differing = {(each.location, each.sku) for each in variances if each.difference}
    total = 0
    for count, result in results:
        gone = [sku for sku, _ in count.lines if (count.location, sku) in differing]
        if result.status == "duplicate" and gone:
            total += len(gone)
            console.say(
                f"{count.location}: {', '.join(gone)}: these figures were posted before, and have been voided or "
                "replaced by other ones of the same instant since; to count anew, name a later instant with --at",
                err=True,
            )
    return total


def _posted(
    results: Sequence[tuple[ImportedCount, PostingResult]], replaced: int, told: Mapping[str, Any], as_json: bool
) -> int:
    lines: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    for count, result in results:
        lines[result.status] += len(count.lines)
        flags.update(result.flags if result.status == "posted" else ())
        if result.status not in ("posted", "duplicate"):
            first = f"{count.location}, from {count.lines[0][0]} on"
            console.say(f"{first}: {result.status}: {result.reason or result.code}", err=True)
    refused = lines.total() - lines["posted"] - lines["duplicate"]
    if as_json:
        summary = {
            "posted": lines["posted"],
            "known_before": lines["duplicate"],
            "replaced": replaced,
            "refused": refused,
        }
        console.print_json({**told, **summary, "flags": dict(flags)})
    else:
        known = f"; {counted(lines['duplicate'], 'figure')} had been posted before" if lines["duplicate"] else ""
        not_posted = f"; {counted(refused, 'figure')} refused" if refused else ""
        noted = f" HQ flagged: {', '.join(sorted(flags))}; see: stock-query counts." if flags else ""
        console.say(f"Posted {counted(lines['posted'], 'figure')}{known}{not_posted}.{noted}")
    return console.FOUND_PROBLEMS if refused or replaced else console.OK
