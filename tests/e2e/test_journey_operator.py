"""An operator sets up twelve stores and runs them, with what `pip install` gives and nothing else."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from tests.support.installed import CATALOGUE, Person, columns
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

SETTINGS = "silent_after_seconds = 1\n"


STORES = [f"store-{number:02}" for number in range(1, 13)]
DELIVERIES = """
import sys
from pos_client import PosClient

for terminal, token in [line.split() for line in open("tokens.txt")][:-1]:
    with PosClient(
        sys.argv[1], terminal=terminal, location=terminal[:-2], token=token, outbox=f"{terminal}.db"
    ) as till:
        till.receive([("TEA-100", 10)], reference=f"DN-{terminal}").wait(60)
"""
KEEPS_SELLING = """
import sys, time
from pos_client import PosClient

with PosClient(sys.argv[1], terminal="store-05-1", location="store-05", token=sys.argv[2], outbox="five.db") as till:
    till.sell([("TEA-100", 1)], reference="R-5").wait(60)
    print("sold", flush=True)
    while True:
        time.sleep(1)
"""


@pytest.fixture
def operator(installed: Path, tmp_path: Path) -> Person:
    """An operator with a list of twelve stores, one till each, and a catalogue with a mistyped barcode."""
    person = Person(installed, tmp_path)
    person.writes("tillwire.toml", SETTINGS)
    person.writes("products.csv", CATALOGUE.replace("4006381333931", "4006381333930"))
    rows = [f"{store}-1,{store},till" for store in STORES]
    person.writes("terminals.csv", "\n".join(["terminal,location,role", *rows, ""]))
    return person


def test_an_operator_runs_twelve_stores(operator: Person, installed: Path) -> None:
    with operator.serves("--config", "tillwire.toml") as address:
        assert_sets_up(operator)
        settings = {"TILLWIRE_SERVER": address}
        till = Person(installed, operator.folder, **settings)
        assert_sells_in_every_store(operator, till, address)
        assert_lets_a_refused_till_in(operator, till)
        assert_moves_and_adopts(operator, till)
        assert_sees_who_is_connected(operator, address)
        assert_settles(operator, till)
        assert_changes_the_catalogue(operator, till)
        assert_proves(operator)


def token_of(operator: Person, terminal: str) -> str:
    """The option by which a till gives its token."""
    return f"--token-file <(echo {operator.tokens[terminal]})"


def assert_sets_up(operator: Person) -> None:
    """Enrol, name and date the stores, import the catalogue."""
    assert "Enrolled 12 terminals" in operator.types(
        "inventory-server terminal import terminals.csv --tokens tokens.txt"
    )
    said = operator.types("inventory-server location set store-01 --time-zone Europe/Paris --day-ends 4")
    assert said == "The business day at store-01 ends at 04:00 Europe/Paris.\n"
    operator.types("inventory-server location rename store-01 'Rue de Rivoli'")
    assert "did you mean store-01?" in operator.types("inventory-server location rename stor-01 Rivoli", code=2)
    rows = operator.asks("inventory-server location list")
    assert columns(rows, "location", "name", "time_zone")[0] == ("store-01", "Rue de Rivoli", "Europe/Paris")
    assert len(rows) == len(STORES)
    wrong = operator.types("inventory-server catalog import products.csv", code=1)
    assert "expected the check digit 1 at the end, got '4006381333930'" in wrong
    operator.writes("products.csv", CATALOGUE)
    assert "Imported 3 products." in operator.types("inventory-server catalog import products.csv")


def assert_sells_in_every_store(operator: Person, till: Person, address: str) -> None:
    """Each store's till receives goods and sells some; eleven say so, one has not been switched on yet."""
    operator.writes("deliveries.py", DELIVERIES)
    operator.types(f"python deliveries.py {address}")
    for store in STORES[:3]:
        sell = f"{token_of(operator, f'{store}-1')} --terminal {store}-1 --outbox {store}-1.db --wait 60"
        assert " posted" in till.types(f"pos-client sell --barcode 4006381333931=3 --reference R-{store} {sell}")
    items = till.asks(f"stock-query TEA-100 --terminal store-01-1 {token_of(operator, 'store-01-1')}")["items"]
    assert [item["on_hand"] for item in items] == [7] * 3 + [10] * 8
    agrees = operator.types("inventory-server reconcile || true")
    assert "store-12-1 is not in use yet" in agrees


def assert_lets_a_refused_till_in(operator: Person, till: Person) -> None:
    """A till with a wrong token says at once why it is refused, and sells on; the command that it names lets it in."""
    sell = "--terminal store-02-1 --outbox store-02-1.db"
    refused = till.types(
        f"pos-client sell TEA-100=1 --reference R-2 --token-file <(echo mistyped) {sell} --wait 60", code=2
    )
    assert "HQ refused: This is not the token of terminal store-02-1" in refused
    assert "inventory-server terminal rotate store-02-1" in refused
    assert "HQ has not answered" not in refused
    rotated = operator.asks("inventory-server terminal rotate store-02-1")
    token = (operator.folder / rotated["token_file"]).read_text().strip()
    assert "1 delivered, 0 pending, 0 parked." in till.types(f"pos-client deliver --token-file <(echo {token}) {sell}")


