"""The developer of a till program tries what goes wrong, with what `pip install` gives and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.installed import CATALOGUE, Person

pytestmark = pytest.mark.long


MISTAKES = """
from pos_client import BasketSold, BodyError, PosClient

till = PosClient("127.0.0.1:1", terminal="north-1", location="north", token="mistyped", outbox="till.db")
basket = till.open_basket()
basket.add("TEA-100", 2)


def tried(call, *args, **named):
    try:
        call(*args, **named)
    except (TypeError, ValueError, BodyError, BasketSold) as error:
        print(type(error).__name__, error)


tried(till.receive, [("TEA-100", 1)], loction="south")
tried(till.sell, [("TEA-100", 1)], occured_at=None)
tried(basket.sell, refrence="R-1")
tried(till.sell, [("TEA-100", 0.5)])
tried(till.sell, [("TEA-100", 1)], id="abc")
tried(till.sell, [("TEA-100", 1)], reference="\\ud800")
tried(till.stock, "TEA-100")
tried(till.counts, locations="north")
print(till.pending)
basket.sell(reference="R-1001")
tried(basket.add, "MILK-1L")
print(till.sell([("TEA-100", 1)], reference="R-1002").state, till.pending)
till.close()
"""
COMPLAINTS = """TypeError receive() got an unexpected keyword argument 'loction'; did you mean 'location'?
TypeError sell() got an unexpected keyword argument 'occured_at'; did you mean 'occurred_at'?
TypeError Basket.sell() got an unexpected keyword argument 'refrence'; did you mean 'reference'?
TypeError A quantity is an int, a Decimal or text such as '0.35', not float 0.5
BodyError $.id: expected a uuid.UUID, got str 'abc'
BodyError $: expected text without lone surrogates, got "\\ud800"
TypeError skus is a sequence of texts, not one: pass ['TEA-100']
TypeError locations is a sequence of texts, not one: pass ['north']
0
BasketSold The basket
pending 2
"""
REFUSED = """
import sys
from pos_client import HqRefused, PosClient

with PosClient(sys.argv[1], terminal="north-1", location="north", token="mistyped", outbox="till.db") as till:
    try:
        till.wait(60)
    except HqRefused as error:
        print(error)
    print(till.status().refused, till.pending)
"""
KILLED = """
import os, signal, sys
from pos_client import PosClient

till = PosClient(sys.argv[1], terminal="north-1", token=sys.argv[2], outbox="till.db")
till.wait(60)
till.sell([("MILK-1L", 1)], reference="R-1003")
os.kill(os.getpid(), signal.SIGKILL)
"""
QUESTIONS = """
import asyncio, json, sys
from datetime import UTC, datetime, timedelta
from pos_client import PosClient
from pos_client.aio import AsyncPosClient


def shown(values):
    print(*values, sep=", ")


with PosClient(sys.argv[1], terminal="north-1", token=sys.argv[2], outbox="till.db") as till:
    till.wait(60)
    opened = till.stock().position
    till.receive([("TEA-100", 30)], reference="DN-1")
    till.count([("TEA-100", 26)], reference="COUNT-1")
    till.transfer_out([("TEA-100", 10)], to="south", reference="T-7")
    till.reserve([("TEA-100", 2)], expires_at=datetime.now(UTC) + timedelta(days=1), reference="Mrs Miller")
    wrong = till.sell([("TEA-100", 5)], reference="R-1004")
    till.void(wrong)
    again = till.void(wrong)
    till.wait(60)
    print(again.result.code, [parked.code for parked in till.outbox.parked()])
    print(json.loads(json.dumps(till.status().as_dict()))["parked"])
    order = till.stock(below="reorder_point", net_of_transit=True, names=True).items
    shown(f"{each.name} {each.available}" for each in order)
    shown(f"{each.sku} {each.quantity}" for each in till.sales().sales)
    shown(f"{each.sku} {each.variance_now}" for each in till.counts(off=True).counts)
    shown(f"{each.sku} {each.on_hand}" for each in till.stock(negative=True).items)
    shown(f"{each.sku} {each.name}" for each in till.stock(search="green tea", names=True, locations=["north"]).items)
    shown(f"{each.sku} {each.before} {each.after}" for each in till.changes(opened).changes)
    shown(f"{each.sku} {each.left} to {each.to}" for each in till.transfers().transfers)
    shown(f"{each.sku} {each.left} for {each.reference}" for each in till.reservations().reservations)
    shown(f"{each.terminal} {each.lines[0].quantity}" for each in till.postings(reference="R-1001").postings)
    shown(f"{each.flag} {each.subject}" for each in till.exceptions().causes)


async def main():
    client = PosClient(sys.argv[1], terminal="north-1", token=sys.argv[2], outbox="till.db")
    async with AsyncPosClient(client) as till:
        sale = await till.sell([("TEA-100", 1)], reference="R-1005")
        print((await till.answer(sale)).status, (await till.stock(["TEA-100"])).items[0].on_hand)
        print((await till.bye(timeout=60)).status)


asyncio.run(main())
"""
ANSWERS = """already_voided ['already_voided']
1
Milk 1 l -1, Green tea 100 g 14, Espresso beans 1 kg 0, Green tea 100 g 0
MILK-1L 1, TEA-100 3
TEA-100 -1
MILK-1L -1
TEA-100 Green tea 100 g
TEA-100 -3 16
TEA-100 10 to south
TEA-100 2 for Mrs Miller
north-1 2
negative_stock MILK-1L
posted 15
balanced
"""


def test_a_developer_writes_a_till_program(installed: Path, tmp_path: Path) -> None:
    """Mistakes are found, offline sales kept, a refusal heard at once, a kill survived, every question answered."""
    developer = Person(installed, tmp_path)
    for name, text in {"mistakes": MISTAKES, "refused": REFUSED, "killed": KILLED, "questions": QUESTIONS}.items():
        developer.writes(f"{name}.py", text)
    developer.writes("products.csv", CATALOGUE)
    said = developer.types("python mistakes.py").splitlines()
    for line, complaint in zip(said, COMPLAINTS.splitlines(), strict=True):
        assert line.startswith(complaint)
        assert "new id" not in line
    developer.types("inventory-server db upgrade && inventory-server catalog import products.csv")
    developer.types("inventory-server terminal add north-1 --location north")
    token = (developer.folder / "north-1.token").read_text().strip()
    developer.types("inventory-server terminal add south-1 --location south")
    with developer.serves() as address:
        refused = developer.types(f"python refused.py {address} 2> /dev/null").splitlines()
        assert refused[0].startswith("HQ refused: This is not the token of terminal north-1: correct it")
        assert refused[1] == "True 2"
        developer.types(f"python killed.py {address} {token}", code=-9)
        answers = developer.types(f"python questions.py {address} {token}").splitlines()
        assert answers == ANSWERS.splitlines()
    assert "The proof holds." in developer.types("inventory-server verify")
