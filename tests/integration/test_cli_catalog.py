"""`inventory-server catalog`, `product` and `exceptions`, on a ledger that no server has open."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.commands import Done, Shell
from tests.support.ledgers import NOON, Till, body, opened

Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """The command `inventory-server` on a ledger in which a product was sold before it was delivered."""
    monkeypatch.setenv("TILLWIRE_DB", f"sqlite:///{tmp_path / 'hq.db'}")
    with opened(tmp_path / "hq.db") as store:
        Till(store).post(body("sale", ("T", 1)), body("sale", ("T", 2), at=NOON + 1))
    return partial(Shell(monkeypatch, capsys), "inventory-server")


def test_a_barcode_of_another_product_moves_only_when_asked_to(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    for sku in ("A1", "A2"):
        path.write_text(f"sku,barcode\n{sku},40000008\n")
        done = command("catalog", "import", path)
    assert (done.code, done.out.partition(":")[0]) == (1, "Nothing was imported")
    assert done.err == (
        f"{path}:2: barcode: expected one that no other product has, got 00000040000008, which is listed for 'A1'; "
        "move it with: --move-barcodes\n"
    )
    assert command("catalog", "import", path, "--move-barcodes").code == 0
    barcodes = {sku: json.loads(command("product", "show", sku, "--json").out)["barcodes"] for sku in ("A1", "A2")}
    assert barcodes == {"A1": [], "A2": ["00000040000008"]}


def test_a_product_is_shown_with_what_applies_at_each_location(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text(
        "sku,name,unit,supplier,reorder_point,pack_size,lead_time_days,order_by_hour,location\n"
        ",,,ACME,,,3,14,\nT,Tea,piece,ACME,6,12,,,\nT,,,,10,,,,south\n"
    )
    assert command("catalog", "import", path).out == "Imported 1 product and 1 supplier.\n"
    done = command("product", "show", "T")
    assert done.out.startswith("T, Tea, piece\n")
    assert "south" in done.out
    card = json.loads(command("product", "show", "T", "--json").out)
    applying = {"supplier": "ACME", "pack_size": 12, "minimum": None, "lead_time_days": 3, "order_cycle_days": None}
    assert card["terms"] == [
        {"location": location, "reorder_point": point, **applying, "order_by_hour": 14}
        for location, point in ((None, 6), ("south", 10))
    ]
    gone = command("product", "show", "U")
    assert (gone.code, gone.err.partition(";")[0]) == (2, "inventory-server: The catalogue does not list U")


def test_what_waits_is_listed_and_settled(command: Command) -> None:
    listed = command("exceptions")
    assert listed.code == 1
    assert "count it, or enter the delivery that is missing" in listed.out
    told = json.loads(command("exceptions", "--json", "--flag", "negative_stock").out)
    assert (told["position"], told["total"]) == (2, 1)
    assert {
        name: told["causes"][0].get(name) for name in ("subject", "location", "count", "position", "settled_at")
    } == {
        "subject": "T",
        "location": "L1",
        "count": 2,
        "position": 2,
        "settled_at": None,
    }
    done = command("exceptions", "settle", "negative_stock", "T", "--location", "L1", "--up-to", "1")
    assert (done.code, done.out) == (0, "Settled 1 cause of negative_stock up to position 1.\n")
    shortened = command("exceptions", "--limit", "1")
    assert shortened.out.endswith("… and 1 earlier cause.\n")
    assert command("exceptions", "settle", "negative_stock").code == 0
    assert command("exceptions", "settle", "unlisted_product").out.endswith("up to position 2.\n")
    assert command("exceptions") == (0, "Nothing waits for a person.\n", "")


WRONG = [
    (("settle", "negative_stock", "U"), "There is no negative_stock of U to settle up to position 2"),
    (("settle", "before_count"), "'before_count' is not one of 'unlisted_product'"),
    (("settle", "orphan", "a\x07"), "Expected a SKU or a terminal of 1 to 64 characters"),
    (("settle", "orphan", "--location", ""), "Expected a location of 1 to 64 characters"),
    (("--limit", "5", "settle", "orphan"), "Write options behind the command: exceptions settle"),
]


@pytest.mark.parametrize(("arguments", "reason"), WRONG)
def test_what_cannot_be_settled_is_refused(arguments: tuple[str, ...], reason: str, command: Command) -> None:
    done = command("exceptions", *arguments)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err
