"""A stock level as a row: its figures, how sure they are, and how long what is available lasts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from inventory_server.domain.levels import LevelRow
from inventory_server.web.pages.address import product_url
from inventory_server.web.pages.figures import ShownFigure, figure
from inventory_server.web.pages.places import Places, Shop
from inventory_server.web.pages.texts import Texts
from inventory_server.web.pages.times import Times
from pos_client.protocol.gtin import SUSPENSE_PREFIX

GAUGE_DAYS = 14
"""The bar under the days of cover is so many days long."""
GAUGE_WIDTH = 56
_LONGEST = 99


class Cover(NamedTuple):
    """For how many days what is available lasts: the text, the bar and the tick at the lead time (None: unknown).

    `is_short`: less than the lead time.
    """

    text: str
    bar: str
    tick: str | None
    is_short: bool


@dataclass(frozen=True, slots=True)
class StockRow:
    """A row of the table."""

    sku: str
    location: str
    title: str
    url: str
    shop: Shop
    unit: str
    available: ShownFigure
    on_hand: ShownFigure
    reserved: ShownFigure
    in_transit: ShownFigure
    reorder_point: ShownFigure | None
    short: str
    cover: Cover | None
    per_day: str
    is_listed: bool
    supplier: str
    lead_time: str
    moved: str
    counted: str


def stock_row(row: LevelRow, places: Places, times: Times, texts: Texts) -> StockRow:
    """How a level is shown."""
    zone = places.zone(row.location)
    moved = texts("stock.never_moved") if row.last_movement_at is None else times.short(row.last_movement_at, zone)
    counted = texts("stock.never_counted")
    if row.counted_at is not None:
        counted = texts("stock.counted", at=times.day(row.counted_at, zone))
    return StockRow(
        sku=row.sku,
        location=row.location,
        title=title_of(row, texts),
        url=product_url(row.sku, row.location),
        shop=places.shop(row.location),
        unit=row.unit or "",
        available=figure(row.available, texts),
        on_hand=figure(row.on_hand, texts),
        reserved=figure(row.reserved, texts),
        in_transit=figure(row.in_transit, texts),
        reorder_point=None if row.reorder_point is None else figure(row.reorder_point, texts),
        short=_short(row, texts),
        cover=_cover(row, texts),
        per_day=_per_day(row, texts),
        is_listed=row.is_listed,
        supplier=row.supplier or "",
        lead_time="" if row.lead_time_days is None else texts.many("stock.lead_time", row.lead_time_days),
        moved=moved,
        counted=counted,
    )


def title_of(row: LevelRow, texts: Texts) -> str:
    """What people call a product."""
    return row.name or (texts("stock.unlisted_barcode") if row.sku.startswith(SUSPENSE_PREFIX) else row.sku)


def _short(row: LevelRow, texts: Texts) -> str:
    """How far a level is below its reorder point; "" if it is not."""
    if row.reorder_point is None or row.available >= row.reorder_point:
        return ""
    return figure(row.reorder_point - row.available, texts).text


def _per_day(row: LevelRow, texts: Texts) -> str:
    """What is sold a day, with one decimal; "" where that is not known."""
    if not row.days:
        return ""
    return decimal_text(max(Decimal(row.sold), Decimal(0)) / row.days, texts)


def decimal_text(value: Decimal, texts: Texts) -> str:
    """A rate or a number of days, with one decimal: it is an estimate."""
    return f"{value:.1f}".replace(".", texts("format.point"))


def _cover(row: LevelRow, texts: Texts) -> Cover | None:
    if row.cover_days is None:
        return None
    days = Decimal(row.cover_days)
    lead = row.lead_time_days
    tick = None if lead is None else f"{min(lead, GAUGE_DAYS) * GAUGE_WIDTH / GAUGE_DAYS:.1f}"
    bar = f"{float(min(days, Decimal(GAUGE_DAYS))) * GAUGE_WIDTH / GAUGE_DAYS:.1f}"
    text = texts("stock.cover_long") if days > _LONGEST else decimal_text(days, texts)
    return Cover(text, bar, tick, lead is not None and days < lead)
