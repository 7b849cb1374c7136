"""A buyer gets the ten questions of the purchasing page answered, with what `pip install` gives and nothing else."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.installed import CATALOGUE, Person, columns
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

TODAY = datetime.now(UTC).date()
YESTERDAY, LAST_WEEK = TODAY - timedelta(days=1), TODAY - timedelta(days=8)
SETTINGS = "silent_after_seconds = 1\n"


TILLS = """
import sys
from datetime import UTC, datetime, time, timedelta, date
from decimal import Decimal
from pos_client import Line, PosClient

address = sys.argv[1]
last_week, yesterday = map(date.fromisoformat, sys.argv[2:4])
tokens = dict(line.split() for line in open("tokens.txt"))


def till(name):
    return PosClient(address, terminal=name, token=tokens[name], location=name[:-2], outbox=f"{name}.db")


def at(day, hour, minute=0):
    return datetime.combine(day, time(hour, minute), UTC)


def tea(quantity):
    return [Line(sku="TEA-100", quantity=quantity, unit_price=Decimal("4.90"), currency="EUR")]
"""
UP_TO_YESTERDAY = f"""{TILLS}
with till("north-1") as one:
    one.receive([("TEA-100", 50), ("MILK-1L", 30)], reference="DN-1", occurred_at=at(last_week, 8))
    one.sell(tea(5), reference="R-900", occurred_at=at(last_week, 10))
    one.count([("TEA-100", 44), ("MILK-1L", 28)], reference="COUNT-1", occurred_at=at(last_week, 12))
    one.sell(tea(3), occurred_at=at(yesterday, 9))
    one.sell([("TEA-100", 2)], occurred_at=at(yesterday, 10))
    one.return_([("TEA-100", 1)], occurred_at=at(yesterday, 11))
    one.wait(60)
with till("north-2") as two:
    two.sell([("TEA-100", 1)], reference="R-901", occurred_at=at(last_week, 11, 30))
    print(two.bye(timeout=60).status)
"""
THIS_MORNING = f"""{TILLS}
with till("depot-1") as depot:
    depot.receive([("TEA-100", 100)], reference="DN-2")
    depot.transfer_out([("TEA-100", 10)], to="north", reference="T-7")
    print(depot.bye(timeout=60).status)
with till("north-1") as one:
    one.reserve([("TEA-100", 2)], expires_at=datetime.now(UTC) + timedelta(days=2), reference="Mrs Miller")
    one.sell([("TEA-100", 25)], reference="R-1001")
    one.sell([Line(gtin="20000004", quantity=1)], reference="R-1002")
    print(one.bye(timeout=60).status)
with till("south-1") as south:
    south.sell([("MILK-1L", 2)], reference="R-5")
    south.wait(60)
"""
ASK = """
import json, os
from pos_client import request_once

for method, params in json.load(open("questions.json")):
    answer = request_once(os.environ["TILLWIRE_SERVER"], method, params, terminal="office",
        token=os.environ["TILLWIRE_TOKEN"])
    print(json.dumps(answer, default=str))
