"""Small files, one oddity each: exactly what is right is posted, and all else is named."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pos_client.files.problems import FileError
from pos_client.files.rejects import write_rejects
from tests.support.bring_in import bring_in

BASE: dict[str, Any] = {
    "source": "case",
    "columns": {"location": "Store", "basket": "No", "sku": "Item", "quantity": "Qty", "timestamp": "Date"},
    "time": {"formats": ["%Y-%m-%d %H:%M"], "zone": "Europe/Berlin"},
}
HEAD = "Store,No,Date,Item,Qty"
T = "2026-03-14 09:41"


def rows(*written: str, head: str = HEAD) -> str:
    """A file: `N` stands for the store and `T` for a time in rows written short."""
    return "\n".join([head, *(row.replace("T,", f"{T},") for row in written)]) + "\n"


def settings(changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(BASE)
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


ORDERED = {"columns": {"order": "Line"}}
NOTE = "Store,No,Date,Item,Note,Qty"
LINE = "Store,No,Line,Date,Item,Qty"
SIGNS = {
    "columns": {"type": "Kind"},
    "types": {"S": "sale", "R": {"type": "return", "quantity": "negative"}, "D": "receipt"},
}
KIND = "Store,No,Date,Item,Qty,Kind"
BARCODES = {"columns": {"sku": None, "gtin": "Item"}}
TWO_FORMATS = {"time": {"formats": ["%m/%d/%Y", "%d/%m/%Y"]}}
STYLES = {"columns": {"sku": ["Style", "Size"]}}

# what the file is, the settings, what is posted, what is named
CASES: list[tuple[str, dict[str, Any], dict[str, str], list[str]]] = [
    # Quotes
    (rows('N,1,T,A,"x, y",1', 'N,2,T,B,12" pipe,2', head=NOTE), {}, {"A": "-1", "B": "-2"}, []),
    (rows('N,1,T,A,"x,1', "N,2,T,B,x,2", "N,3,T,C,x,3", head=NOTE), {}, {}, [":2:", "lines 2 to 4"]),
    (rows("N,1,T,Z,x,1", "N,2,T,Z,x,1", 'N,3,T,A,"x,1', "N,1,T,B,x,2", head=NOTE), {}, {}, [":4:", "basket 1 is held"]),
    (
        rows("N,8,T,Z,x,1", "N,9,T,Z,x,1", 'N,1,T,A,"x,1', 'N,2,T,B,12",2', "N,3,T,C,x,3", "N,4,T,D,x,4", head=NOTE),
        {},
        {"Z": "-1", "D": "-4"},
        [":4:", "swallowed"],
    ),
    (
        rows('N,1,T,A,"x,1', 'N,2,T,B,12",2', "N,3,T,C,x,3", head=NOTE),
        {"quoting": "trusted"},
        {"A": "-2", "C": "-3"},
        [],
    ),
    (rows('N,1,T,A,"x,1', 'N,2,T,B,12",2', head=NOTE), {"quoting": "none"}, {"A": "-1", "B": "-2"}, []),
    (rows('N,1,T,A,"said ""x"" twice",1', 'N,2,T,B, "x, y",2', head=NOTE), {}, {"A": "-1", "B": "-2"}, []),
    (rows('N,1,T,A,"gift\nwrap",1', "N,2,T,B,x,y", head=NOTE), {}, {"A": "-1"}, [":4: Qty"]),
    (rows('N,1,T,A,",1', 'N,2,T,A,"', '",1', 'N,3,T,A,x",1', "N,4,T,B,,1", "N,3,T,B,,1", "N,5,T,B,,1", head=NOTE), {},
     {"B": "-1"}, [":2:", ":4:", "basket 3", "basket 4"]),
    # Whole receipts
    (rows("N,1,T,A,1", "N,1,T", "N,2,T,B,1", "N,3,T,C,1"), {}, {"C": "-1"}, [":3: row", "basket 1", "basket 2"]),
    (rows("N,1,T,A,1", "N,,T,A,1", "N,2,T,B,1", "N,3,T,C,1"), {}, {"C": "-1"}, [":3: No"]),
    (rows("N,1,T,A,1", "N,2,T,B,1", "N,2,T,A,1", "N,3,T,C,1", "N,2,T,B,x"), {}, {"A": "-1", "C": "-1"}, [":6: Qty"]),
    # A receipt twice, or rows of it
    (rows("N,1,T,A,1", "N,1,T,A,1"), {}, {"A": "-2"}, []),
    (rows("N,1,T,A,1", "N,2,T,B,1", "N,1,T,A,1"), {}, {}, ["repeats = "]),
    (rows("N,1,T,A,1", "N,2,T,B,1", "N,1,T,A,1"), {"repeats": "rows"}, {"A": "-2", "B": "-1"}, []),
    (rows("N,1,T,A,1", "N,2,T,B,1", "N,1,T,A,1"), {"repeats": "receipts"}, {"A": "-1", "B": "-1"}, []),
    (rows("N,1,T,A,1", "N,2,T,B,1", "N,1,T,C,1"), {}, {"A": "-1", "B": "-1", "C": "-1"}, []),
    (rows("N,1,1,T,A,1", "N,2,1,T,B,1", "N,1,1,T,A,1", "N,1,2,T,A,1", head=LINE), ORDERED, {"A": "-2", "B": "-1"}, []),
    # Numbers that restart
    (rows("N,1,T,A,1", "N,1,2026-03-15 09:41,A,1"), {}, {}, ["restarts = "]),
    (rows("N,1,T,A,1", "N,1,2026-03-15 09:41,A,1"), {"restarts": "daily"}, {"A": "-2"}, []),
    (rows("N,1,2026-03-14 23:59,A,1", "N,1,2026-03-15 00:01,A,1"), {"time": {"day_ends": 4}}, {"A": "-2"}, []),
    # Signs
    (rows("N,1,T,A,2,S", "N,2,T,A,-1,R", "N,2,T,B,1,S", "N,3,T,A,9,D", head=KIND), SIGNS, {"A": "8", "B": "-1"}, []),
    (rows("N,1,T,A,2,S", "N,2,T,A,1,R", "N,3,T,A,-9,D", head=KIND), SIGNS, {"A": "-2"}, [":3: Qty", ":4: Qty"]),
    (rows("N,1,T,A,2,S", "N,2,T,A,1,X", head=KIND), SIGNS, {"A": "-2"}, [":3: Kind: expected one of S, R, D"]),
    # Headers and rows
    (rows("N,1,T,A,1", head="Store,No,Date,Item,qty "), {}, {}, ["has no column 'Qty'", "Is it 'qty'?"]),
    (rows("N,1,T,A,1", head="Store,No,Date,Item,Item"), {}, {}, ["no column 'Qty'"]),
    (rows("N\u00a0,1,T, A\u00a0,1"), {}, {"A": "-1"}, []),
    (rows("N,1,T,A,1", HEAD, "", ",,,,", "N,2,T,B,1,,"), {}, {"A": "-1", "B": "-1"}, []),
    (rows("N,1,T,A", "N,2,T,B,1,,"), {}, {}, [":2: row", "short_rows", "basket 2"]),
    (rows("N,1,T,A,1", "N,2,T,B,1,x", head=f"{HEAD},Note"), {"short_rows": True}, {"A": "-1", "B": "-1"}, []),
    (rows("N,1,T,A,1,x", "N,2,T,B,1", head=f"{HEAD},Note").rstrip(), {"short_rows": True}, {}, [":3: row"]),
    ("Sales\nfrom,to\n\n" + rows("N,1,T,A,1"), {}, {"A": "-1"}, []),
    ("sep=;\n" + rows("N,1,T,A,1").replace(",", ";"), {}, {"A": "-1"}, []),
    (rows("N,1,T,A,1").replace(",", "\t"), {}, {"A": "-1"}, []),
    (
        rows("N,1,T,A,1", "N,2,T,A,5,VOID", head=f"{HEAD},Status").replace("A,1", "A,1,OK"),
        {},
        {},
        ["'Status' may mark rows"],
    ),
    (rows("N,1,T,A,1,OK", "N,2,T,A,5,VOID", head=f"{HEAD},Status"), {"skip": {"Status": ["VOID"]}}, {"A": "-1"}, []),
    (rows("N,1,T,A,1", "N,1,T,Total,1"), {}, {}, [":3: Item: expected a product, not a total"]),
    (
        rows("N,1,T,A,1", ",,,B,2", "N,2,T,C,3"),
        {"fill_down": ["Store", "No", "Date"]},
        {"A": "-1", "B": "-2", "C": "-3"},
        [],
    ),
    (
        rows("N,1,T,A,1", "N,2,T", ",,,B,2", "N,3,T,C,3", "N,4,T,D,4"),
        {"fill_down": ["Store", "No", "Date"]},
        {"D": "-4"},
        [":3: row", ":4: No"],
    ),
    # Numbers
    (rows("N,1,T,A,1.234"), {}, {}, ["'1.234' can be read as 1234 or as 1.234"]),
    (rows("N,1,T,A,1.234", "N,2,T,B,0.5"), {}, {"A": "-1.234", "B": "-0.5"}, []),
    (rows("N,1,T,A,1.234"), {"decimal": "."}, {"A": "-1.234"}, []),
    (
        rows("N;1;T,A;1.234", head=HEAD.replace(",", ";")).replace(",", ";"),
        {"decimal": ",", "thousands": "."},
        {"A": "-1234"},
        [],
    ),
    (rows('N,1,T,A,"1,5"'), {}, {}, ["set decimal and thousands"]),
    (rows("N,1,T,A,1.23"), {"decimal": ",", "thousands": "."}, {}, [":2: Qty", 'set thousands = "."']),
    (rows("N,1,T,A,2 kg", "N,2,T,B,1'000 kg"), {"strip": ["kg", "'"]}, {"A": "-2", "B": "-1000"}, []),
    (rows("N,1,T,5.01E+12,1", "N,2,T,22752.0,1", "N,1.0,T,A,1"), {}, {}, [":2: Item", ":3: Item", ":4: No"]),
    (rows("N,NULL,T,A,1", "N,#N/A,T,A,1", "-,1,T,A,1"), {}, {}, [":2: No", ":3: No", ":4: Store"]),
    (rows("N,1,T,22752.0,1"), {"spreadsheet_codes": "keep"}, {"22752.0": "-1"}, []),
    (
        rows("N,1,T,4006381333931,1", "N,2,T,36000291452,1", "N,3,T,4006381333932,1"),
        BARCODES,
        {"gtin:4006381333931": "-1"},
        [":3: Item", "036000291452", ":4: Item", "check digit 1"],
    ),
    # Times
    (rows("N,1,03/04/2026,A,1", "N,2,13/04/2026,A,1"), TWO_FORMATS, {"A": "-2"}, []),
    (rows("N,1,03/04/2026,A,1", "N,2,12/04/2026,A,1"), TWO_FORMATS, {}, ["can be read as"]),
    (rows("N,1,03/04/2026,A,1", "N,2,13/04/2026,A,1", "N,3,04/13/2026,A,1"), TWO_FORMATS, {}, ["can be read as"]),
    (rows("N,1,03/03/2026,A,1", "N,2,13/04/2026,A,1", "N,3,04/13/2026,A,1"), TWO_FORMATS, {"A": "-3"}, []),
    (
        rows("N,1,0,A,1", "N,2,46095.5,A,1"),
        {"time": {"formats": "epoch"}},
        {},
        [":2: Date", ":3: Date", 'formats = "excel"'],
    ),
    (
        rows("N,1,2026-03-29 02:30,A,1", "N,2,2026-10-25 02:30,B,1"),
        {},
        {"B": "-1"},
        [":2: Date: expected a time that there was"],
    ),
    (rows("N,1,1926-03-29 02:30,A,1"), {}, {}, [":2: Date: expected a time from 1990 on"]),
    (rows("N,1,T,A,1"), {"time": {"formats": ["%H:%M"]}}, {}, ["has no year"]),
    (rows("N,1,T,A,1"), {"time": {"zone": None, "zones": {"N": "UTC"}}}, {"A": "-1"}, []),
    (
        rows("N,1,T,A,1", "M,2,T,B,1"),
        {"time": {"zone": None, "zones": {"N": "UTC"}}},
        {"A": "-1"},
        [":3: Date", "UTC offset"],
    ),
    (
        rows("N,1,T,A,1,Europe/Rome", "N,2,T,B,1,Mars", head=f"{HEAD},Zone"),
        {"columns": {"zone": "Zone"}},
        {"A": "-1"},
        [":3: Date", "'Mars'"],
    ),
    # Products and prices
    (
        rows("N,1,T,tee,M,1", "N,2,T,tee,L,1", head="Store,No,Date,Style,Size,Qty"),
        STYLES,
        {"tee-M": "-1", "tee-L": "-1"},
        [],
    ),
    (
        rows("N,1,T,a-b,c,1", "N,2,T,a,b-c,1", head="Store,No,Date,Style,Size,Qty"),
        STYLES,
        {"a-b-c": "-1"},
        [":3: Style+Size"],
    ),
    (
        rows("N,1,T,A,1,?", "N,1,T,B,1,", head=f"{HEAD},Price"),
        {"columns": {"unit_price": "Price"}},
        {"A": "-1", "B": "-1"},
        [],
    ),
    (
        rows("N,1,T,A,1", "N,1,T,A,2"),
        {"constants": {"type": "count"}},
        {},
        [":3: basket 1: expected each product once"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "changes", "stock", "named"), CASES)
def test_what_is_right_is_posted_and_all_else_is_named(
    text: str, changes: dict[str, Any], stock: dict[str, str], named: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(text.encode())
    came = bring_in([path], None, settings(changes))
    said = "\n".join(came.said)
    assert came.stock == stock, said
    assert [part for part in named if part not in said] == [], said
    assert bool(came.said) == bool(named), said


def test_numbers_of_columns_stand_for_names_where_there_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(f"N,1,{T},A,1\nN,2,{T},B,2\n")
    numbers = {"location": 1, "basket": 2, "sku": 4, "quantity": 5, "timestamp": 3}
    assert bring_in([path], None, settings({"columns": numbers})).stock == {"A": "-1", "B": "-2"}
    assert bring_in([path], None, settings({"columns": numbers, "header": True})).stock == {"B": "-2"}
    assert "has no column 9" in bring_in([path], None, settings({"columns": {**numbers, "quantity": 9}})).said[0]


def archive(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as written:
        for name in names:
            written.writestr(name, rows("N,1,T,A,1"))
    return packed.getvalue()


PLAIN = rows("N,1,T,KÄSE,1")
FORMS = [
    (PLAIN.encode(), {}, "KÄSE"),
    (PLAIN.encode("utf-8-sig"), {"encoding": "cp1252"}, "KÄSE"),
    (PLAIN.encode("utf-16"), {}, "KÄSE"),
    (PLAIN.encode("utf-16-le"), {}, "KÄSE"),
    (PLAIN.encode("utf-16-be"), {}, "KÄSE"),
    (PLAIN.encode("cp1252"), {}, 'set encoding = "cp1252"'),
    (PLAIN.encode("cp1252"), {"encoding": "cp1252"}, "KÄSE"),
    (PLAIN.encode(), {"encoding": "cp1252"}, "the file is UTF-8: leave out the encoding that was set"),
    (PLAIN.replace("Item", "Stück").encode("cp1252"), {"columns": {"sku": "Stück"}}, "saved the file as cp1252"),
    (PLAIN.encode("utf-16")[:-1], {}, "is cut short or is not UTF-16"),
    (gzip.compress(PLAIN.encode(), mtime=0), {}, "KÄSE"),
    (archive("sales.csv", "__MACOSX/sales.csv"), {}, "A"),
    (archive("a.csv", "b.csv"), {}, "expected one file in it, got a.csv, b.csv"),
    (b"%PDF-1.7\n", {}, "is a PDF: expected a table"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", {}, "old Excel"),
    (b"<!DOCTYPE html>", {}, "is an HTML page"),
    (b"<?xml version='1.0'?>", {}, "is an XML file"),
    (b'[{"a": 1}]', {}, "is a JSON file"),
]


@pytest.mark.parametrize(("content", "changes", "expected"), FORMS)
def test_encodings_and_kinds_of_file_are_recognised_by_their_bytes(
    content: bytes, changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(content)
    came = bring_in([path], None, settings(changes))
    assert came.stock == {expected: "-1"} or expected in "\n".join(came.said)


def test_two_files_that_hold_the_same_receipt_count_it_once(tmp_path: Path) -> None:
    first, second, third = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv"
    first.write_text(rows("N,1,T,A,1", "N,2,T,B,1", "N,2,T,B,1"))
    second.write_text(rows("N,2,T,B,1", "N,2,T,B,1", "N,3,T,C,1"))
    third.write_text(rows("N,2,T,B,1", "N,4,T,C,1"))
    assert bring_in([first, second], None, settings({})).stock == {"A": "-1", "B": "-2", "C": "-1"}
    one, other = (bring_in(files, None, settings({})).postings for files in ([first, second], [second, first]))
    assert [(each.id, each.body) for each in one] == [(each.id, each.body) for each in other]
    assert "repeats = " in bring_in([first, third], None, settings({})).said[0]
    assert bring_in([first, third], None, settings({"repeats": "rows"})).stock == {"A": "-1", "B": "-3", "C": "-1"}
    differs = bring_in([first, third], None, settings({"repeats": "receipts"}))
    assert (differs.stock, "basket 2 is not the same in" in differs.said[0]) == ({"A": "-1", "C": "-1"}, True)


def test_line_numbers_tell_the_parts_of_a_receipt_in_two_files_from_its_versions(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(rows("N,1,1,T,A,1", "N,1,2,T,B,1", head=LINE))
    second.write_text(rows("N,1,2,T,B,1", "N,1,3,T,C,1", head=LINE))
    assert bring_in([first, second], None, settings(ORDERED)).stock == {"A": "-1", "B": "-1", "C": "-1"}
    second.write_text(rows("N,1,2,T,B,7", head=LINE))
    assert "is not the same in" in bring_in([first, second], None, settings(ORDERED)).said[0]


WRONG_MAPPINGS: list[tuple[dict[str, Any], str]] = [
    ({"encoding": "latin-99"}, "Unknown encoding 'latin-99'"),
    ({"constants": {"quantity": "many"}}, "constants.quantity: expected an exact number"),
    ({"thousands": "."}, "thousands and decimal cannot both be '.'"),
    *(({"strip": [mark]}, "strip: expected units and symbols") for mark in ("-", "−", "–", "(", ")", "½", "²", "")),
    ({"strip": ["kg", "g"]}, "500 g would count like 500 kg"),
    ({"time": {"formats": ["%Y-%m-%d %H:%M %p"]}}, "has AM or PM (%p) beside hours from 0 to 23 (%H)"),
    ({"time": {"formats": ["%Y-%m-%d %I:%M"]}}, "without AM or PM"),
    ({"time": {"formats": ["%Y %H:%M"]}}, "has no day (%d) or no month"),
    ({"time": {"formats": ["%d %Y %H:%M"]}}, "has no day (%d) or no month"),
    ({"header": False}, "has no names of columns"),
    (
        {"columns": {"basket": 0, "location": 1, "sku": 2, "quantity": 3, "timestamp": 4}},
        "first column has the number 1",
    ),
    ({"time": {"abbreviations": {"EST": "east"}}}, "Unknown time zone 'east'"),
    ({"types": {"S": {"type": "sale", "sign": 1}}}, "types"),
    ({"skipp": {"a": ["b"]}}, "is it skip?"),
    ({"columns": {"unit_prise": "a"}}, "is it unit_price?"),
    ({"time": {"zones_": {}}}, "is it zones?"),
    ({"repeats": "row"}, "repeats: expected 'rows' or 'receipts', got "),
    ({"quoting": "non"}, "quoting: expected 'strict' or 'trusted' or 'none', got "),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG_MAPPINGS)
def test_settings_that_cannot_be_are_named(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    came = bring_in([tmp_path / "none.csv"], None, settings(changes))
    assert (came.stopped, reason in came.said[0]) == (True, True), came.said


def test_a_zip_archive_that_cannot_be_unpacked_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sales.zip"
    whole = bytearray(archive("sales.csv"))
    path.write_bytes(whole[:40])
    assert "is truncated or corrupt" in bring_in([path], None, settings({})).said[0]
    for at in (6, whole.index(b"PK\x01\x02") + 8):
        whole[at] |= 1  # encrypted, in both headers
    path.write_bytes(whole)
    assert "is an encrypted ZIP archive" in bring_in([path], None, settings({})).said[0]


def test_an_unclosed_quote_keeps_all_that_follows_from_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(rows("N,1,T,A,x,1", 'N,2,T,B,"x,1', *(f"N,{n},T,C,x,1" for n in range(3, 400)), head=NOTE))
    before = csv.field_size_limit(500)
    try:
        came = bring_in([path], None, settings({}))
    finally:
        csv.field_size_limit(before)
    assert came.stock == {}
    assert "lines 3 to 400 are not read" in came.said[0]


def test_rejects_of_files_with_different_headers_are_written_one_by_one(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(rows("N,1,T,A,x"))
    second.write_text(rows("N,2,T,A,x,7", head=f"{HEAD},Shelf"))
    read = bring_in([first, second], None, settings({})).read
    assert read is not None
    with pytest.raises(FileError, match="have different headers"):
        write_rejects(tmp_path / "rest.csv", read)
    with pytest.raises(FileError, match="cannot be written: No such file"):
        write_rejects(tmp_path / "none" / "rest.csv", read)
