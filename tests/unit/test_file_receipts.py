"""Receipts that are there twice, or in part: what cannot be told is asked for, and what is told is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pos_client.files.problems import FileError
from pos_client.files.rejects import write_rejects
from tests.support.bring_in import Came, bring_in

HEAD = "Store,No,Line,Date,Item,Qty"
DAY = "2026-03-14 09:41"
NEXT_DAY = "2026-03-15 09:41"
BASE: dict[str, Any] = {
    "source": "case",
    "columns": {"location": "Store", "basket": "No", "sku": "Item", "quantity": "Qty", "timestamp": "Date"},
    "time": {"formats": ["%Y-%m-%d %H:%M"], "zone": "Europe/Berlin"},
}
COLUMNS = BASE["columns"]
ORDERED = {"columns": COLUMNS | {"order": "Line"}}
TYPED = {"columns": COLUMNS | {"type": "Line"}, "types": {"S": "sale", "R": "return"}}
FILLED = {"fill_down": ["Store", "No", "Date"]}


def file(folder: Path, *written: str, head: str = HEAD, name: str = "s.csv") -> Path:
    """A file of rows; `T` stands for a time in those written short."""
    path = folder / name
    path.write_text("\n".join([head, *(row.replace(",T,", f",{DAY},") for row in written)]) + "\n")
    return path


def come(path: Path, changes: dict[str, Any]) -> Came:
    return bring_in([path], None, BASE | changes)


AB = ("N,1,1,T,A,1", "N,1,2,T,B,1")
ONCE = {"A": "-1", "B": "-1"}
# rows, settings, what is posted, what is said
TWICE: list[tuple[tuple[str, ...], dict[str, Any], dict[str, str], str]] = [
    (AB + AB, ORDERED, ONCE, ""),
    (("N,1,1,T,A,1", "N,1,1,T,A,1", "N,1,2,T,B,1", "N,1,2,T,B,1"), ORDERED, ONCE, ""),
    (AB + AB, ORDERED | {"repeats": "rows"}, {"A": "-2", "B": "-2"}, ""),
    (("N,1,1,T,A,1", "N,1,1,T,A,5"), ORDERED, {}, "line number 1 more than once, and not the same"),
    (("N,1,1,T,A,1", "N,1,1,T,A,5"), ORDERED | {"repeats": "rows"}, {"A": "-6"}, ""),
    (("N,1,1,T,A,1", f"N,1,1,{DAY[:-2]}43,A,1"), ORDERED, {}, "line number 1 more than once"),
    (("N,1,,T,A,1", "N,1,,T,B,1") * 2, ORDERED, {}, "repeats = "),
    (AB + AB, {}, {}, "repeats = "),
    (AB + AB[::-1], {}, {}, "repeats = "),
    (AB + AB, {"repeats": "receipts"}, ONCE, ""),
    (AB + AB + AB, {"repeats": "receipts"}, ONCE, ""),
    (AB + AB, {"repeats": "rows"}, {"A": "-2", "B": "-2"}, ""),
    ((*AB, AB[0]), {}, {"A": "-2", "B": "-1"}, ""),
    (AB[:1] * 4 + AB[1:] * 2, {}, {"A": "-4", "B": "-2"}, ""),
    (AB[:1] * 4, {"repeats": "receipts"}, {"A": "-4"}, ""),
    ((*AB[:1] * 2, AB[1]) * 2, {"repeats": "receipts"}, {"A": "-2", "B": "-1"}, ""),
    ((AB[0], HEAD, AB[0]), {}, {}, "repeats = "),
    ((AB[0], HEAD, AB[0]), {"repeats": "receipts"}, {"A": "-1"}, ""),
    ((AB[0], "N,2,1,T,Total,1", AB[0]), {"skip": {"Item": ["total"]}}, {}, "repeats = "),
    ((AB[0], "N,2,1,T,C,x", AB[0]), {}, {}, "repeats = "),
    ((AB[0], f"N,2,1,{DAY[:-2]}42,B,1", f"N,1,1,{DAY[:-2]}43,A,1"), {}, {}, "repeats = "),
    ((AB[0], f"N,1,1,{NEXT_DAY},B,1", AB[0]), {"restarts": "daily"}, {}, "repeats = "),
    ((AB[0], f"N,1,1,{NEXT_DAY},B,1", AB[0]), {"restarts": "daily", "repeats": "receipts"}, ONCE, ""),
    (("N,1,S,T,A,1", "N,1,R,T,B,1", "N,1,S,T,A,1"), TYPED, {}, "repeats = "),
]  # fmt: skip


@pytest.mark.parametrize(("written", "changes", "stock", "said"), TWICE)
def test_a_receipt_that_is_in_a_file_twice_counts_once_or_is_asked_for(
    written: tuple[str, ...], changes: dict[str, Any], stock: dict[str, str], said: str, tmp_path: Path
) -> None:
    came = come(file(tmp_path, *written), changes)
    assert (came.stock, said in "\n".join(came.said)) == (stock, True), came.said
    assert bool(said) or came.said == []


@pytest.mark.parametrize("restarts", [None, "daily", "never"])
def test_a_receipt_whose_time_was_corrected_keeps_its_id(restarts: str | None, tmp_path: Path) -> None:
    changes = {"restarts": restarts} if restarts else {}
    [first], [second] = (
        come(file(tmp_path, f"N,1,1,{time},A,1"), changes).postings for time in (DAY, "2026-03-14 09:43")
    )
    assert first.id == second.id
    assert first.body != second.body  # so HQ tells a conflict
    [third] = come(file(tmp_path, f"N,1,1,{NEXT_DAY},A,1"), changes).postings
    assert (third.id == first.id) == (restarts == "never")


def test_that_numbers_restart_daily_may_be_said_later(tmp_path: Path) -> None:
    path = file(tmp_path, AB[0])
    [before], [after] = (come(path, changes).postings for changes in ({}, {"restarts": "daily"}))
    assert before.id == after.id


STATUS = "Store,No,Date,Item,Qty,Status"
VOID = {"skip": {"Status": ["Void"]}}
WHOLE = FILLED | VOID | {"fill_down": ["Store", "No", "Date", "Status"]}
HALVES: list[tuple[tuple[str, ...], dict[str, Any], dict[str, str], str]] = [
    (("N,1,T,A,1,Paid", "N,2,T,B,1,Void", ",,,C,2,"), FILLED | VOID, {}, "line 4 is of receipt 2"),
    (("N,1,T,A,1,Paid", "N,2,T,B,1,Void", "N,2,T,C,2,"), VOID, {}, "add 'Status' to fill_down"),
    (("N,1,T,A,1,Paid", "N,2,T,B,1,Void", ",,,C,2,", "N,3,T,D,1,"), WHOLE, {"A": "-1", "D": "-1"}, ""),
    (("N,2,T,B,1,Void", ",,,C,2,"), FILLED | VOID | {"ignore": ["Status"]}, {"C": "-2"}, ""),
    (("N,2,T,B,1,Void", ",,,C,2,Paid", "N,3,T,D,1,"), FILLED | VOID, {"C": "-2", "D": "-1"}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("written", "changes", "stock", "said"), HALVES)
def test_half_of_a_receipt_that_is_left_out_is_asked_for(
    written: tuple[str, ...], changes: dict[str, Any], stock: dict[str, str], said: str, tmp_path: Path
) -> None:
    came = come(file(tmp_path, *written, head=STATUS), changes)
    assert (came.stock, said in "\n".join(came.said)) == (stock, True), came.said


SHORT = "Store,No,Date,Item,Qty,Status"
# rows, what is mended in the rejects, what is sold in the end
MENDED: list[tuple[tuple[str, ...], tuple[str, str], dict[str, str]]] = [
    (("N,1,T,A,1,", "M,2,T,B,1,,9", ",,,C,2,", "N,3,T,D,1,"), (",9", ""), {"B": "-1", "C": "-2", "A": "-1", "D": "-1"}),
    (("N,1,T,A,1,", 'M,2,T,B,1,"x', ",,,C,2,", "N,3,T,D,1,"), ('"', ""), {"B": "-1", "C": "-2", "A": "-1", "D": "-1"}),
    (("N,1,T,A,1,", "M,2,T,B,1,Void,9", ",,,C,2,Paid", "N,3,T,D,1,"), (",9", ""), {"C": "-2", "A": "-1", "D": "-1"}),
    (("N,1,T,A,1,", "M,2,T,B,1,Void", ",,,C,2,Paid,9", "N,3,T,D,1,"), (",9", ""), {"C": "-2", "A": "-1", "D": "-1"}),
    (("N,1,T,A,1,", "", "M,2,T,B,1,,9", ",,,,,", ",,,C,2,"), (",9", ""), {"B": "-1", "C": "-2", "A": "-1"}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "mend", "stock"), MENDED)
def test_rows_of_the_rejects_are_filled_from_the_rows_they_were_below(
    written: tuple[str, ...], mend: tuple[str, str], stock: dict[str, str], tmp_path: Path
) -> None:
    came = come(file(tmp_path, *written, head=SHORT), FILLED | VOID)
    assert came.read is not None
    assert came.said
    rest = tmp_path / "rest.csv"
    write_rejects(rest, came.read)
    rest.write_text(rest.read_text().replace(*mend))
    again = come(rest, FILLED | VOID)
    assert again.said == []
    assert came.stock | again.stock == stock
    assert {posting.basket for posting in again.postings} >= {"2"}
    assert b'"C"' in next(posting.body for posting in again.postings if posting.basket == "2")


def test_rejects_are_not_filled_from_another_file_and_leave_the_counts_as_they_are(tmp_path: Path) -> None:
    first = file(tmp_path, "N,1,T,A,x,", "N,3,T,B,1,Void", head=SHORT)
    second = file(tmp_path, ",,,C,2,", head=SHORT, name="t.csv")
    read = bring_in([first, second], None, BASE | FILLED | VOID).read
    assert read is not None
    with pytest.raises(FileError, match="replay the files one by one"):
        write_rejects(tmp_path / "rest.csv", read)
    assert read.skipped == {"Status = Void": 1}
