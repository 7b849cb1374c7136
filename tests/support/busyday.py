"""A ledger in which everything has happened once, for tests that look for what is wrong with one."""

from __future__ import annotations

from datetime import date
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from inventory_server.domain.alerts import OpenedAlert
from inventory_server.domain.door import perform
from inventory_server.domain.product import Product, Ranged
from inventory_server.domain.requests import (
    ListDue,
    MarkOrdered,
    Ping,
    RecordAlerts,
    RecordDelivery,
    SettleException,
    StartObserving,
)
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from inventory_server.store.admin import catalog
from inventory_server.store.ledger import tables as t
from pos_client.protocol.gtin import padded
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import instant, scaled
from tests.support.ledgers import DAY, HOUR, NOON, Till, body, opened, uid
from tests.support.maintenance import administer

GTIN = "40000008"


def trade(place: Path | str) -> None:
    """Make a ledger with every type of posting, late ones, voids in both orders, a refusal and a conflict."""
    with opened(place) as store:
        products = [
            Product("a", "Apple", "kg", scaled(5), (padded(GTIN),)),
            Product("b", ranged=(Ranged("L1", scaled(3)),), supplier="ACME"),
        ]
        administer(store, lambda connection: catalog.import_products(connection, products))
        for outcome in ("imported", "refused"):
            administer(store, partial(_audit, outcome))
        first, second = Till(store, "T1", "L1"), Till(store, "T2", "L2")
        perform(store, Ping(first.speaker, None, None, Tick(UUID(int=1), 60_000)))
        first.post(
            body("receipt", ("a", 100), ("b", 50), at=NOON - HOUR, reference="D1"),
            body("sale", ("a", 2), (f"gtin:{GTIN}", 1), reference="R1"),
            body("count", ("a", 90), ("b", 40), at=NOON + HOUR),
            body("sale", ("a", 1), at=NOON - 2 * HOUR),
            body("reserve", ("b", 5), at=NOON + HOUR, expires_at=instant(NOON + 3 * DAY)),
            body("transfer_out", ("a", 7), at=NOON + 2 * HOUR, other_location="L2"),
        )
        for raw, name in (
            (body("sale", ("b", 3), at=NOON + 2 * HOUR), "voided"),
            (body("void", at=NOON + 3 * HOUR, voids=uid("voided")), "void"),
            (body("void", at=NOON + 4 * HOUR, voids=uid("voided early")), "early void"),
            (body("count", ("b", 1), at=NOON + 3 * HOUR), "voided early"),
            (body("count", ("a", 70), at=NOON + 3 * HOUR), "voided count"),
            (body("void", at=NOON + 5 * HOUR, voids=uid("voided count")), "void of the count"),
            (body("release", ("b", 1), at=NOON + 5 * HOUR), "release"),
            (body("void", voids=uid("void")), "refused"),
            (body("sale", ("b", 4), at=NOON), "voided"),
        ):
            first.posts(raw, uid(name))
        posted = second.post(
            body("transfer_in", ("a", 5), at=NOON + 5 * HOUR, other_location="L1"),
            body("sale", ("unlisted", 1), at=NOON + 6 * HOUR),
            body("return", ("a", 1), at=NOON + 7 * HOUR),
            body("adjustment", ("a", -1), at=NOON + 7 * HOUR),
        )
        perform(store, SettleException("unlisted_product", posted.position, actor=HEADQUARTERS))
        _alert(store)
        perform(store, MarkOrdered("L1", "b", 12, date(2023, 11, 20), actor=HEADQUARTERS))


def _alert(store: LedgerStore) -> None:
    """One alert is open, one was closed; a target has failed, and another one has taken the first delivery."""
    perform(store, StartObserving("1", actor=HEADQUARTERS))
    of_a = OpenedAlert("reorder_point", "L2", "a", NOON, "4 of a at L2, reorder point 5")
    of_till = OpenedAlert("till_silent", "L1", "T1", NOON, "T1 at L1 is silent")
    note = RecordAlerts("1", 12, [of_a, of_till], targets=["pager", "desk"], proven=3, actor=HEADQUARTERS)
    _, silent = perform(store, note)
    perform(store, RecordAlerts("1", 14, closed=[silent], targets=["pager"], actor=HEADQUARTERS))
    [failed, taken] = perform(store, ListDue(["pager", "desk"], actor=HEADQUARTERS))
    for due, *came in ((failed, "refused", NOON + 2 * DAY), (taken, None, None)):
        named = (due.target, due.queued_at, due.alert.number, due.event)
        perform(store, RecordDelivery("1", *named, *came, actor=HEADQUARTERS))


def _audit(outcome: str, connection: Connection) -> None:
    who = {"actor": "root", "role": "administrator", "source": "control socket"}
    what = {"request": "import", "arguments": '{"products":2}', "outcome": outcome}
    connection.execute(t.audit.insert().values(at=NOON, **who, **what))
