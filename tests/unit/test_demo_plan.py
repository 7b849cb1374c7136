"""The day of the demonstration: the same seed makes the same day, with all that is to be shown in it."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from inventory_server.demo.chain import COUNTED_STORE, OFFLINE_TILL, Plan, plan_day, terminals
from inventory_server.demo.day import PRODUCTS
from inventory_server.imports.catalog_csv import read_catalog
from pos_client.files.problems import Problem

BEGINS = datetime(2026, 3, 1, 7, tzinfo=UTC)


def plan(seed: int) -> Plan:
    problems: list[Problem] = []
    products = read_catalog(PRODUCTS, {}, problems.append).products
    assert problems == []
    return plan_day(products, BEGINS, 50, random.Random(seed))


def test_the_same_seed_makes_the_same_day() -> None:
    assert plan(1) == plan(1)
    assert plan(1) != plan(2)


def test_the_day_holds_what_it_is_to_show() -> None:
    made = plan(1)
    kinds = {event.kind for events in made.events.values() for event in events}
    assert kinds == {"receipt", "transfer_out", "transfer_in", "sale", "return", "void", "reserve", "count"}
    assert made.events.keys() == set(terminals())
    assert made.count.location == COUNTED_STORE
    before = [event for event in made.events[OFFLINE_TILL] if event.kind == "sale" and event.at < made.count.at]
    assert made.missed in {sku for event in before for sku, _ in event.lines}
    for events in made.events.values():
        assert [event.at for event in events] == sorted(event.at for event in events)
