"""What `pos-client replay` says: grouped messages, the rehearsal, the summary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pos_client.commands import console
from pos_client.commands.limits import LARGEST_SKUS, PLACES_SHOWN
from pos_client.files.postings import FilePosting, FileTill
from pos_client.files.problems import Problem
from pos_client.files.sales_file import SalesFiles
from pos_client.protocol import wire
from pos_client.protocol.units import SECOND_MICROS, scaled, unscaled
from pos_client.replay.replay import ReplayOutcome
from pos_client.replay.simulated_till import terminal_name


class Problems:
    """The problems of a run, by kind: of many like rows only the first are shown, and how many there are."""

    def __init__(self) -> None:
        self.all: list[Problem] = []
        self._kinds: dict[str, list[Problem]] = defaultdict(list)

    def add(self, problem: Problem) -> None:
        """Remember a problem."""
        self.all.append(problem)
        self._kinds[problem.kind or problem.reason].append(problem)

    def say(self) -> None:
        """Print all kinds of problems on stderr."""
        for problems in self._kinds.values():
            for problem in problems[:PLACES_SHOWN]:
                console.say(str(problem), err=True)
            more = len(problems) - PLACES_SHOWN
            if more > 0:
                console.say(
                    f"… and {_counted(more, 'more row')} like these; write all of them to a file with --rejects FILE",
                    err=True,
                )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say_questions(questions: Sequence[str]) -> None:
    """Print what has to be decided."""
    for question in questions:
        console.say(question, err=True)


def say_notes(read: SalesFiles) -> None:
    """Print what was read otherwise than row by row: columns that are not used, prices and receipts left out."""
    if read.ignored:
        console.say(f"Ignored columns: {', '.join(read.ignored)}.", err=True)
    for column, values in read.kept_values.items():
        if values and not any(reason.startswith(f"{column} = ") for reason in read.skipped):
            listed = ", ".join(map(repr, values))
            console.say(f"No row is left out by [skip] {column}: its values are {listed}.", err=True)
    if read.prices_left_out:
        console.say(
            f"Posted without a price, which could not be read: {_counted(read.prices_left_out, 'row')}.", err=True
        )
    if read.receipts_repeated:
        console.say(
            f"Counted once although the files have them twice: {_counted(read.receipts_repeated, 'receipt')}.", err=True
        )


def counts(read: SalesFiles, tills: Sequence[FileTill]) -> dict[str, Any]:
    """What was read, for the summary."""
    return {
        "rows": read.rows,
        "rows_not_mapped": read.rows_not_mapped,
        "rows_held_back": read.rows_held,
        "rows_skipped": sum(read.skipped.values()),
        "locations": len({till.location for till in tills}),
        "tills": len(tills),
    }


def summary(
    read: SalesFiles, tills: Sequence[FileTill], outcome: ReplayOutcome, reading_seconds: float, seconds: float
) -> dict[str, Any]:
    """The numbers of a run that has posted."""
    postings = outcome.statuses.total()
    return {
        **counts(read, tills),
        "postings": postings,
        **{status: outcome.statuses[status] for status in ("posted", "duplicate", "conflict", "rejected")},
        "lines_posted": outcome.lines,
        "reading_seconds": round(reading_seconds, 2),
        "posting_seconds": round(seconds, 2),
        "sales_per_second": round(postings / seconds) if seconds > 0 else 0,
    }


def rehearsal(read: SalesFiles, tills: Sequence[FileTill]) -> dict[str, Any]:
    """What a run would post: counts, what is skipped, the first and the last sale, totals by location and product."""
    postings = [posting for till in tills for posting in till.postings]
    times = [posting.occurred_at for posting in postings]
    locations: dict[str, dict[str, Any]] = {}
    products: dict[str, int] = defaultdict(int)
    for till in tills:
        here = locations.setdefault(till.location, {"receipts": 0, "lines": 0, "quantity": 0})
        here["receipts"] += len({posting.basket for posting in till.postings})
        here["lines"] += sum(posting.lines for posting in till.postings)
        for posting in till.postings:
            here["quantity"] += _add_lines(posting, products)
    largest = sorted(products.items(), key=lambda entry: (-abs(entry[1]), entry[0]))[:LARGEST_SKUS]
    return {
        **counts(read, tills),
        "postings": len(postings),
        "lines": sum(posting.lines for posting in postings),
        "skipped": dict(read.skipped),
        "ignored_columns": list(read.ignored),
        "prices_left_out": read.prices_left_out,
        "receipts_repeated": read.receipts_repeated,
        "first": _instant(min(times)) if times else None,
        "last": _instant(max(times)) if times else None,
        "by_location": {name: {**found, "quantity": unscaled(found["quantity"])} for name, found in locations.items()},
        "largest": {sku: unscaled(quantity) for sku, quantity in largest},
        "terminals": {terminal_name(till): till.location for till in tills},
    }


def _add_lines(posting: FilePosting, products: dict[str, int]) -> int:
    """Add the quantities of a posting's lines to `products`; return their sum, in units of 10⁻⁵."""
    body = wire.decode_body(posting.body)
    total = 0
    for line in body.lines if isinstance(body.lines, list) else ():
        quantity = scaled(line.quantity)
        products[str(line.sku) if isinstance(line.sku, str) else str(line.gtin)] += quantity
        total += quantity
    return total


def _instant(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // SECOND_MICROS, UTC).isoformat().replace("+00:00", "Z")


def print_rehearsal(told: dict[str, Any], terminals_file: Path | None) -> None:
    """Print a rehearsal as tables."""
    plain = {name: value for name, value in told.items() if not isinstance(value, dict | list)}
    console.print_table(
        {"rehearsal": False, "": True},
        [
            [name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value)]
            for name, value in plain.items()
        ],
    )
    for name, heading in (("skipped", "rows left out"), ("largest", "product")):
        if told[name]:
            console.print_table({heading: False, "quantity" if name == "largest" else "rows": True},
                                [[key, f"{value:,}"] for key, value in told[name].items()])  # fmt: skip
    console.print_table(
        {"location": False, "receipts": True, "lines": True, "quantity": True},
        [[name, *(f"{value:,}" for value in found.values())] for name, found in sorted(told["by_location"].items())],
    )
    if terminals_file is not None:
        console.say(
            f"Enrol its {_counted(len(told['terminals']), 'till')}: inventory-server terminal import {terminals_file}"
        )


def write_terminals(path: Path, told: dict[str, Any]) -> None:
    """Write the tills of a rehearsal as a file for `inventory-server terminal import`."""
    rows = [[name, location, "till"] for name, location in told["terminals"].items()]
    try:
        path.write_text(console.to_csv(["terminal", "location", "role"], rows) + "\n", "utf-8")
    except OSError as error:
        raise console.CommandError(f"{path} cannot be written: {error.strerror or error}.") from error
