"""What the page Order shows: how many of what, from whom, by what hour, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby

from inventory_server.domain.order_lines import OrderLine, OrderList
from inventory_server.domain.ordering import local_day
from inventory_server.domain.questions import ListOrder
from inventory_server.web.limits import ORDER_LINES_SHOWN
from inventory_server.web.pages.address import chosen, product_url
from inventory_server.web.pages.figures import MINUS, ShownFigure, figure
from inventory_server.web.pages.frame import Frame, Visit, framed
from inventory_server.web.pages.level_rows import decimal_text
from inventory_server.web.pages.order_kept import KeptOrder
from inventory_server.web.pages.places import Shop
from inventory_server.web.pages.sentences import Chip, Sentence
from inventory_server.web.pages.texts import Texts
from pos_client.protocol.units import Quantity

VIEWS = ("today", "all", "unsure")


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A line of the order: how much, of what, for whom, and the sum that led to it."""

    quantity: str
    packs: str
    title: str
    sku: str
    url: str
    shop: Shop
    is_sure: bool
    available: ShownFigure
    in_transit: ShownFigure
    cover: str
    is_out: bool
    why: str
    sum: str
    location: str
    to_mark: str
    expected: str


@dataclass(frozen=True, slots=True)
class SupplierOrder:
    """What to order from one supplier, by when, and when it arrives."""

    name: str
    count: str
    unsure: str
    by: str
    is_late: bool
    arrives: str
    rows: list[OrderRow]


@dataclass(frozen=True)
class OrderPage:
    """All that the template shows."""

    frame: Frame
    as_of: str
    lead: list[Sentence]
    chips: list[Chip]
    shops: list[Shop]
    suppliers: list[SupplierOrder]
    more: str


def order_page(visit: Visit, kept: KeptOrder) -> OrderPage:
    """What to order; RequestError `busy` while another long question is answered."""
    asked = chosen(visit.parameters(), {"view": VIEWS})
    found: OrderList = kept.get(lambda: visit.ask(ListOrder()))
    frame, texts = framed(visit, "order"), visit.texts
    today = local_day(frame.times.now, frame.places.own_zone())
    shown = [line for line in found.lines if _is_in(line, asked["view"], today)]
    grouped = groupby(shown[:ORDER_LINES_SHOWN], key=lambda line: line.supplier)
    is_cut = len(shown) > ORDER_LINES_SHOWN or found.total > len(found.lines)
    return OrderPage(
        frame=frame,
        as_of=frame.times.long(found.asked_at, frame.places.own_zone()),
        lead=lead_of(found.lines, frame, today),
        chips=[_chip(view, asked["view"], found.lines, today, texts) for view in VIEWS],
        shops=frame.places.shops(),
        suppliers=[_supplier(name, list(lines), frame, today) for name, lines in grouped],
        more=texts("order.more", count=texts.number(found.total)) if is_cut else "",
    )


def _is_in(line: OrderLine, view: str, today: date) -> bool:
    if view == "unsure":
        return not line.is_sure
    return view == "all" or line.order_by <= today or line.is_late


def lead_of(lines: list[OrderLine], frame: Frame, today: date) -> list[Sentence]:
    """How much to order today, from how many, by when first, and how sure that is."""
    texts, due = frame.texts, [line for line in lines if _is_in(line, "today", today)]
    if not due:
        said = [Sentence(texts("order.lead.none"), "strong")]
        return said + ([Sentence(texts.many("order.lead.later", len(lines)), "", "/order?view=all")] if lines else [])
    suppliers = texts.many("order.lead.suppliers", len({line.supplier for line in due}))
    first = min(due, key=lambda line: line.order_by_at)
    by = _clock(first, frame, today, is_short=True)
    key = "order.lead.some" if first.order_by <= today else "order.lead.late"
    said = [Sentence(texts.many(key, len(due), suppliers=suppliers, by=by), "strong")]
    unsure = [line for line in due if not line.is_sure]
    if not unsure:
        return [*said, Sentence(texts("order.lead.sure"))]
    names = sorted({frame.places.shop(line.location or "").name for line in unsure})
    said.append(Sentence(texts.many("stock.lead.sure", len(due) - len(unsure))))
    said.append(Sentence(texts.many("stock.lead.unsure", len(unsure)), "unsure", "/order?view=unsure"))
    because = "stock.lead.because.one" if len(names) == 1 else "stock.lead.because.other"
    return [*said, Sentence(texts(because, name=names[0], count=len(names)))]


