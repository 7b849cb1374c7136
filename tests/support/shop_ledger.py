"""A small chain of shops to look at: a ledger with one of everything that the pages of headquarters show."""

from __future__ import annotations

from decimal import Decimal

from inventory_server.domain.completeness import OutboxState
from inventory_server.domain.door import perform
from inventory_server.domain.product import Product, Ranged, Supplier
from inventory_server.domain.requests import Bye, ImportProducts, Ping, SetLocation
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from pos_client.protocol.messages import ByeParams, ByeResult
from pos_client.protocol.units import instant, scaled
from tests.support.ledgers import DAY, HOUR, SECOND, Clock, Till, body, enrol, opened, uid

MINUTE = 60 * SECOND
COUNT_DAY = 17
"""The day of the three weeks before whose sales the shops are counted."""
OPENING = 1_773_729_720_000_000
"""Tuesday 17 March 2026, 07:42 in Berlin: the instant at which the pages are looked at."""
SCRIPT = "<script>alert(1)</script>"
"""The name of a product that must not become markup."""
SUPPLIERS = [
    Supplier("Molkereigenossenschaft Schwalm-Eder eG", 1, 1, 11),
    Supplier("Naturkost-Großhandelsgesellschaft Weserbergland mbH", 3, 7, 16),
    Supplier("Rösterei Alt & Söhne", 2, 7, 14),
    Supplier("Bäckerei Kornfeld", 1, 1, 18),
]
_DAIRY, _GROCER, _ROASTER, _BAKER = (each.supplier for each in SUPPLIERS)
CATALOGUE = [
    Product("MILK-1L", "Fresh whole milk 3.8 %, 1 l", None, scaled(24), ("04012345678901",), supplier=_DAIRY),
    Product(
        "ESPRESSO-1KG",
        "Espresso beans “Hausmischung”, whole, 1 kg",
        None,
        scaled(20),
        ("04012345000016",),
        (Ranged("altmarkt"), Ranged("bahnhof"), Ranged("hafen", scaled(14)), Ranged("lager", scaled(60))),
        supplier=_ROASTER,
        pack_size=scaled(6),
        minimum=scaled(12),
    ),
    Product("CROISSANT", "Buttercroissant", None, scaled(40), supplier=_BAKER),
    Product("BAN-KG", "Bananas, organic, loose", "kg", scaled(16), supplier=_GROCER),
    Product("EI-10-L", "Eier aus Freilandhaltung, Größe L, 10 Stück", None, scaled(18), supplier=_DAIRY),
    Product("OAT_BARISTA_1000", "Haferdrink Barista, ungesüßt, glutenfrei, 1 l", None, scaled(24), supplier=_GROCER),
    Product("APPLES-KG", "Äpfel Elstar, lose", "kg", scaled(26), supplier=_GROCER),
    Product("ODD", SCRIPT),
]
LOCATIONS = {
    "hafen": "Hafenstraße",
    "altmarkt": "Altmarkt",
    "bahnhof": "Hauptbahnhof",
    "uni": "Universitätsviertel",
    "lager": "Zentrallager",
}


def fill_shops(url: str) -> None:
    """Three weeks of a chain of four shops and a warehouse, up to `OPENING`; one shop is silent, two have closed."""
    clock = Clock(OPENING - 21 * DAY)
    with opened(url, clock) as store:
        perform(store, ImportProducts(CATALOGUE, SUPPLIERS, actor=HEADQUARTERS))
        tills = {place: Till(store, f"{place}-1", place) for place in LOCATIONS if place != "lager"}
        enrol(store, "scanner", "operator", "lager")
        warehouse = Till(store, "scanner", "lager")
        for place, name in LOCATIONS.items():
            change = SetLocation(place, time_zone="Europe/Berlin", day_ends_hour=0, name=name, actor=HEADQUARTERS)
            perform(store, change)
        _deliver(clock, tills, warehouse)
        _sell(clock, tills, 0, COUNT_DAY)
        _count(clock, tills)
        _sell(clock, tills, COUNT_DAY, 20)
        _end_of_monday(clock, store, tills)
        _tuesday(clock, store, tills)


