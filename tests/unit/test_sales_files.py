"""Sales files become postings: what maps, what does not, and that ids follow from natural keys alone."""

from __future__ import annotations

import gzip
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from pos_client.files.mapping import load_mapping
from pos_client.files.moments import MomentReader
from pos_client.files.postings import FilePosting, FileTill, posting_id
from pos_client.files.problems import FileError, Problem, TextError
from pos_client.files.sales_file import SalesFiles
from pos_client.files.settings import MappingError, SalesMapping
from pos_client.files.zones import zone_of
from pos_client.protocol import wire
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import micros, scaled

MAPPINGS = sorted((Path(__file__).parents[2] / "examples" / "mappings").glob("*.toml"))
HEADER = "store,ticket,sku,qty,price,time"
COLUMNS = {
    "location": "store",
    "basket": ["store", "ticket"],
    "sku": "sku",
    "quantity": "qty",
    "unit_price": "price",
    "timestamp": "time",
}


def mapping(**changes: Any) -> SalesMapping:
    return load_mapping(None, {"source": "test", "columns": COLUMNS, "constants": {"currency": "EUR"}} | changes)


def read(
    path: Path, text: str | bytes, used: SalesMapping | None = None, lanes: int | None = None
) -> tuple[list[FileTill], list[Problem], SalesFiles]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    problems: list[Problem] = []
    files = SalesFiles(used or mapping(), problems.append)
    files.read(path)
    return files.tills(lanes), problems, files


def postings(tills: list[FileTill]) -> list[FilePosting]:
    return [posting for till in tills for posting in till.postings]


def told(tills: list[FileTill]) -> list[tuple[str, str, object, bytes]]:
    """All postings: of which till, their ids and bodies."""
    return [(till.location, till.lane, each.id, each.body) for till in tills for each in till.postings]


def body(posting: FilePosting) -> Body:
    decoded = wire.decode_body(posting.body)
    wire.check_body(decoded)
    return decoded


def lines(posting: FilePosting) -> list[Line]:
    found = body(posting).lines
    assert isinstance(found, list)
    return found


T = "2026-03-01T10:00:00Z"


def test_rows_of_one_basket_become_one_posting_even_when_far_apart(tmp_path: Path) -> None:
    text = f"{HEADER}\nA,1,x,1,2.50,{T}\nB,1,x,5,1,{T}\nA,2,x,1,1,{T}\nA,1,y,-0.42,1,{T}\n"
    tills, problems, files = read(tmp_path / "s.csv", text)
    assert problems == []
    assert [(till.location, till.lane, len(till.postings)) for till in tills] == [("A", "1", 2), ("B", "1", 1)]
    both = next(posting for posting in postings(tills) if posting.basket == "A/1")
    assert [(line.sku, scaled(line.quantity)) for line in lines(both)] == [("x", 100_000), ("y", -42_000)]
    assert body(both).reference == "A/1"
    assert files.rows == 4


def test_a_row_that_stands_twice_counts_twice(tmp_path: Path) -> None:
    tills, _, _ = read(tmp_path / "s.csv", f"{HEADER}\nA,1,x,1,1,{T}\nA,1,x,1,1,{T}\n")
    [posting] = postings(tills)
    assert len(lines(posting)) == posting.lines == 2


def test_two_baskets_with_the_same_goods_are_two_postings(tmp_path: Path) -> None:
    tills, _, _ = read(tmp_path / "s.csv", f"{HEADER}\nA,1,x,1,1,{T}\nA,2,x,1,1,{T}\n")
    assert len({posting.id for posting in postings(tills)}) == 2


def test_the_same_sales_in_another_order_are_the_same_bytes(tmp_path: Path) -> None:
    rows = [f"A,{n % 7},{'xyz'[n % 3]},{n % 4 - 1},1.{n % 9},2026-03-01T10:0{n % 10}:00Z" for n in range(60)]
    first, _, _ = read(tmp_path / "s.csv", "\n".join([HEADER, *rows]))
    random.Random(5).shuffle(rows)
    second, _, _ = read(tmp_path / "t.csv", "\n".join([HEADER, *rows]))
    assert told(first) == told(second)


def test_lines_stand_in_the_order_of_the_order_columns_as_numbers(tmp_path: Path) -> None:
    used = mapping(columns=COLUMNS | {"order": "price", "unit_price": None})
    tills, _, _ = read(tmp_path / "s.csv", f"{HEADER}\nA,1,x,1,10,{T}\nA,1,y,1,9,{T}\nA,1,z,1,b,{T}\n", used)
    assert [line.sku for line in lines(postings(tills)[0])] == ["y", "x", "z"]