def assert_moves_and_adopts(operator: Person, till: Person) -> None:
    """One till goes to another store; another device gets a new name while it holds a sale made under the old one."""
    operator.types("inventory-server terminal move store-03-1 store-04")
    at_old = f"{token_of(operator, 'store-03-1')} --terminal store-03-1 --outbox store-03-1.db --wait 60"
    till.types(f"pos-client sell TEA-100=1 --reference R-3 {at_old}")
    [moved] = [row for row in operator.asks("inventory-server terminal list") if row["terminal"] == "store-03-1"]
    assert moved["location"] == "store-04"
    assert [former["location"] for former in moved["former_locations"]] == ["store-03"]

    offline = "--server 127.0.0.1:1 --terminal store-06-1 --outbox store-06-1.db"
    till.types(f"pos-client sell TEA-100=1 --reference R-6 {offline}")
    operator.types("inventory-server terminal add store-06-2 --location store-06")
    token = (operator.folder / "store-06-2.token").read_text().strip()
    renamed = f"--token-file <(echo {token}) --terminal store-06-2 --location store-06 --outbox store-06-1.db"
    till.types(f"pos-client sell TEA-100=1 --reference R-7 --wait 60 {renamed}")
    advice = (
        "1 posting was made as store-06-1 at store-06: ask the operator for `terminal adopt store-06-1 --by store-06-2`"
    )
    assert advice in till.types("pos-client status --outbox store-06-1.db")
    operator.types("inventory-server terminal adopt store-06-1 --by store-06-2")
    assert "1 delivered, 0 pending, 0 parked." in till.types(f"pos-client deliver {renamed}")


def assert_sees_who_is_connected(operator: Person, address: str) -> None:
    """`clients` shows the till that is connected; `reconcile` fails for those that fell silent."""
    operator.writes("keeps_selling.py", KEEPS_SELLING)
    token = operator.tokens["store-05-1"]
    with operator.keeps_running(f"python keeps_selling.py {address} {token}", "^sold$"):
        [client] = operator.asks("inventory-server clients")
        assert (client["terminal"], client["role"], client["location"]) == ("store-05-1", "till", "store-05")
        assert client["address"].startswith("127.0.0.1:")
        assert client["app"] == "tillwire pos_client"
        assert abs(client["clock_offset_ms"]) < 60_000
    wait_until(lambda: "store-05-1" in operator.types("inventory-server reconcile || true"), "it to be silent")
    assert "store-12-1 is not in use yet" in operator.types("inventory-server reconcile", code=1)


def assert_settles(operator: Person, till: Person) -> None:
    """What waits is listed with what settles it; settled, it is gone until it happens again."""
    sell = f"{token_of(operator, 'store-07-1')} --terminal store-07-1 --outbox store-07-1.db --wait 60"
    till.types(f"pos-client sell MILK-1L=2 {sell}")
    [cause] = operator.asks("inventory-server exceptions", code=1)["causes"]
    assert (cause["flag"], cause["subject"], cause["location"]) == ("negative_stock", "MILK-1L", "store-07")
    assert cause["action"] == "count it, or enter the delivery that is missing"
    wrong = operator.types("inventory-server exceptions settle negative_stock MILK", code=2)
    assert "There is no negative_stock of MILK to settle" in wrong
    operator.types("inventory-server exceptions settle negative_stock MILK-1L --location store-07")
    assert operator.types("inventory-server exceptions") == "Nothing waits for a person.\n"
    till.types(f"pos-client sell MILK-1L=1 {sell}")
    [again] = operator.asks("inventory-server exceptions", code=1)["causes"]
    assert (again["count"], again["settled_at"] is None) == (1, False)
    till.types(f"pos-client receive MILK-1L=3 {sell}")
    assert operator.types("inventory-server exceptions") == "Nothing waits for a person.\n"


def assert_changes_the_catalogue(operator: Person, till: Person) -> None:
    """A product that was sold under an old SKU is merged, another is taken off the catalogue, the rest exported."""
    sell = f"{token_of(operator, 'store-08-1')} --terminal store-08-1 --outbox store-08-1.db --wait 60"
    assert "unlisted_product" in till.types(f"pos-client sell TEA-OLD=2 {sell}")
    operator.types("inventory-server product merge TEA-OLD TEA-100")
    [tea] = till.asks(f"stock-query TEA-100 --location store-08 {sell.partition(' --outbox')[0]}")["items"]
    assert tea["on_hand"] == 8
    assert "did you mean COFFEE-1KG?" in operator.types("inventory-server product remove COFFEE-1K", code=2)
    operator.types("inventory-server product remove COFFEE-1KG")
    operator.types("inventory-server product export > export.csv")
    rows = list(csv.DictReader((operator.folder / "export.csv").read_text().splitlines()))
    listed = [row for row in rows if row["sku"]]  # the others are the suppliers
    assert columns(listed, "sku", "name") == [("MILK-1L", "Milk 1 l"), ("TEA-100", "Green tea 100 g")]
    assert "Imported 2 products" in operator.types("inventory-server catalog import export.csv")


def assert_proves(operator: Person) -> None:
    """The books add up, and the trail says who did what: the last question of all."""
    assert "The proof holds." in operator.types("inventory-server verify")
    assert operator.asks("inventory-server status")["locations"] == len(STORES)
    done = Counter[str](
        each["request"] for each in operator.asks("inventory-server audit") if each["outcome"] == "done"
    )
    assert done == {
        "enrol": len(STORES) + 1,
        **dict.fromkeys(("set_location", "rename_location", "rotate", "move_terminal", "adopt_terminal"), 1),
        **dict.fromkeys(("settle", "merge_products", "remove_product"), 1),
        "import_products": done["import_products"],  # one for each part of a file
    }
    refused = [each["request"] for each in operator.asks("inventory-server audit") if each["outcome"] != "done"]
    assert refused == ["rename_location", "settle", "remove_product"]
