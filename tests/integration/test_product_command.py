"""`inventory-server product`, with and without a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Done, Shell, headquarters


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