def test_ids_are_in_the_order_of_time_and_depend_on_the_source_and_the_part() -> None:
    early, late = posting_id("s", ["1"], 1_000_000), posting_id("s", ["1"], 2_000_000)
    assert early.bytes < late.bytes
    assert early.version == 7
    assert early.variant == "specified in RFC 4122"
    same = [posting_id("s", ["1"], 0), posting_id("t", ["1"], 0), posting_id("s", ["1"], 0, 1), posting_id("s1", [], 0)]
    assert len(set(same)) == 4
    assert posting_id("s", ["1"], -1) == same[0]


def test_a_basket_with_more_lines_than_a_posting_may_have_is_split(tmp_path: Path) -> None:
    text = "\n".join([HEADER, *(f"A,1,sku{n},1,1,{T}" for n in range(250))])
    tills, _, _ = read(tmp_path / "s.csv", text)
    parts = postings(tills)
    assert sorted(part.lines for part in parts) == [50, 100, 100]
    assert len({part.id for part in parts}) == 3
    assert {line.sku for part in parts for line in lines(part)} == {f"sku{n}" for n in range(250)}
    again = read(tmp_path / "s.csv", text, mapping(max_lines=7))[0]
    assert told(again) == told(tills)


def test_lanes_deal_the_baskets_of_a_location_out(tmp_path: Path) -> None:
    text = "\n".join([HEADER, *(f"A,{n},x,1,1,{T}" for n in range(40))])
    tills, _, _ = read(tmp_path / "s.csv", text, lanes=3)
    assert [till.lane for till in tills] == ["1", "2", "3"]
    assert sum(len(till.postings) for till in tills) == 40


