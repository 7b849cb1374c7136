"""What a scanner sends: GTINs, GS1 codes, labels of scales; exact figures, and the raw scan is kept."""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pos_client import Line
from pos_client.barcodes import BarcodeError, BarcodeReader, ScalePattern, ext_of, load_patterns
from pos_client.protocol import gtin

READER = BarcodeReader(
    [
        ScalePattern("21", "PPIIIIIWWWWWC"),
        ScalePattern("22", "PPIIIIVMMMMMC", decimals=2, currency="EUR", sku="SCALE-{item}"),
        ScalePattern("2", "PIIIIIVMMMMC", decimals=2, currency="USD"),
        ScalePattern("28", "PPXIIIIQQQQQC"),
    ]
)
TEA = "04006381333931"


def check(digits: str) -> str:
    """`digits` with their check digit."""
    return f"{digits}{gtin.check_digit(digits + '0')}"


SCANS: list[tuple[str, dict[str, Any]]] = [
    ("4006381333931", {"gtin": TEA}),
    ("]E04006381333931\r\n", {"gtin": TEA}),
    ("40000008", {"gtin": "00000040000008"}),
    ("4011", {"gtin": "00000000004011"}),
    (check("210004200365"), {"gtin": "00000000000042", "quantity": Decimal("0.365"), "unit": "kg"}),
    (check("210004212000"), {"gtin": "00000000000042", "quantity": 12, "unit": "kg"}),
    (check("220042700499"), {"sku": "SCALE-0042", "price": Decimal("4.99"), "currency": "EUR"}),
    (check("20004271234"), {"gtin": "00000000000042", "price": Decimal("12.34"), "currency": "USD"}),
    ("0" + check("20004271234"), {"gtin": "00000000000042", "price": Decimal("12.34"), "currency": "USD"}),
    (check("289004200003"), {"gtin": "00000000000042", "quantity": 3, "unit": "piece"}),
    (
        f"]C101{TEA}17261231" + "10LOT7\x1d21S1",
        {"gtin": TEA, "lot": "LOT7", "serial": "S1", "expires": date(2026, 12, 31)},
    ),
    (f"01{TEA}3103000365", {"gtin": TEA, "quantity": Decimal("0.365"), "unit": "kg"}),
    (f"01{TEA}3105000007", {"gtin": TEA, "quantity": Decimal("0.00007"), "unit": "kg"}),
    (f"01{TEA}3202001234", {"gtin": TEA, "quantity": Decimal("12.34"), "unit": "lb"}),
    (f"01{TEA}3922499", {"gtin": TEA, "price": Decimal("4.99")}),
    (f"01{TEA}39237", {"gtin": TEA, "price": Decimal("0.007")}),
    (f"01{TEA}3932978499", {"gtin": TEA, "price": Decimal("4.99"), "currency": "EUR"}),
    (f"02{TEA}3724", {"gtin": TEA, "quantity": 24, "unit": "piece"}),
    (f"(01){TEA}(15)260200(10)A1", {"gtin": TEA, "best_before": date(2026, 2, 28), "lot": "A1"}),
    (f"01{TEA}17000000", {"gtin": TEA}),
    (f"https://id.gs1.org/01/{TEA}/10/A%2F1?17=261231&3103=000500",
     {"gtin": TEA, "lot": "A/1", "expires": date(2026, 12, 31), "quantity": Decimal("0.5"), "unit": "kg"}),
    (f"]Q1HTTPS://shop.example/p/01/{TEA}", {"gtin": TEA}),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "said"), SCANS)
def test_a_code_says_what_it_says(raw: str, said: dict[str, Any]) -> None:
    scan = READER.read(raw)
    found = {name: getattr(scan, name) for name in scan.__dataclass_fields__ if getattr(scan, name) is not None}
    assert found == {"raw": raw, **said}


WRONG = [
    ("4006381333932", "expected the check digit 1 at the end: scan it again"),
    (check("210004200365")[:-1] + "9", "expected the check digit"),
    (f"01{TEA[:-1]}9", "expected a GTIN with the check digit 1 at the end"),
    (f"01{TEA}02{check('0400638133394')}01{check('0400638133394')}", "expected the element (01) once"),
    ("10LOT7", "is no code that can be read: expected the digits of a barcode"),
    ("(10)LOT7", "names no product: expected the element (01), got (10)"),
    (f"01{TEA}3109123456", "cannot be read as a GS1 code"),
    (f"01{TEA}39291", "expected an exact number with at most 5 decimals"),
    ("https://example.com/menu", "cannot be read as a GS1 code"),
    ("]E4123456", "is no code that can be read"),
    ("", "is no code that can be read"),
    ("x" * 9000, "expected at most 8192"),
]


@pytest.mark.parametrize(("raw", "reason"), WRONG)
def test_what_cannot_be_read_says_what_to_do(raw: str, reason: str) -> None:
    with pytest.raises(BarcodeError, match=re.escape(reason)):
        READER.read(raw)


def test_a_scan_is_a_line_and_the_rest_is_kept() -> None:
    weighed, plain = READER.read(check("210004200365")), READER.read(f"01{TEA}10LOT7")
    assert weighed.line() == Line(Decimal("0.365"), gtin="00000000000042")
    assert plain.line() == Line(1, gtin=TEA)
    assert plain.line(2) == Line(2, gtin=TEA)
    assert ext_of([weighed, None, plain]) == {
        "scans": [{"line": 0, "scan": weighed.raw}, {"line": 2, "scan": plain.raw, "lot": "LOT7"}]
    }
    priced = READER.read(check("220042700499"))
    assert priced.line(Decimal("0.5")) == Line(Decimal("0.5"), sku="SCALE-0042")
    with pytest.raises(BarcodeError, match="holds a price and no quantity"):
        priced.line()


