"""`inventory-server product`, with and without a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pos_client.till.client import PosClient
from tests.support.commands import Done, Shell, headquarters
from tests.support.waiting import HANG_SECONDS


class Products:
    """The command `inventory-server` on a ledger with the products OLD and NEW."""

    def __init__(self, shell: Shell, url: str, folder: Path) -> None:
        self._shell = shell
        self._url = url
        listed = folder / "products.csv"
        listed.write_text("sku\nOLD\nNEW\n")
        assert self("catalog", "import", listed).code == 0

    def __call__(self, *arguments: str | Path) -> Done:
        return self._shell("inventory-server", *arguments, "--db", self._url)


@pytest.fixture(params=["stopped", "running"])
def products(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Products]:
    shell = Shell(monkeypatch, capsys)
    if request.param == "running":
        with headquarters(tmp_path, dev=False, control=True) as (_, url):
            yield Products(shell, url, tmp_path)
    else:
        url = f"sqlite:///{tmp_path / 'hq.db'}"
        shell("inventory-server", "db", "upgrade", "--db", url)
        yield Products(shell, url, tmp_path)


def test_a_product_is_merged_into_another(products: Products) -> None:
    assert products("product", "merge", "OLD", "NEW").out == "Merged OLD into NEW, at position 1.\n"
    assert json.loads(products("terminal", "list", "--json").out) == []
    assert products("verify").code == 0


def test_what_is_done_is_printed_for_programs(products: Products) -> None:
    done = products("product", "merge", "OLD", "NEW", "--json")
    assert json.loads(done.out) == {"merge": "OLD", "into": "NEW", "position": 1}


@pytest.mark.parametrize(
    ("merge", "into", "reason"),
    [
        ("NEW", "OLD", "Nothing was merged: 'OLD' is 'NEW' itself, by the merges that stand."),
        ("NEW", "NWE", "HQ knows no product 'NWE'"),
        ("NEW", "", "Expected a SKU of 1 to 64 characters without control characters"),
    ],
)
def test_what_cannot_be_merged_is_refused(products: Products, merge: str, into: str, reason: str) -> None:
    products("product", "merge", "OLD", "NEW")
    done = products("product", "merge", merge, into)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err


CATALOGUE = """\
sku,name,unit,barcode,barcode_units,reorder_point,supplier,pack_size,minimum,lead_time_days,order_cycle_days,order_by_hour,location
,,,,,,mill,,,3,7,10,
"=1+1","Flour, white",kg,00012345678905 04006381333931,,12.5,mill,10,2,,,,
"=1+1",,,00000040000008,25,,,,,,,,
"=1+1",,,,,20,other,,,,,,north
"=1+1",,,,,,,,,,,,south
BARE,,,,,,,,,,,,
"""


def test_an_exported_catalogue_is_the_one_that_was_imported(products: Products, tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text(CATALOGUE)
    assert products("catalog", "import", tmp_path / "all.csv").code == 0
    exported = products("product", "export").out
    listed = set(CATALOGUE.replace('"=1+1"', "=1+1").splitlines())
    assert set(exported.splitlines()) == listed | {"NEW,,,,,,,,,,,,", "OLD,,,,,,,,,,,,", ",,,,,,other,,,,,,"}
    (tmp_path / "exported.csv").write_text(exported)
    assert products("catalog", "import", tmp_path / "exported.csv").code == 0
    assert products("product", "export").out == exported


def test_the_catalogue_is_listed(products: Products, tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text(CATALOGUE)
    products("catalog", "import", tmp_path / "all.csv")
    [flour, *others] = json.loads(products("product", "list", "--json").out)
    assert [each["sku"] for each in others] == ["BARE", "NEW", "OLD"]
    assert flour == {
        "sku": "=1+1",
        "name": "Flour, white",
        "unit": "kg",
        "barcodes": ["00000040000008", "00012345678905", "04006381333931"],
        "packs": {"00000040000008": 25},
        "reorder_point": 12.5,
        "supplier": "mill",
        "locations": ["north", "south"],
    }
    assert "00000040000008=25" in (shown := products("product", "list").out)
    assert shown.endswith("4 products, 2 suppliers.\n")


def test_a_product_is_taken_off_the_catalogue(products: Products, tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text(CATALOGUE)
    products("catalog", "import", tmp_path / "all.csv")
    done = products("product", "remove", "=1+1")
    assert (done.code, done.out) == (0, "The catalogue lists =1+1 no more; its history stays.\n")
    assert set(products("product", "export").out.splitlines()[1:]) == {
        ",,,,,,mill,,,3,7,10,",
        ",,,,,,other,,,,,,",
        "BARE,,,,,,,,,,,,",
        "NEW,,,,,,,,,,,,",
        "OLD,,,,,,,,,,,,",
    }
    again = products("product", "remove", "=1+1")
    assert (again.code, again.out) == (2, "")
    assert "The catalogue does not list =1+1" in again.err
    assert products("verify").code == 0


def test_a_product_in_stock_is_not_taken_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with headquarters(tmp_path, control=True) as (address, url):
        products = Products(Shell(monkeypatch, capsys), url, tmp_path)
        with PosClient(address, terminal="t", location="north", outbox=tmp_path / "t.db") as till:
            till.receive([("OLD", "2.5")]).wait(HANG_SECONDS)
            refused = products("product", "remove", "OLD")
            assert (refused.code, refused.out) == (2, "")
            assert "OLD has 2.5 on hand and 0 in transit at north: count it to 0 first" in refused.err
            assert "OLD" in products("product", "export").out
            till.count([("OLD", 0)]).wait(HANG_SECONDS)
            assert products("product", "remove", "OLD").code == 0
            assert "OLD" not in products("product", "export").out
            assert till.sell([("OLD", 1)]).wait(HANG_SECONDS).flags == ("unlisted_product", "negative_stock")
        assert products("verify").code == 0
