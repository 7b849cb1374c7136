"""The right answers for files in the shapes that shops really have; each was worked out from the file, by hand.

The files themselves are not part of the project. A case says what must come of one run: which stock changes are
posted, and what has to be named as not posted. Nothing else may be posted, and nothing may be left out unnamed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """`stock`: the change of each SKU (`=5`: counted as 5). `named`: what the messages must contain.

    `changes` are settings on top of the mapping `base.toml` or the one named; `stops`: the run ends before anything is
    posted.
    """

    files: str
    stock: dict[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    mapping: str = "base"
    changes: dict[str, Any] = field(default_factory=dict)
    stops: bool = False


def posted(files: str, mapping: str = "base", changes: Any = None, **stock: str) -> Case:
    """All of the file is posted."""
    return Case(files, stock, (), mapping, changes or {})


def partly(files: str, *named: str, mapping: str = "base", changes: Any = None, **stock: str) -> Case:
    """What is posted, and what is named as not posted."""
    return Case(files, stock, named, mapping, changes or {})


def stops(files: str, *named: str, mapping: str = "base", changes: dict[str, Any] | None = None) -> Case:
    """Nothing is posted: the file or the mapping cannot be used, or has two readings."""
    return Case(files, {}, named, mapping, changes or {}, stops=True)


def skip(column: str, *values: str) -> dict[str, Any]:
    """The setting that leaves rows out."""
    return {"skip": {column: list(values)}}


LINES_101 = {f"K{n}": "-1" for n in range(101)}
FIVE = {f"K{n}": "-1" for n in range(5)}
NUMBERED = {"location": 1, "basket": 2, "timestamp": 3, "sku": 4, "quantity": 5}
SIGNED = {"types": {"Payment": "sale", "Refund": {"type": "return", "quantity": "negative"}}}
FILLED = {"fill_down": ["Store", "Receipt", "Date"]}
ZONES = {"time": {"zones": {"NYC": "America/New_York", "LA": "America/Los_Angeles"}}}
WHOLE_KEY = {"columns": {"basket": ["Store", "Till", "Receipt"]}}
COMMAS = {"decimal": ",", "thousands": "."}
COUNTED = {"constants": {"type": "count", "timestamp": "2026-03-14T20:00:00+01:00"}}

CASES = [
    stops("01_duplicate_header.csv", "2 columns 'Qty'"),
    # The quote of line 3 swallows lines 3 to 6; receipts 1 and 3 have rows beside them.
    partly("02_open_quote.csv", ":3:", "lines 3 to 6"),
    posted("02_mended.csv", MILK="-2", PIPE="-1", TEA="-2", RICE="-1"),
    # Read without quotes, line 6 has a cell too many; receipts 2 and 3 have rows beside it.
    partly("02_open_quote.csv", ":6:", changes={"quoting": "none"}, MILK="-1", PIPE="-1"),
    partly("02b_tsv_quote.csv", ":2:", ":3:", "lines 3 to 6", changes={"delimiter": "\t"}),
    posted("02b_tsv_quote.csv", changes={"quoting": "none"}, MUG="-1", PIPE="-1", TEA="-2", MILK="-1", TV="-1"),
    partly("03_return_negative.csv", ":3:", "-1", mapping="03_return_negative", MUG="-2"),
    posted("03_return_negative.csv", "03_return_negative", SIGNED, MUG="-1"),
    partly("04_scientific_sku.csv", ":2:", ":3:", ":4:", "spreadsheet"),
    posted("05_padded_sku.csv", MUG="-6"),
    posted("06_dm_md.csv", "06_dm_md", MUG="-6"),
    stops("07_receipt_restarts.csv", "restarts"),
    posted("07_receipt_restarts.csv", changes={"restarts": "daily"}, MUG="-2", TEA="-2"),
    posted("07_receipt_restarts.csv", changes={"restarts": "never"}, MUG="-2", TEA="-2"),
    partly("08_dst.csv", ":4:", "29/03/2026 02:30", MUG="-2", TEA="-1"),
    partly("09_excel_serial.csv", ":2:", "excel", mapping="09_excel_serial"),
    posted("09_excel_serial.csv", "09_excel_serial", {"time": {"formats": ["excel"]}}, MUG="-1"),
    stops("10_comma_decimals.csv", "decimal", mapping="10_comma_decimals"),
    posted("10_comma_decimals.csv", "10_comma_decimals", COMMAS, APPLES="-0.365", NAILS="-2468.5", MUG="-2"),
    partly("11_totals.csv", ":5:", MUG="-1"),
    posted("11_totals.csv", changes=skip("Article", "Total"), MUG="-1", TEA="-2"),
    partly("11b_totals_fulldate.csv", ":4:", "Total"),
    posted("11b_totals_fulldate.csv", changes=skip("Article", "Total"), MUG="-1", TEA="-2"),
    partly("12_cp1252.csv", ":2:", "cp1252"),
    posted("12_cp1252.csv", changes={"encoding": "cp1252"}, KÄSE="-1"),
    stops("12_cp1252_header.csv", "cp1252", mapping="12_cp1252_header"),
    posted("12_cp1252_header.csv", "12_cp1252_header", {"encoding": "cp1252"}, KÄSE="-1"),
    posted("12_utf16.csv", KÄSE="-1"),
    posted("13_sep_line.csv", MUG="-1"),
    posted("14_trailing.csv", MUG="-1", TEA="-1"),
    partly("14b_short_rows.csv", ":2:"),
    posted("14b_short_rows.csv", changes={"short_rows": True}, MUG="-1", TEA="-1"),
    posted("15_header_blanks.csv", MUG="-1"),
    posted("16_preamble.csv", MUG="-1"),
    posted("17_gz_named_csv.csv", MUG="-1"),
    posted("17_ok.csv.gz", MUG="-1"),
    posted("17_zip.csv.zip", MUG="-1"),
    partly("18_service_line.csv", ":3:"),
    posted("18_service_line.csv", changes=skip("Article", ""), MUG="-1"),
    partly("19_fill_down.csv", ":3:"),
    posted("19_fill_down.csv", changes=FILLED, MUG="-1", TEA="-3"),
    posted("20_exchange.csv", "03_return_negative", MUG="-1", TEA="1"),
    partly("21_units.csv", ":2:", ":3:", ":6:", ":7:", ":8:", ":9:", C="-3", D="-2", I="1"),
    partly(
        "21_units.csv", ":6:", ":7:", ":8:", ":9:", changes={"strip": ["kg"], "decimal": ".", "thousands": ","},
        A="-2", B="-1234", C="-3", D="-2", I="1",
    ),
    stops("22_void_flag.csv", "Void?"),
    posted("22_void_flag.csv", changes=skip("Void?", "true"), MUG="-1"),
    posted("22_void_flag.csv", changes={"ignore": ["Void?"]}, MUG="-3"),
    partly("23_float_ids.csv", ":3:", "spreadsheet", **{"22752": "-1"}),
    partly("24_ampm.csv", ":5:", "PDT", mapping="24_ampm", MUG="-3"),
    posted("24_ampm.csv", "24_ampm", {"time": {"abbreviations": {"PDT": "-07:00"}}}, MUG="-3", TEA="-1"),
    stops("25_stock_sheet.csv", "timestamp", mapping="25_stock_sheet"),
    posted("25_stock_sheet.csv", "25_stock_sheet", COUNTED, MUG="=12 =3", TEA="=7.5"),
    posted("26_repeated_header.csv", MUG="-1", TEA="-1"),
    partly("27_unquoted_comma.csv", ":3:"),
    posted("27_mended.csv", MILK="-1", PIPE="-1", TEA="-1"),
    stops("28_escape_header.csv", "Store"),
    posted("29_cr_only.csv", MUG="-1", TEA="-1"),
    partly("30_nul.csv", ":2:", TEA="-1"),
    posted("31_big_cell.csv", MUG="-1", TEA="-1"),
    partly("32_newline_cell.csv", ":4:", MUG="-1"),
    posted("33_header_only.csv"),
    stops("34_empty.csv", "empty"),
    partly("35_date_only.csv", ":2:"),
    posted("36_iso_space_offset.csv", "36_iso", MUG="-5"),
    stops("37_two_zones.csv", "Zone"),
    posted("37_two_zones.csv", changes=ZONES | {"ignore": ["Zone"]}, MUG="-2"),
    posted("37_two_zones.csv", changes={"columns": {"zone": "Zone"}}, MUG="-2"),
    posted("38_composite_sku.csv", "38_composite_sku", **{"TEE-red-M": "-1", "TEE-red-L": "-1"}),
    stops("39_no_quantity.csv", "quantity", mapping="39_no_quantity"),
    posted("39_no_quantity.csv", "39_no_quantity", {"constants": {"quantity": "1"}}, Bread="-2"),
    stops("40_no_header.csv", "number", mapping="40_no_header"),
    posted("40_no_header.csv", "40_no_header", {"columns": NUMBERED}, MUG="-1", TEA="-1"),
    posted("41_price_symbol.csv", "41_price", MUG="-1", TEA="-1"),
    partly("42_zero_qty.csv", ":3:", MUG="0"),
    partly("43_count_negative.csv", ":2:", "-5", mapping="43_count"),
    partly("43_count_negative.csv", ":2:", "-5", mapping="43_receipt"),
    partly("44_two_counts.csv", ":3:", "MUG", mapping="43_count"),
    posted("45_case.csv", **{"mug-s": "-1", "MUG-S": "-1"}),
    partly("46_location_blank_join.csv", ":2:", MUG="-1"),
    posted("47_jan_a.csv 47_jan_b.csv", MUG="-2", TEA="-1"),
    posted("47_jan_a.csv 47_jan_a.csv", MUG="-1", TEA="-1"),
    partly("48_stock_with_date.csv", ":4:", "MUG", mapping="48_stock"),
    partly("49_two_lanes.csv", ":3:", "lane", mapping="49_two_lanes"),
    posted("49_two_lanes.csv", "49_two_lanes", WHOLE_KEY, MUG="-1", TEA="-1"),
    stops("50_no_year.csv", "year", mapping="50"),
    partly("51_hour_only_time.csv", ":3:", mapping="51", MUG="-1"),
    posted("52_sale.csv", MUG="-1", TEA="-1"),
    stops("53_poslog.xml", "XML"),
    stops("53_sales.html", "HTML"),
    stops("53_sales.json", "JSON"),
    posted("55_two_tills.csv", "55", MUG="-1", TEA="-1"),
    posted("56_part1.csv", MUG="-1"),
    posted("56_part2.csv", TEA="-1"),
    stops("56_part1.csv 56_part2.csv", "restarts"),
    posted("five.csv", "m4", **FIVE),
    posted("five.csv", "m2", **FIVE),
    posted("receipt101.csv", "receipt101", **LINES_101),
    posted("receipt101.csv", "receipt101_ml100", **LINES_101),
    posted("iowa_empty_price.csv", "iowa_empty_price", **{"38180": "3"}),
    posted("52_sale.csv", "m_bom", MUG="-1", TEA="-1"),
    posted("52_sale.csv", "m_utf16", MUG="-1", TEA="-1"),
    posted("52_sale.csv", "m_formats_string", MUG="-1", TEA="-1"),
    partly("52_sale.csv", ":2:", ":3:", "digits", mapping="m_barcode"),
    stops("52_sale.csv", "column", mapping="m_column_typo"),
    stops("52_sale.csv", "UTF-8", mapping="m_cp1252"),
    stops("52_sale.csv", "skip", mapping="m_ignore"),
    stops("52_sale.csv", "%d/%m/%Y %H:%M", mapping="m_java_format"),
    stops("52_sale.csv", "types", mapping="m_types_word"),
    stops("52_sale.csv", "CEST", mapping="m_zone_abbr"),
    stops("52_sale.csv", "W. Europe Standard Time", mapping="m_zone_win"),
    partly("replay_esc_basket.csv", ":2:", ":4:", ":5:", ":6:", ":7:", mapping="replay_esc_basket"),
]  # fmt: skip

SAME_AGAIN = [
    ("five.csv", "m4", "m2"),
    ("five.csv", "m2", "m4"),
    ("receipt101.csv", "receipt101", "receipt101_ml100"),
]
"""A file and two mappings that must give the same postings, to the id."""

THEN = [
    ("02_open_quote.csv", "02_mended.csv", {"MILK": "-2", "PIPE": "-1", "TEA": "-2", "RICE": "-1"}),
    ("27_unquoted_comma.csv", "27_mended.csv", {"MILK": "-1", "PIPE": "-1", "TEA": "-1"}),
    ("47_jan_a.csv", "47_jan_b.csv", {"MUG": "-2", "TEA": "-1"}),
    ("56_part1.csv", "56_part2.csv", {"MUG": "-1", "TEA": "-1"}),
]
"""Two files after each other, and what is then sold: nothing twice, no conflict."""
