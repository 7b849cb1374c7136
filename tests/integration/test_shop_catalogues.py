"""Catalogues as shops have them: the right answers, worked out from each file by hand.

The files are not part of the project. They are looked for beside the checkout, or where TILLWIRE_SHARED_DATA says.
"""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Done, Shell
from tests.support.ledgers import opened

ROOT = Path(__file__).resolve().parents[2]
FILES = Path(os.environ.get("TILLWIRE_SHARED_DATA", ROOT.parent / "shared" / "data")) / "files"
pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason=f"needs the files in {FILES} (or TILLWIRE_SHARED_DATA)")

MUG, MUG_2, SPARE = "04006381333931", "04006381333948", "00000096385074"
SHOPIFY = ("--column", "sku=Variant SKU", "--column", "name=Title", "--column", "barcode=Variant Barcode")

# the files, the options of the last, products with their names and barcodes, what is named, the exit code
CASES: list[tuple[str, tuple[str, ...], dict[str, tuple[str | None, list[str]]], tuple[str, ...], int]] = [
    ("c01_dup_header", (), {"MUG": ("Mug", [SPARE, MUG])}, (), 0),
    ("c02_dup_sku_price_list", (), {}, (":3: sku: expected each sku once",), 1),
    ("c03_shopify_images", SHOPIFY, {"MUG-1": ("Mug", [MUG])}, (), 0),
    ("c04_reorder_blank_unit", (), {}, (":2: reorder_point", ":4: reorder_point"), 1),
    ("c05_name_newline", (), {"MUG": ("Mug large", []), "TEA": ("Tea tab", [])}, (), 0),
    ("c06_openquote", (), {}, ("lines 3 to 5 are not read",), 1),
    ("c07_cp1252", (), {}, (":2: name",), 1),
    ("c07_cp1252", ("--encoding", "cp1252"), {"KAESE": ("Käse", [])}, (), 0),
    ("c08_padded", (), {}, (":3: sku: expected each sku once",), 1),
    ("c09_trailing", (), {"MUG": ("Mug", []), "TEA": ("Tea", [])}, (), 0),
    (
        "c10_checkdigit", (),
        {"A": ("Ale", []), "B": ("Beer", []), "C": ("Cola", ["00012345678905"]), "D": ("Dip", []),
         "E": ("Egg", [])},
        (":2: barcode: expected the check digit 1", ":3: barcode", "012345678905", ":5: barcode", "036000291452",
         ":6: barcode: expected the check digit 4"), 1,
    ),
    (
        "c11_float_barcode", (),
        {},  # C and D claim the same barcodes
        (":2: barcode", ":3: barcode", ":5: barcode: expected one sku for"), 1,
    ),
    ("c12_products c12_reorder_list", (), {"MUG": ("Mug", [MUG]), "TEA": ("Tea", [SPARE])}, (), 0),
    (
        "c12_products c12_reorder_list c12_barcode_rows", (),
        {"MUG": ("Mug", [MUG, MUG_2]), "TEA": ("Tea", [SPARE])}, (), 0,
    ),
    (
        "c13_bad_barcode_drops_product", (),
        {"BAN": ("Bananas", ["00000000004011"]), "LOC": ("House label", []), "MUG": ("Mug", [MUG])},
        (":3: barcode",), 1,
    ),
    ("c12_products c14_barcode_moves", (), {"MUG": ("Mug", [MUG]), "TEA": ("Tea", [SPARE])}, ("--move-barcodes",), 1),
    ("c12_products c15_sku_name_only", (), {"MUG": ("Mug", [MUG]), "TEA": ("Green tea", [SPARE])}, (), 0),
    ("c16_a c16_b", (), {"MUG": ("Mug", [MUG_2])}, (), 0),
    (
        "04_scientific_catalog", (),
        {"MUG": ("Mug", []), "TEA": ("Tea", [MUG]), "A": ("Ale", []), "B": ("Beer", []),
         "C": ("Cola", ["00012345678905"])},
        (":2: barcode", ":4: barcode", ":5: barcode"), 1,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "options", "products", "named", "code"), CASES)
def test_a_catalogue_is_imported_exactly_or_what_is_not_is_named(
    files: str,
    options: tuple[str, ...],
    products: dict[str, tuple[str | None, list[str]]],
    named: tuple[str, ...],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TILLWIRE_DB", f"sqlite:///{tmp_path / 'hq.db'}")
    with opened(tmp_path / "hq.db"):
        pass  # makes the ledger
    command = partial(Shell(monkeypatch, capsys), "inventory-server")
    *before, last = [FILES / f"{name}.csv" for name in files.split()]
    for path in before:
        assert command("catalog", "import", path).code == 0
    done: Done = command("catalog", "import", last, *options)
    assert [part for part in named if part not in done.err] == [], done.err
    assert done.code == code, done.err
    found: dict[str, Any] = {}
    for sku in ["MUG", "MUG-1", "TEA", "PIPE", "KAESE", "A", "B", "C", "D", "E", "BAN", "LOC", "NEW", "MUG "]:
        shown = command("product", "show", sku, "--json")
        if shown.code == 0:
            card = json.loads(shown.out)
            found[sku] = (card["name"], sorted(card["barcodes"]))
    assert found == {sku: (name, sorted(barcodes)) for sku, (name, barcodes) in products.items()}