BAD_ROWS = [
    ("A,1,,1,1,{T}", "sku: expected a SKU of 1 to 64 characters"),
    ("A,1,a\tb,1,1,{T}", "sku: expected a SKU"),
    ("A,1,x,,1,{T}", "qty: expected an exact number"),
    ("A,1,x,NaN,1,{T}", "qty: expected an exact number"),
    ("A,1,x,1e400,1,{T}", "qty: expected an exact number"),
    ("A,1,x,true,1,{T}", "qty: expected an exact number"),
    ("A,1,x,1.000001,1,{T}", "at most 5 decimals"),
    ("A,1,x,10000000000,1,{T}", "|quantity| ≤ 10⁹, got '10000000000'"),
    ("A,1,x,3 kg,1,{T}", "leave it out with strip = ['kg']"),
    ("A,1,1e+06,1,1,{T}", "sku: expected a code as it was before a spreadsheet"),
    ("A,1,Subtotal,1,1,{T}", "sku: expected a product, not a total of other rows"),
    ("A,1,x,1,1,yesterday", "time: expected a timestamp like iso, got 'yesterday'"),
    ("A,1,x,1,1,2026-03-01T10:00:00", "time: expected a timestamp with a UTC offset (or set time.zone"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS)
def test_a_row_that_does_not_map_is_reported_with_its_line_and_the_rest_goes_on(
    row: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "s.csv"
    tills, problems, files = read(path, f"{HEADER}\nA,8,x,1,1,{T}\n{row.format(T=T)}\nA,9,x,1,1,{T}\n")
    [problem] = problems
    assert str(problem).startswith(f"{path}:3: ")
    assert reason in str(problem)
    assert {posting.basket for posting in postings(tills)} == {"A/8", "A/9"}
    assert (files.rows, files.rows_not_mapped) == (3, 1)


def test_a_basket_is_held_back_whole_when_a_row_of_it_does_not_map(tmp_path: Path) -> None:
    tills, problems, files = read(tmp_path / "s.csv", f"{HEADER}\nA,1,x,1,1,{T}\nA,1,y,?,1,{T}\nA,2,x,1,1,{T}\n")
    assert [posting.basket for posting in postings(tills)] == ["A/2"]
    assert [problem.line for problem in problems] == [3, 2]
    assert "basket A/1 is held back with 1 row that maps: see line 3" in str(problems[1])
    assert files.rows_held == 1


def test_rows_of_one_basket_at_two_locations_are_reported(tmp_path: Path) -> None:
    used = mapping(columns=COLUMNS | {"basket": "ticket"})
    tills, problems, _ = read(tmp_path / "s.csv", f"{HEADER}\nA,1,x,1,1,{T}\nB,1,y,1,1,{T}\n", used)
    assert tills == []
    assert "expected A lane 1 as in line 2, got B lane 1" in str(problems[0])


def test_bytes_that_are_no_utf8_spoil_only_the_cells_they_stand_in(tmp_path: Path) -> None:
    text = f"{HEADER},note\nA,1,caf\xe9,1,1,{T},\nA,2,x,1,1,{T},caf\xe9\n".encode("latin-1")
    tills, problems, _ = read(tmp_path / "s.csv", text)
    assert [posting.basket for posting in postings(tills)] == ["A/2"]
    assert "UTF-8" in str(problems[0])


def test_a_long_cell_is_a_cell_like_any_other(tmp_path: Path) -> None:
    text = f'{HEADER},note\nA,1,{"x" * 200_000},1,1,{T},\nA,2,x,1,1,{T},"{"y" * 200_000}"\n'
    tills, problems, _ = read(tmp_path / "s.csv", text)
    assert [posting.basket for posting in postings(tills)] == ["A/2"]
    assert "sku: expected a SKU of 1 to 64 characters" in str(problems[0])


def test_blank_lines_a_byte_order_mark_and_compression_are_no_problem(tmp_path: Path) -> None:
    text = f"\ufeff{HEADER}\r\n\r\nA,1,x,1,1,{T}\r\n\r\n"
    tills, problems, _ = read(tmp_path / "s.csv.gz", gzip.compress(text.encode()))
    assert (len(postings(tills)), problems) == (1, [])


def test_codes_are_kept_byte_for_byte_but_for_blanks_around_them(tmp_path: Path) -> None:
    codes = ["15056BL", "15056bl", "BANK CHARGES", " x ", "£", "gift_0001_20"]
    text = "\n".join([HEADER, *(f"A,1,{code},1,1,{T}" for code in codes)])
    tills, _, _ = read(tmp_path / "s.csv", text)
    assert {line.sku for line in lines(postings(tills)[0])} == {code.strip() for code in codes}
    tills, _, _ = read(tmp_path / "s.csv", text, mapping(trim=False))
    assert {line.sku for line in lines(postings(tills)[0])} == set(codes)


def test_the_type_column_is_translated_by_the_types_table(tmp_path: Path) -> None:
    used = mapping(columns=COLUMNS | {"type": "price", "unit_price": None}, types={"S": "sale", "R": "return"})
    text = f"{HEADER}\nA,1,x,1,S,{T}\nA,2,x,1,R,{T}\nA,3,x,1,Q,{T}\n"
    tills, problems, _ = read(tmp_path / "s.csv", text, used)
    assert {posting.basket: body(posting).type for posting in postings(tills)} == {"A/1": "sale", "A/2": "return"}
    assert "price: expected one of S, R (the [types] table of the mapping), got 'Q'" in str(problems[0])


PRICES = [("1.50", "EUR", True), ("1.50", "eur", False), ("1.50", "", False), ("", "EUR", False), ("?", "EUR", False)]


@pytest.mark.parametrize(("price", "currency", "is_read"), PRICES)
def test_a_price_that_cannot_be_read_is_left_out_and_counted(
    price: str, currency: str, is_read: bool, tmp_path: Path
) -> None:
    used = mapping(columns=COLUMNS | {"currency": "currency"})
    text = f"{HEADER},currency\nA,1,x,1,{price},{T},{currency}\n"
    tills, problems, files = read(tmp_path / "s.csv", text, used)
    [line] = lines(postings(tills)[0])
    assert ((line.unit_price is not UNSET), files.prices_left_out, problems) == (is_read, int(not is_read), [])


MOMENTS = [
    (["iso"], None, "2017-03-12T01:59:59-0500", (1489301999_000000, -300)),
    (["iso"], None, "2017-03-12T03:00:00-0400", (1489302000_000000, -240)),
    (["iso"], "Europe/London", "2010-12-01 08:26:00", (1291191960_000000, 0)),
    (["iso"], "+05:30", "2010-12-01", (1291141800_000000, 330)),
    (["%Y/%m/%d %H:%M:%S", "%m/%d/%Y"], "America/New_York", "2019/04/01 12:04:43", (1554134683_000000, -240)),
    (["%Y/%m/%d %H:%M:%S", "%m/%d/%Y"], "UTC", "4/1/2019", (1554076800_000000, 0)),
    (["%Y%m%d %H"], "Europe/London", "20060504 9", (1146729600_000000, 60)),
    (["epoch"], None, "1485630413", (1485630413_000000, 0)),
    (["epoch"], None, "1485630413.25", (1485630413_250000, 0)),
    (["epoch_ms"], None, "1485630413250", (1485630413_250000, 0)),
]


@pytest.mark.parametrize(("formats", "zone", "text", "moment"), MOMENTS)
def test_timestamps_are_read_with_the_offset_of_their_place(
    formats: list[str], zone: str | None, text: str, moment: tuple[int, int]
) -> None:
    time = mapping(time={"formats": formats, "zone": zone}).time
    assert MomentReader(time)(text) == moment


def test_a_sale_that_has_not_been_yet_is_refused() -> None:
    now = micros(datetime(2026, 3, 14, 9, 41, tzinfo=UTC))
    read = MomentReader(mapping(time={"formats": ["%d/%m/%Y %H:%M"], "zone": "UTC"}).time, None, now)
    assert read("15/03/2026 09:41").micros == now + 24 * 60 * 60 * 1_000_000  # a zone may be wrong
    for text in ("15/03/2026 09:42", "03/05/2026 09:41", "14/03/2027 09:41"):
        with pytest.raises(TextError, match="a time that has been") as refused:
            read(text)
        assert "time.formats" in refused.value.advice


@pytest.mark.parametrize("text", ["", "99999999999999999999", "1e9", "now"])
def test_impossible_epochs_are_no_timestamps(text: str) -> None:
    with pytest.raises(ValueError, match="a timestamp like epoch"):
        MomentReader(mapping(time={"formats": ["epoch"]}).time)(text)


BAD_MAPPINGS = [
    ({"source": ""}, 'source: expected at least one, got ""'),
    ({"colums": {}}, "colums: expected a known field"),
    ({"columns": {"basket": "a", "quantity": "b", "timestamp": "c"}}, "has no product: set columns.sku"),
    ({"columns": COLUMNS | {"location": None}}, "has no location"),
    ({"columns": COLUMNS | {"basket": []}}, "has no column for basket"),
    ({"columns": COLUMNS | {"type": "price"}}, r"no \[types\] table"),
    ({"constants": {"type": "void"}}, "cannot contain the type void"),
    ({"constants": {"type": "transfer_in"}}, "does not say where a transfer_in goes to or comes from"),
    ({"time": {"zone": "Mars/Base"}}, "Unknown time zone 'Mars/Base'"),
    ({"time": {"zone": "+99:00"}}, r"Unknown time zone '\+99:00'"),
    ({"time": {"formats": []}}, r"formats: expected at least one, got \[\]"),
    ({"delimiter": ";;"}, 'delimiter: expected .*, got ";;"'),
]


@pytest.mark.parametrize(("changes", "reason"), BAD_MAPPINGS)
def test_a_mapping_that_cannot_work_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(MappingError, match=reason):
        mapping(**changes)


def test_a_negative_offset_is_a_zone() -> None:
    zone = zone_of("-0330")
    assert zone is not None
    assert str(zone.utcoffset(None)) == "-1 day, 20:30:00"


BAD_FILES = [
    ("s.csv", b"", "is empty: expected a header row"),
    ("s.csv", b"a,b\n", "has no column 'store'; its columns are a, b"),
    ("s.csv", b"Store;ticket;sku;qty;price;time\n", "Is it 'Store'\\?$"),
    ("s.csv.gz", b"not compressed", "has no column 'store'"),
    ("s.csv.gz", gzip.compress(HEADER.encode() * 99, mtime=0)[:30], "is truncated or corrupt"),
    ("s.csv.gz", gzip.compress(b"x", mtime=0)[:10] + b"\xff" * 30, "is truncated or corrupt"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD_FILES)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(FileError, match=reason):
        read(tmp_path / name, content)


def test_a_file_or_mapping_that_is_not_there_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        SalesFiles(mapping(), print).read(tmp_path / "none.csv")
    with pytest.raises(MappingError, match="No such file"):
        load_mapping(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_text("source = ")
    with pytest.raises(MappingError, match="is not valid TOML"):
        load_mapping(tmp_path / "bad.toml", {})


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: path.stem)
def test_the_example_mappings_are_usable(path: Path) -> None:
    source = load_mapping(path, {"constants": {"location": "here"}}).source
    assert source.startswith(path.stem.partition("_")[0])  # two exports of one program have the same sales


def test_options_are_laid_over_a_mapping_file() -> None:
    path = next(path for path in MAPPINGS if path.stem == "uci_online_retail")
    changed = load_mapping(path, {"constants": {"location": "Bristol"}})
    assert (changed.constants.location, changed.constants.currency) == ("Bristol", "GBP")