def _deliver(clock: Clock, tills: dict[str, Till], warehouse: Till) -> None:
    at = clock.now
    goods = [(each.sku, 75) for each in CATALOGUE if each.sku not in ("ODD", "CROISSANT")]
    for place, till in tills.items():
        till.posts(body("receipt", *goods, ("CROISSANT", 450), at=at, reference=f"DN-{place}"))
    warehouse.posts(body("receipt", ("ESPRESSO-1KG", 180), ("OAT_BARISTA_1000", 1_240), at=at))


def _sell(clock: Clock, tills: dict[str, Till], first: int, end: int) -> None:
    """Some of everything on every day from `first` to before `end`, more of it in the busier shops."""
    for day in range(first, end):
        for number, till in enumerate(tills.values(), 1):
            clock.now = OPENING - (20 - day) * DAY + number * HOUR
            lines = (("MILK-1L", 1 + day % 3), ("ESPRESSO-1KG", 1 + (day + number) % 3), ("CROISSANT", 10 + 3 * number))
            loose = (
                ("BAN-KG", Decimal("1.385") + number / Decimal(2)),
                ("APPLES-KG", Decimal("0.965")),
                ("EI-10-L", 2),
            )
            till.posts(body("sale", *lines, *loose, at=clock.now - 5 * MINUTE, reference=f"R-{day}-{number}"))


def _count(clock: Clock, tills: dict[str, Till]) -> None:
    """Differences that are real, one that a late sale explains in part, and a count that agrees."""
    clock.now = OPENING - (21 - COUNT_DAY) * DAY
    altmarkt, bahnhof = tills["altmarkt"], tills["bahnhof"]
    altmarkt.posts(body("count", ("ESPRESSO-1KG", 30), ("EI-10-L", 24), at=clock.now - MINUTE))
    bahnhof.posts(body("count", ("CROISSANT", 75), at=clock.now))
    tills["uni"].posts(body("count", ("OAT_BARISTA_1000", 75), at=clock.now))
    clock.now += DAY // 2
    altmarkt.posts(body("sale", ("ESPRESSO-1KG", 4), at=clock.now - DAY, reference="R-LATE"))


def _end_of_monday(clock: Clock, store: LedgerStore, tills: dict[str, Till]) -> None:
    clock.now = OPENING - 13 * HOUR
    tills["altmarkt"].posts(body("reserve", ("ESPRESSO-1KG", 4), at=clock.now, expires_at=instant(OPENING + 3 * DAY)))
    tills["hafen"].posts(body("sale", ("MILK-1L", 38), at=clock.now - HOUR, reference="R-BUSY"))
    tills["bahnhof"].posts(body("sale", ("gtin:96385074", 6), at=clock.now))
    tills["hafen"].posts(body("count", ("OAT_BARISTA_1000", 72), at=clock.now))
    waiting = OutboxState(14, 0, clock.now)
    perform(store, Ping(tills["hafen"].speaker, waiting, clock.now))
    clock.now += HOUR
    for place in ("altmarkt", "uni"):
        perform(store, Ping(tills[place].speaker, OutboxState(0), clock.now))
        _say_goodbye(store, tills[place])


def _say_goodbye(store: LedgerStore, till: Till) -> None:
    """End a till's day with the totals that HQ has: it tells them to who gets them wrong."""
    wrong: ByeResult = perform(store, Bye(till.speaker, ByeParams(last_seq=0, count=0, quantity=1, pending=0)))
    assert wrong.expected is not None
    right = ByeParams(
        last_seq=wrong.expected.last_seq, count=wrong.expected.count, quantity=wrong.expected.quantity, pending=0
    )
    assert perform(store, Bye(till.speaker, right)).status == "balanced"


def _tuesday(clock: Clock, store: LedgerStore, tills: dict[str, Till]) -> None:
    clock.now = OPENING - MINUTE
    lager = Till(store, "scanner", "lager")
    lager.posts(body("transfer_out", ("ESPRESSO-1KG", 12), at=clock.now, other_location="altmarkt", reference="T-3107"))
    tills["bahnhof"].posts(body("sale", ("CROISSANT", 4), ("ODD", 1), at=clock.now), uid("the last sale"))
    perform(store, Ping(tills["bahnhof"].speaker, OutboxState(0), clock.now))