"""


@pytest.fixture
def buyer(installed: Path, tmp_path: Path) -> Person:
    """A buyer whose operator has set up two stores and a depot, the catalogue and the terminal `office`."""
    operator = Person(installed, tmp_path)
    operator.writes("tillwire.toml", SETTINGS)
    operator.writes("products.csv", CATALOGUE)
    names = [f"{name},{name[:-2]},till" for name in ("north-1", "north-2", "south-1", "depot-1")]
    operator.writes("terminals.csv", "\n".join(["terminal,location,role", *names, "office,desk,reader", ""]))
    operator.types("inventory-server db upgrade && inventory-server catalog import products.csv")
    operator.types("inventory-server terminal import terminals.csv --tokens tokens.txt")
    return Person(installed, tmp_path, TILLWIRE_TERMINAL="office", TILLWIRE_TOKEN=operator.tokens["office"])


def test_a_buyer_has_the_ten_questions_answered(buyer: Person, installed: Path) -> None:
    buyer.writes("before.py", UP_TO_YESTERDAY)
    buyer.writes("morning.py", THIS_MORNING)
    with buyer.serves("--config", "tillwire.toml") as address:
        days = f"{LAST_WEEK} {YESTERDAY}"
        assert buyer.types(f"python before.py {address} {days}") == "balanced\n"
        closing_time = datetime.now(UTC).isoformat()
        assert buyer.types(f"python morning.py {address} {days}") == "balanced\nbalanced\n"
        asking = Person(installed, buyer.folder, **settings_of(buyer, address))
        assert_orders_and_sales(asking)
        assert_counts_and_trust(asking)
        assert_lists(asking, closing_time)
        assert_methods_say_the_same(asking, closing_time)


def settings_of(person: Person, address: str) -> dict[str, str]:
    """What the buyer exports at the prompt."""
    token = person.tokens["office"]
    return {"TILLWIRE_SERVER": address, "TILLWIRE_TERMINAL": "office", "TILLWIRE_TOKEN": token}


def assert_orders_and_sales(buyer: Person) -> None:
    """What must I order today and where; how much do we sell a day of X."""
    wanted = buyer.asks("stock-query --below reorder_point")
    below = [("COFFEE-1KG", "south", 0), ("MILK-1L", "south", -2), ("TEA-100", "north", 13)]
    assert columns(wanted["items"], "sku", "location", "available") == below
    order = buyer.asks("stock-query --below reorder_point --net-of-transit --names")
    assert columns(order["items"], "sku", "location", "name") == [
        ("COFFEE-1KG", "south", "Espresso beans 1 kg"),
        ("MILK-1L", "south", "Milk 1 l"),
    ]
    [day] = buyer.asks(f"stock-query sales TEA-100 --from {YESTERDAY} --to {YESTERDAY}")["sales"]
    assert (day["location"], day["day"], day["quantity"], day["returned"]) == ("north", f"{YESTERDAY}", 4, 1)
    assert (day["values"], day["unpriced"]) == ([{"amount": "14.7", "currency": "EUR"}], 1)


def assert_counts_and_trust(buyer: Person) -> None:
    """Which counts were off last week and by how much; which figures can't I trust and why; export with names."""
    week = f"--from {LAST_WEEK} --to {LAST_WEEK}"
    off = buyer.asks(f"stock-query counts --off {week}")["counts"]
    assert columns(off, "sku", "counted", "variance_then", "variance_now") == [("MILK-1L", 28, -2, -2)]
    [tea] = buyer.asks(f"stock-query counts TEA-100 {week}")["counts"]
    assert (tea["variance_then"], tea["variance_now"]) == (-1, 0)
    assert columns(tea["changes"], "terminal", "reference", "quantity") == [("north-2", "R-901", 1)]

    wait_until(lambda: "silent" in buyer.types("stock-query --negative"), "the till in the south to be silent")
    negative = buyer.types("stock-query --negative")
    assert "south: complete to" in negative
    assert "south-1 silent since" in negative
    assert "north: complete to" in negative
    assert "(2 tills, all closed)" in negative
    wrong = buyer.asks("stock-query --negative")["items"]
    assert columns(wrong, "sku", "location", "on_hand") == [
        ("MILK-1L", "south", -2),
        ("gtin:00000020000004", "north", -1),
    ]

    buyer.types("stock-query --names --format csv > stock.csv 2> completeness.txt")
    rows = list(csv.DictReader((buyer.folder / "stock.csv").read_text().splitlines()))
    assert columns(rows, "sku", "location", "on_hand", "name", "unit") == [
        ("COFFEE-1KG", "south", "0", "Espresso beans 1 kg", "bag"),
        ("MILK-1L", "north", "28", "Milk 1 l", "piece"),
        ("MILK-1L", "south", "-2", "Milk 1 l", "piece"),
        ("TEA-100", "depot", "90", "Green tea 100 g", "bag"),
        ("TEA-100", "north", "15", "Green tea 100 g", "bag"),
        ("gtin:00000020000004", "north", "-1", "", ""),
    ]