def _chip(view: str, current: str, lines: list[OrderLine], today: date, texts: Texts) -> Chip:
    count = sum(_is_in(line, view, today) for line in lines)
    url = "/order" if view == "today" else f"/order?view={view}"
    return Chip(texts(f"order.view.{view}"), texts.number(count), url, view == current)


def _supplier(name: str | None, lines: list[OrderLine], frame: Frame, today: date) -> SupplierOrder:
    texts = frame.texts
    first = min(lines, key=lambda line: line.order_by_at)
    arrivals = [line.arrives for line in lines if line.arrives is not None]
    unsure = sum(not line.is_sure for line in lines)
    return SupplierOrder(
        name=name or texts("order.no_supplier"),
        count=texts.many("order.lines", len(lines)),
        unsure=texts.many("order.unsure", unsure) if unsure else "",
        by=_clock(first, frame, today),
        is_late=any(line.is_late for line in lines),
        arrives=frame.times.day_named(min(arrivals), today) if arrivals else texts("order.unknown"),
        rows=[_row(line, frame, today) for line in lines],
    )


def _clock(line: OrderLine, frame: Frame, today: date, is_short: bool = False) -> str:
    """By when to order: the day, and the hour where there is one; the hour alone for today if `is_short`."""
    zone = frame.places.zone(line.location or "")
    day = frame.times.day_named(line.order_by, today)
    clock = frame.times.clock(line.order_by_at, zone)
    if clock == "00:00":
        return day
    return clock if is_short and line.order_by == today else f"{day} {clock}"


def _row(line: OrderLine, frame: Frame, today: date) -> OrderRow:
    texts = frame.texts
    packs = ""
    if line.packs is not None and line.pack_size is not None:
        packs = f"{texts.number(line.packs)} × {figure(line.pack_size, texts).text}"
    is_out = line.runs_out is not None and line.arrives is not None and line.runs_out < line.arrives
    return OrderRow(
        quantity=figure(line.quantity, texts).text,
        packs=packs,
        title=line.name or line.sku,
        sku=line.sku,
        url=product_url(line.sku, line.location or ""),
        shop=frame.places.shop(line.location or ""),
        is_sure=line.is_sure,
        available=figure(line.available, texts),
        in_transit=figure(line.in_transit, texts),
        cover="" if line.cover_days is None else decimal_text(_decimal(line.cover_days), texts),
        is_out=is_out,
        why=why(line, frame, today),
        sum=sum_of(line, texts),
        location=line.location or "",
        to_mark=str(line.quantity),
        expected=(line.arrives or line.order_by).isoformat(),
    )


def why(line: OrderLine, frame: Frame, today: date) -> str:
    """Why a line is on the list, in the language of the page."""
    texts, said = frame.texts, []
    if line.available <= 0:
        said.append(texts("order.why.empty"))
    elif line.runs_out is not None:
        said.append(texts("order.why.runs_out", day=frame.times.day_named(line.runs_out, today)))
    if line.available < line.reorder_point:
        said.append(texts("order.why.below"))
    if line.arrives is not None:
        key = "order.why.too_late" if line.runs_out is not None and line.runs_out < line.arrives else "order.why.comes"
        said.append(texts(key, day=frame.times.day_named(line.arrives, today)))
    if line.is_late:
        said.append(texts("order.why.late"))
    if line.lead_time_days is None:
        said.append(texts("order.why.no_lead_time"))
    if not line.days:
        said.append(texts("order.why.new"))
    return " ".join(said)


def sum_of(line: OrderLine, texts: Texts) -> str:
    """The sum that led to the quantity, with its figures."""
    parts = [texts("order.sum.point", count=figure(line.reorder_point, texts).text)]
    days = (line.lead_time_days or 0) + (line.order_cycle_days or 0)
    if days and line.days and line.sold > 0:
        rate = decimal_text(_decimal(line.sold) / line.days, texts)
        parts.append(texts("order.sum.sold", days=days, rate=rate))
    available = figure(abs(_decimal(line.available)), texts).text
    parts.append(f"{MINUS if line.available >= 0 else '+'} {available} {texts('order.sum.available')}")
    if line.in_transit:
        parts.append(f"{MINUS} {figure(line.in_transit, texts).text} {texts('order.sum.in_transit')}")
    if line.ordered:
        parts.append(f"{MINUS} {figure(line.ordered, texts).text} {texts('order.sum.ordered')}")
    if line.minimum:
        parts.append(texts("order.sum.minimum", count=figure(line.minimum, texts).text))
    rounded = texts("order.sum.to", count=figure(line.quantity, texts).text)
    return f"{' '.join(parts)}, {rounded}".replace(" ,", ",")


def _decimal(value: Quantity) -> Decimal:
    return Decimal(value)
