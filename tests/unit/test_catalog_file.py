"""A catalogue file becomes products; what does not map is reported with file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from inventory_server.commands.catalog import chunks
from inventory_server.domain.product import Product, Ranged, Supplier
from inventory_server.imports.catalog_csv import read_catalog
from pos_client.files.problems import FileError, Problem
from pos_client.files.table import Form

HEADER = "sku,name,unit,barcode,reorder_point"


def read(
    path: Path, text: str | bytes, columns: dict[str, str] | None = None, delimiter: str | None = None
) -> tuple[list[Product], list[Problem]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    problems: list[Problem] = []
    found = read_catalog(path, columns or {}, problems.append, Form(delimiter))
    return found.products, problems + found.wrong_barcodes


def test_products_are_read_with_all_they_have(tmp_path: Path) -> None:
    text = f"\ufeff{HEADER}\nA1,Apples,kg,20000004 012345678905,1.5\n\nBANK CHARGES,,,,\n"
    products, problems = read(tmp_path / "c.csv", text)
    assert products == [
        Product("A1", "Apples", "kg", 150_000, ("00000020000004", "00012345678905")),
        Product("BANK CHARGES"),
    ]
    assert problems == []


def test_columns_may_have_other_names_and_files_may_be_compressed(tmp_path: Path) -> None:
    text = gzip.compress(b"product_id,product_type\n25671,ICE\n")
    products, _ = read(tmp_path / "c.csv.gz", text, {"sku": "product_id", "name": "product_type"})
    assert products == [Product("25671", "ICE")]


BAD_ROWS = [
    ("A2,x,,,", None),
    ("A2,x,,", "row: expected 5 cells as in the header, got 4"),
    (",x,,,", "sku: expected a SKU of 1 to 64 characters"),
    (f"{'x' * 65},x,,,", "sku: expected a SKU of 1 to 64 characters"),
    ("A1,x,,,", "sku: expected each sku once, got 'A1' again; it is also in line 2"),
    (
        "gtin:00000020000004,x,,,",
        "sku: expected one that does not begin with 'gtin:' (barcodes that no catalogue lists), got",
    ),
    ("gtin:,x,,,", "sku: expected one that does not begin with 'gtin:'"),
    ("A2,x,,123,", "barcode: expected 8, 12, 13 or 14 digits, got '123'"),
    ("A2,x,,12345678905,", "barcode: expected 8, 12, 13 or 14 digits, got '12345678905'"),
    ("A2,x,,12345678901٥,", "barcode: expected 8, 12, 13 or 14 digits, got '12345678901\\u0665'"),
    ("A2,x,,20000004 012345678904,", "barcode: expected the check digit 5 at the end, got '012345678904'"),
    ("A2,x,,,lots", "reorder_point: expected an exact number"),
    ("A2,x,,,1.000001", "reorder_point: expected an exact number"),
    ("A2,a\x07b,,,", "name: expected at most 256 printable characters"),
    ("A2,a\tb,,,", None),
    ("A2,KÃ„SE,,,", "name: expected text in its own encoding"),
    ("KÃ„SE,x,,,", "sku: expected text in its own encoding"),
    ("22752.0,x,,,", "sku: expected a code as it was before a spreadsheet made a number of it"),
    ("5.01E+12,x,,,", "sku: expected a code as it was before a spreadsheet made a number of it"),
    ("#N/A,x,,,", "sku: expected a code, not the error of a spreadsheet's formula"),
    ("Total:,x,,,", "sku: expected a product, not a total of other rows, got 'Total:'; take such rows out of the file"),
    (f"A2,,{'x' * 257},,", "unit: expected at most 256"),
    (f"A2,{'x' * 200_000},,,", "name: expected at most 256 printable characters"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS)
def test_a_row_that_does_not_map_is_reported_with_its_line_and_the_rest_goes_on(
    row: str, reason: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "c.csv"
    products, problems = read(path, f"{HEADER}\nA1,,,,\n{row}\nA3,,,,\n")
    assert [product.sku for product in products if product.sku != "A2"] == ["A1", "A3"]
    assert [str(problem).startswith(f"{path}:3: ") for problem in problems] == ([] if reason is None else [True])
    assert all(reason is not None and reason in str(problem) for problem in problems)


def test_every_wrong_cell_of_a_row_is_reported_by_its_column(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    _, problems = read(path, "Article,reorder_point,barcode\nA,x,1\n", {"sku": "Article"})
    assert [str(problem) for problem in problems] == [
        f"{path}:2: reorder_point: expected an exact number with at most 5 decimals and |quantity| ≤ 10⁹, got 'x'",
        f"{path}:2: barcode: expected 8, 12, 13 or 14 digits, got '1'",
    ]


# a column, what its cell holds, what is read or what was expected
CELLS = [
    ("supplier", "ACME Ltd", "ACME Ltd"),
    ("supplier", "x" * 65, "1 to 64 characters"),
    ("pack_size", "12", 1_200_000),
    ("pack_size", "0.25", 25_000),
    ("pack_size", "0", "a quantity above 0, got '0'"),
    ("minimum", "-1", "a quantity above 0"),
    ("minimum", "some", "an exact number"),
    ("lead_time_days", "0", 0),
    ("lead_time_days", "1.5", "whole days, 0 to 366, got '1.5'"),
    ("lead_time_days", "367", "whole days, 0 to 366"),
    ("lead_time_days", "\u0663", "whole days, 0 to 366"),
    ("order_cycle_days", "7", 7),
    ("order_cycle_days", "0", "whole days, 1 to 366"),
    ("order_by_hour", "14", 14),
    ("order_by_hour", "09:00", 9),
    ("order_by_hour", "24", "an hour of the day, 0 to 23, got '24'"),
    ("order_by_hour", "14:30", "an hour of the day, 0 to 23"),
]


@pytest.mark.parametrize(("column", "cell", "expected"), CELLS)
def test_what_is_ordered_and_when(column: str, cell: str, expected: int | str, tmp_path: Path) -> None:
    products, problems = read(tmp_path / "c.csv", f"sku,{column}\nA,{cell}\n")
    if problems:
        assert f"{column}: expected {expected}" in str(problems[0])
    else:
        assert products == [Product("A", **{column: expected})]  # type: ignore[arg-type]


def test_names_of_columns_and_cells_may_have_blanks_around_them(tmp_path: Path) -> None:
    products, problems = read(tmp_path / "c.csv", "sku, name ,\u00a0reorder_point\n\u00a0A , Apples,\u00a06\n , ,\n")
    assert (products, problems) == ([Product("A", "Apples", reorder_point=600_000)], [])


def test_a_file_says_which_columns_it_has(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("colour,sku,barcode,Reorder point\nred,A,20000004,1\n")
    found = read_catalog(path, {}, lambda _: None)
    assert (found.columns, found.ignored) == (("sku", "barcode"), ["colour", "Reorder point"])
    assert found.scanned == {"00000020000004": 2}


def test_a_row_of_a_supplier_names_no_sku(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    lines = [
        "sku,name,supplier,lead_time_days,order_by_hour",
        ",,ACME,3,14",
        "A,Apples,ACME,5,",
        ",Fruit,Best,,",
        ",,ACME,4,",
        ",,,4,",
    ]
    path.write_text("\n".join(lines))
    problems: list[Problem] = []
    found = read_catalog(path, {}, problems.append)
    assert found.suppliers == [Supplier("ACME", 3, None, 14)]
    assert found.products == [Product("A", "Apples", supplier="ACME", lead_time_days=5)]
    assert [str(problem) for problem in problems] == [
        f"{path}:4: name: expected nothing in the row of a supplier (it names no sku), got 'Fruit'",
        f"{path}:5: supplier: expected one row, got 'ACME' again; it is also in line 2",
        f"{path}:6: sku: expected a SKU of 1 to 64 characters, UTF-8, without control characters, got ''",
    ]


def test_a_location_has_what_differs_there(tmp_path: Path) -> None:
    text = "sku,supplier,pack_size,minimum,location\nA,ACME,12,,\nA,,6,24,north\nB,Best,,,south\n"
    products, problems = read(tmp_path / "c.csv", text)
    north = Ranged("north", pack_size=600_000, minimum=2_400_000)
    assert products == [
        Product("A", supplier="ACME", pack_size=1_200_000, ranged=(north,)),
        Product("B", ranged=(Ranged("south", supplier="Best"),), has_own_row=False),
    ]
    assert problems == []


def test_a_row_with_units_is_that_of_a_pack(tmp_path: Path) -> None:
    path = tmp_path / "packs.csv"
    path.write_text("sku,name,barcode,barcode_units\nA,Cola,40000008,\nA,,40000015 40000022,12\nB,Beer,40000039,6.0\n")
    found = read_catalog(path, {}, lambda problem: pytest.fail(str(problem)))
    assert [(product.barcodes, product.packs) for product in found.products] == [
        (("00000040000008", "00000040000015", "00000040000022"), {"00000040000015": 12, "00000040000022": 12}),
        (("00000040000039",), {"00000040000039": 6}),
    ]
    problems: list[str] = []
    rows = ["A,x,40000008,2.5", "B,x,,12", "C,x,40000015,0", "D,x,40000022,6", "D,x,40000022,12", "E,x,40000046,100001"]
    path.write_text("sku,name,barcode,barcode_units\n" + "\n".join(rows) + "\n")
    read_catalog(path, {}, lambda problem: problems.append(str(problem)))
    whole = "barcode_units: expected a whole number of the product's units, 1 to 100,000"
    assert [problem.removeprefix(f"{path}:") for problem in problems] == [
        f"2: {whole}, got '2.5'; what is sold in parts of a unit is listed by a smaller unit",
        "3: barcode_units: expected nothing where the row has no barcode, got 12",
        f"4: {whole}, got '0'",
        "6: sku: expected each sku once, got 'D' again; it is also in line 5",
        f"7: {whole}, got '100001'",
    ]


def test_a_code_of_a_shop_s_own_is_listed_like_a_barcode(tmp_path: Path) -> None:
    rows = "sku,barcode\nA,4011 40000008\nB,1234567\nC,0042\n"
    (tmp_path / "own.csv").write_text(rows)
    found = read_catalog(tmp_path / "own.csv", {}, lambda problem: pytest.fail(str(problem)))
    assert [product.barcodes for product in found.products] == [
        ("00000000004011", "00000040000008"), ("00000001234567",), ("00000000000042",)
    ]  # fmt: skip


def test_a_barcode_names_one_product_and_may_be_repeated_for_it(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    products, problems = read(path, f"{HEADER}\nA1,,,12345670 12345670,\nA2,,,000012345670,\nA3,,,12345687,\n")
    assert [product.sku for product in products] == ["A1", "A3"]
    assert [str(problem) for problem in problems] == [
        f"{path}:3: barcode: expected one sku for 00000012345670, got 'A1' and 'A2'"
    ]


def test_a_product_has_a_row_for_each_location_it_is_ranged_for(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    text = "sku,name,barcode,reorder_point,location\n" + "\n".join(
        [
            "A1,Apples,,3,north",
            "A1,,20000004,,south",
            "A2,Pears,,4,",
            "A1,,,12,",
            "A1,Pears,,9,east",
            "A1,,,9,south",
            f"A1,,,9,{'x' * 65}",
            "A2,,,5,",
        ]
    )
    products, problems = read(path, text)
    assert products == [
        Product("A1", "Apples", None, 1_200_000, ("00000020000004",), (Ranged("north", 300_000), Ranged("south"))),
        Product("A2", "Pears", None, 400_000, (), ()),
    ]
    assert [str(problem) for problem in problems] == [
        f"{path}:6: name: expected 'Apples' as in the rows before of 'A1', or nothing, got 'Pears'",
        f"{path}:7: sku: expected each sku once at 'south', got 'A1' again; it is also in line 3",
        f"{path}:8: location: expected 1 to 64 characters, UTF-8, without control characters, got '{'x' * 60}'",
        f"{path}:9: sku: expected each sku once, got 'A2' again; it is also in line 4",
    ]


def test_bytes_that_are_no_utf8_are_reported(tmp_path: Path) -> None:
    _, problems = read(tmp_path / "c.csv", f"{HEADER}\ncaf\xe9,,,,\nB,caf\xe9,,,\n".encode("latin-1"))
    assert [problem.line for problem in problems] == [2, 3]
    assert "--encoding cp1252" in str(problems[1])


def test_something_else_than_a_comma_may_separate_the_columns(tmp_path: Path) -> None:
    for delimiter in (";", None):
        products, problems = read(tmp_path / "c.csv", "sku;name\nA1;Apples, red\n", delimiter=delimiter)
        assert (products, problems) == ([Product("A1", "Apples, red")], [])
    with pytest.raises(FileError, match=r"its columns are sku;name. Another delimiter\? Try --delimiter ';'$"):
        read(tmp_path / "c.csv", "sku;name\nA1;Apples, red\n", delimiter=",")


BAD_FILES = [
    ("c.csv", b"", "is empty: expected a header row"),
    (
        "c.csv",
        b"product_id,name\n",
        "no column 'sku'; its columns are product_id, name. Name it: --column sku=product_id",
    ),
    ("c.csv.gz", b"plain", "no column 'sku'; its columns are plain. Name it: --column sku=plain"),
    ("c.csv.gz", gzip.compress(HEADER.encode() * 99, mtime=0)[:30], "is truncated or corrupt"),
    ("c.csv.gz", gzip.compress(b"x", mtime=0)[:10] + b"\xff" * 30, "is truncated or corrupt"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD_FILES)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(FileError, match=reason):
        read(tmp_path / name, content)


def test_two_columns_of_one_name_are_refused_where_it_is_used(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="has 2 columns 'name': expected one"):
        read(tmp_path / "c.csv", "sku,name,name\nA,x,y\n")
    assert read(tmp_path / "c.csv", "sku,colour,colour\nA,x,y\n") == ([Product("A")], [])


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="has no column 'id'; its columns are sku"):
        read(tmp_path / "c.csv", "sku\n", {"sku": "id"})


def test_a_large_catalogue_goes_out_in_commands_that_fit_a_frame() -> None:
    products = [Product(f"sku{n}", "ü" * 200) for n in range(5000)]
    parts = list(chunks(products))
    assert len(parts) > 1
    assert [product for part in parts for product in part] == products
    assert list(chunks([])) == []
