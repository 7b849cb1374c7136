"""Of any file, damaged in any way, each receipt is posted whole or named; mended, exactly the rest is posted."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pos_client.files.mapping import load_mapping
from pos_client.files.postings import FilePosting
from pos_client.files.problems import Problem
from pos_client.files.rejects import write_rejects
from pos_client.files.sales_file import SalesFiles
from pos_client.protocol import wire

HEAD = ["Store", "No", "Date", "Item", "Note", "Qty"]
NOTE = HEAD.index("Note")
COLUMNS = {"location": "Store", "basket": "No", "sku": "Item", "quantity": "Qty", "timestamp": "Date"}
Line = tuple[str, int]
Receipts = list[list[tuple[str, int, str]]]

lines = st.tuples(st.sampled_from("ABC"), st.integers(1, 9), st.text('a ,"\n', max_size=6))
receipts = st.lists(st.lists(lines, min_size=1, max_size=4), min_size=1, max_size=6)
damages = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "swallow", "drop", "add", "no key", "no number", "blank line"]),
        st.integers(0, 40),
    ),
    max_size=3,
)


def rows_of(sold: Receipts, mixed: bool = False) -> list[list[str]]:
    """The rows of all receipts; `mixed`: the first rows of all, then the second ones, …"""
    rows = [
        (nth, ["N", str(number), "2026-03-14T09:41:00Z", sku, note, str(quantity)])
        for number, goods in enumerate(sold, start=1)
        for nth, (sku, quantity, note) in enumerate(goods)
    ]
    return [row for _, row in (sorted(rows, key=lambda entry: entry[0]) if mixed else rows)]


def text_of(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEAD, *rows])
    return text.getvalue()


def damaged(rows: list[list[str]], done: list[tuple[str, int]]) -> str:
    """The file of `rows` with what happens to files in the hands of people and programs done to some of its rows."""
    written = [text_of([row]).split("\n", 1)[1] for row in rows]
    opened = [(what, where) for what, where in done if what != "swallow"]
    opened += [each for what, where in done if what == "swallow" for each in (("open", where), ("close", where + 2))]
    for what, where in opened:
        at = where % len(rows)
        cells = list(rows[at])
        if what in ("open", "close"):
            plain = cells[NOTE].replace('"', "").replace(",", "").replace("\n", "")
            cells[NOTE] = '"' + plain if what == "open" else "x" + plain + '"'
        elif what == "drop":
            del cells[NOTE]
        elif what == "add":
            cells.insert(NOTE, "3/4 in")
        elif what == "no key":
            cells[1] = ""
        elif what == "no number":
            cells[-1] = "some"
        if what == "blank line":
            written[at] = "\n"
        else:
            written[at] = ",".join(cells) + "\n" if what in ("open", "close") else text_of([cells]).split("\n", 1)[1]
    return ",".join(HEAD) + "\n" + "".join(written)


def read(
    path: Path, quoting: str = "strict"
) -> tuple[dict[str, Counter[Line]], list[FilePosting], list[Problem], SalesFiles]:
    problems: list[Problem] = []
    changes = {"source": "s", "columns": COLUMNS, "repeats": "rows", "quoting": quoting}
    files = SalesFiles(load_mapping(None, changes), problems.append)
    files.read(path)
    postings = [posting for till in files.tills() for posting in till.postings]
    found: dict[str, Counter[Line]] = {}
    for posting in postings:
        body = wire.decode_body(posting.body)
        assert isinstance(body.lines, list)
        found[posting.basket] = Counter((str(line.sku), int(line.quantity)) for line in body.lines)
    return found, postings, problems, files


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sold=receipts, done=damages, mixed=st.booleans())
def test_a_receipt_is_posted_whole_or_named_and_once_mended_all_of_it_is_posted(
    sold: Receipts, done: list[tuple[str, int]], mixed: bool, tmp_path: Path
) -> None:
    # Where the rows of receipts are mixed, nothing tells to which one a row without a key belongs.
    assume(not mixed or "no key" not in dict(done))
    rows = rows_of(sold, mixed)
    truth = {str(n): Counter((sku, quantity) for sku, quantity, _ in goods) for n, goods in enumerate(sold, start=1)}
    path = tmp_path / "sales.csv"
    gone = {where % len(rows) for what, where in done if what == "blank line"}
    path.write_text(damaged(rows, done), newline="")
    found, postings, problems, _ = read(path)
    blanked = {rows[at][1] for at in gone}
    for number, goods in found.items():
        assert goods == truth[number] or number in blanked
    if set(found) != set(truth) - blanked:
        assert problems or set(found) | blanked == set(truth)
    mended = tmp_path / "mended.csv"
    mended.write_text(text_of(rows), newline="")
    ledger: dict[UUID, bytes] = {posting.id: posting.body for posting in postings if posting.basket not in blanked}
    whole, again, none, _ = read(mended, "trusted")
    assert (whole, none) == (truth, [])
    for posting in again:
        assert ledger.setdefault(posting.id, posting.body) == posting.body
    assert len(ledger) == len(truth)


@pytest.mark.parametrize("quoting", ["strict", "none"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sold=receipts, done=damages)
def test_the_rejects_hold_every_row_that_is_not_posted(
    quoting: str, sold: Receipts, done: list[tuple[str, int]], tmp_path: Path
) -> None:
    """What is posted and what is rejected are together what is in the file."""
    rows = rows_of([[(sku, quantity, "") for sku, quantity, _ in goods] for goods in sold])
    path, rest = tmp_path / "sales.csv", tmp_path / "rest.csv"
    text = damaged(rows, done)
    path.write_text(text, newline="")
    problems: list[Problem] = []
    changes = {"source": "s", "columns": COLUMNS, "repeats": "rows", "quoting": quoting}
    files = SalesFiles(load_mapping(None, changes), problems.append)
    files.read(path)
    posted = sum(posting.lines for till in files.tills() for posting in till.postings)
    write_rejects(rest, files)
    kept = [line for line in rest.read_text().split("\n")[1:] if line]
    assert posted + len(kept) == sum(1 for line in text.split("\n")[1:] if line)