def assert_lists(buyer: Person, closing_time: str) -> None:
    """What changed since yesterday, what is on the road, what is reserved, the receipt R-1001, what waits for me."""
    changed = buyer.asks(f"stock-query changes --from {closing_time}")["changes"]
    assert columns(changed, "location", "sku", "before", "after") == [
        ("depot", "TEA-100", 0, 90),
        ("north", "TEA-100", 40, 15),
        ("north", "gtin:00000020000004", 0, -1),
        ("south", "MILK-1L", 0, -2),
    ]
    [on_road] = buyer.asks("stock-query transfers")["transfers"]
    assert (on_road["from"], on_road["to"], on_road["left"], on_road["reference"]) == ("depot", "north", 10, "T-7")
    [held] = buyer.asks("stock-query reservations")["reservations"]
    assert (held["location"], held["sku"], held["left"], held["reference"]) == ("north", "TEA-100", 2, "Mrs Miller")
    [receipt] = buyer.asks("stock-query postings --reference R-1001")["postings"]
    assert (receipt["terminal"], receipt["lines"]) == ("north-1", [{"sku": "TEA-100", "quantity": 25}])
    waiting = buyer.asks("stock-query exceptions", code=1)["causes"]
    assert columns(waiting, "flag", "subject", "location") == [
        ("negative_stock", "MILK-1L", "south"),
        ("negative_stock", "gtin:00000020000004", "north"),
        ("unlisted_product", "gtin:00000020000004", "north"),
    ]
    assert all(cause["action"] for cause in waiting)
    past = buyer.asks(f"stock-query TEA-100 --location north --as-of {LAST_WEEK}")["items"]
    assert [item["on_hand"] for item in past] == [44]
    assert "did you mean TEA-100?" in buyer.types("stock-query TEA-10", code=1)
    history = buyer.asks("stock-query history TEA-100 --location north")["entries"]
    assert history[-1]["on_hand_after"] == 15


def assert_methods_say_the_same(buyer: Person, closing_time: str) -> None:
    """A buyer's script asks each question by its method, and is told what the commands say."""
    week = {"from": f"{LAST_WEEK}", "to": f"{LAST_WEEK}"}
    yesterday = {"sku": "TEA-100", "from": f"{YESTERDAY}", "to": f"{YESTERDAY}"}
    questions: list[tuple[str, dict[str, Any], str, str]] = [
        ("stock", {"below": "reorder_point", "net_of_transit": True}, "items", "--below reorder --net-of-transit"),
        ("sales", yesterday, "sales", f"sales TEA-100 --from {YESTERDAY} --to {YESTERDAY}"),
        ("counts", {"off": True, **week}, "counts", f"counts --off --from {LAST_WEEK} --to {LAST_WEEK}"),
        ("stock", {"negative": True}, "items", "--negative"),
        ("stock", {"names": True}, "items", "--names"),
        ("changes", {"from": closing_time}, "changes", f"changes --from {closing_time}"),
        ("transfers", {}, "transfers", "transfers"),
        ("reservations", {}, "reservations", "reservations"),
        ("postings", {"reference": "R-1001"}, "postings", "postings --reference R-1001"),
        ("exceptions", {}, "causes", "exceptions"),
    ]
    buyer.writes("questions.json", json.dumps([(method, params) for method, params, _, _ in questions]))
    buyer.writes("ask.py", ASK)
    answers = [json.loads(line) for line in buyer.types("python ask.py").splitlines()]
    for (method, _, items, command), answer in zip(questions, answers, strict=True):
        assert answer[items] == buyer.asks(f"stock-query {command}", code=int(method == "exceptions"))[items]
        assert answer[items]