@given(st.integers(0, 99999), st.integers(0, 99999), st.integers(0, 5))
def test_every_weight_is_exact(item: int, weight: int, decimals: int) -> None:
    reader = BarcodeReader([ScalePattern("21", "PPIIIIIWWWWWC", decimals=decimals)])
    scan = reader.read(check(f"21{item:05}{weight:05}"))
    assert (scan.quantity, scan.gtin) == (Decimal(weight).scaleb(-decimals), f"{item:014}")
    assert not isinstance(scan.quantity, float)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        scan = READER.read(text)
    except BarcodeError:
        return
    assert (scan.gtin is None) != (scan.sku is None)


PATTERNS = [
    ({"prefix": "21", "layout": "PPIIIIIWWWW5"}, "layout: expected P for the prefix"),
    ({"prefix": "2", "layout": "PPIIIIIWWWWWC"}, "with as many P as the prefix"),
    ({"prefix": "21", "layout": "PPIIIIIMMMMMC"}, "currency: expected that of the money"),
    ({"prefix": "21", "layout": "PPIIIWWWWWWWC"}, "sku: expected a text like 'SCALE-{item}'"),
    ({"prefix": "21", "layout": "PPIIIIIWWWWWC", "sku": "SCALE"}, "sku: expected a text with {item} in it"),
]


@pytest.mark.parametrize(("said", "reason"), PATTERNS)
def test_a_pattern_that_cannot_be_is_refused(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        ScalePattern(**said)


def test_the_patterns_of_a_shop_are_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scales.toml"
    path.write_text('[[pattern]]\nprefix = "21"\nlayout = "PPIIIIIWWWWWC"\n')
    assert load_patterns(path) == [ScalePattern("21", "PPIIIIIWWWWWC")]
    with pytest.raises(ValueError, match="two patterns for codes of 13 digits with the prefix 21"):
        BarcodeReader(load_patterns(path) * 2)
    path.write_text('[[pattern]]\nprefix = "21"\nlayout = "PPWWC"\n')
    with pytest.raises(BarcodeError, match="has no patterns that can be used: layout: expected"):
        load_patterns(path)
    with pytest.raises(BarcodeError, match="cannot be read: No such file"):
        load_patterns(tmp_path / "none.toml")


def test_without_the_extra_plain_codes_are_read_and_others_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "biip", None)
    assert READER.read("4006381333931").gtin == TEA
    with pytest.raises(BarcodeError, match=re.escape("pip install 'tillwire[barcodes]'")):
        READER.read(f"01{TEA}10LOT7")


VECTORS = Path(__file__).resolve().parents[3] / "shared" / "data" / "gs1_vectors" / "gs1_element_string_vectors.csv.gz"
KINDS = ("bracketed_element_string", "unbracketed_element_string(^=FNC1)", "scan_data", "digital_link_uri")
TOLERATED = {
    *("ai.c:1392", "ai.c:1708"),  # digits that a shop may have as a code of its own
    *("scandata.c:930",),  # an EAN-13 that has lost its leading zero
    *("dl.c:1392",),  # an address that no browser opens
    *("dl.c:1454", "dl.c:1464", "dl.c:1474"),  # a GTIN of less than 14 digits
    *("dl.c:1550", "dl.c:1553", "dl.c:1757", "dl.c:1763"),  # attributes that nobody knows
    *("dl.c:1730", "dl.c:1740", "dl.c:1744", "dl.c:1748"),  # qualifiers as attributes, and said twice alike
}
"""What the standard refuses, and a till need not: the product is beyond doubt."""
NOT_READ = {"dl.c:1437", "dl.c:1438", "scandata.c:936", "scandata.c:947", "dl.c:1484", "dl.c:1494"}
"""Names for application identifiers, which the standard has given up; composites of two codes; a short GTIN as an
attribute of something else."""


def vectors() -> Iterator[dict[str, str]]:
    with gzip.open(VECTORS) as packed:
        for row in csv.DictReader(io.TextIOWrapper(packed, "utf-8")):
            if row["kind"] in KINDS:
                yield row


@pytest.mark.skipif(not VECTORS.exists(), reason="the test vectors of GS1 are not here")
def test_the_vectors_of_gs1_are_read_as_gs1_does() -> None:
    reader, seen = BarcodeReader(), 0
    for row in vectors():
        raw = row["arg2"]
        if row["kind"].startswith("unbracketed"):
            raw = raw.replace("^", "\x1d")
        elif row["kind"] == "scan_data":
            raw = raw.replace("\\u001d", "\x1d")
        where = f"{row['source_file']}:{row['source_line']}"
        said = row["arg4"] if row["kind"] == "scan_data" else row["arg3"] or row["arg2"]
        named = re.search(r"(?:^|[/^|]|\d{18,20}\^?)0[12]/?([0-9]{14})", said) if row["arg1"] == "true" else None
        wanted = named and named[1]
        if wanted is None and row["arg1"] == "true" and (plain := re.match(r"(?:\d{13}|\d{8})$", said)):
            wanted = plain[0].zfill(14)
        try:
            found = reader.read(raw).gtin
        except BarcodeError:
            found = None
        if where not in TOLERATED | NOT_READ:
            assert found == wanted, (where, raw, said)
            seen += 1
    assert seen > 200
