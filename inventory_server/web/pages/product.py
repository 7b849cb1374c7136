"""What the page of a product shows: how much is where, how it came about, and when that became known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from msgspec import UnsetType

from inventory_server.domain.answers import ProductCard, ProductTerms
from inventory_server.domain.business_day import Period
from inventory_server.domain.levels import LevelRow, LevelsPage, ListLevels
from inventory_server.domain.limits import LEVELS_PAGE_MAX
from inventory_server.domain.questions import ListCounts, ShowProduct, Stock
from inventory_server.web.limits import PLOT_DAYS, STORY_WINDOWS_DAYS
from inventory_server.web.pages.address import chosen, product_url
from inventory_server.web.pages.figures import ShownFigure, figure
from inventory_server.web.pages.frame import Frame, Visit, framed
from inventory_server.web.pages.level_rows import StockRow, decimal_text, stock_row, title_of
from inventory_server.web.pages.plot import Drawing, drawing
from inventory_server.web.pages.sentences import Chip, Sentence
from inventory_server.web.pages.story import Story, StoryRow, is_archived, story_of, story_rows
from inventory_server.web.pages.texts import Texts
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.lists import CountsParams, CountsResult, ListedCount
from pos_client.protocol.messages import StockParams, StockResult
from pos_client.protocol.units import SECOND_MICROS, Quantity, instant

_DAY = 86_400 * SECOND_MICROS


@dataclass(frozen=True, slots=True)
class PlotRow:
    """A day of the plot, as the table below it says it."""

    day: str
    on_hand: ShownFigure
    as_known: ShownFigure


@dataclass(frozen=True, slots=True)
class Plot:
    """On hand at the end of each day, as known now and as known on the day."""

    drawing: Drawing
    title: str
    told: str
    figures: list[str]
    days: list[str]
    rows: list[PlotRow]
    reorder: str


@dataclass(frozen=True)
class ProductPage:
    """All that the template shows."""

    frame: Frame
    sku: str
    title: str
    details: list[str]
    lead: list[Sentence]
    rows: list[StockRow]
    location: str
    place: str
    chips: list[Chip]
    totals: dict[str, ShownFigure]
    facts: list[tuple[str, str, str]]
    plot: Plot | None
    story: list[StoryRow]
    story_note: str
    fold: Chip


def product_page(visit: Visit) -> ProductPage:
    """The page for the address that `visit` asks for; RequestError `not_found` for what nobody listed or sold."""
    sku = visit.request.path_params["sku"]
    asked = chosen(visit.parameters(), {"location": (), "sales": ("folded", "each")})
    levels: LevelsPage = visit.ask(ListLevels(skus=[sku], order="location", limit=LEVELS_PAGE_MAX))
    texts = visit.texts
    if not levels.rows:
        raise RequestError(ErrorCode.not_found, texts("product.unknown", sku=sku))
    frame = framed(visit, "stock", levels)
    rows = levels.rows
    card: ProductCard | None = visit.ask(ShowProduct(sku)) if rows[0].is_listed else None
    here = next((row for row in rows if row.location == asked["location"]), rows[0])
    story, note = _story(visit, here, levels.now)
    counts = _counts(visit, here, levels.now)
    zone, is_folded = frame.places.zone(here.location), asked["sales"] == "folded"
    place = frame.places.shop(here.location).name
    return ProductPage(
        frame=frame,
        sku=sku,
        title=title_of(rows[0], texts),
        details=_details(card, rows[0], texts),
        lead=_lead(rows, frame, texts),
        rows=[stock_row(row, frame.places, frame.times, texts) for row in rows],
        location=here.location,
        place=place,
        chips=[_chip(row, here, frame) for row in rows],
        totals=_totals(rows, texts),
        facts=_facts(here, card, texts),
        plot=_plot(visit, here, counts, frame),
        story=story_rows(story.entries, {each.position: each for each in counts}, zone, frame.times, texts, is_folded),
        story_note=note,
        fold=_fold(sku, here.location, is_folded, texts),
    )


def _story(visit: Visit, here: LevelRow, now: int) -> tuple[Story, str]:
    """The story, and what there is to say of it."""
    try:
        story = story_of(visit, here.sku, here.location, now)
    except RequestError as error:
        if not is_archived(error):
            raise
        return Story([], 0, is_cut=False), error.message
    note = visit.texts("product.story_order")
    if story.is_cut:
        note = visit.texts.many("product.story_cut", story.days)
    return story, note


def _counts(visit: Visit, here: LevelRow, now: int) -> list[ListedCount]:
    """The counts of the time that the page is about; none where it reaches into the archive."""
    params = CountsParams(location=here.location, sku=here.sku) if here.location else CountsParams(sku=here.sku)
    period = Period(since=now - STORY_WINDOWS_DAYS[0] * _DAY)
    try:
        found: CountsResult = visit.ask(ListCounts(params=params, period=period))
    except RequestError as error:
        if not is_archived(error):
            raise
        return []
    return found.counts


def _details(card: ProductCard | None, row: LevelRow, texts: Texts) -> list[str]:
    """What the catalogue says, in short."""
    if card is None:
        return []
    terms = card.terms[0]
    found = [texts("product.barcode", code=code) for code in card.barcodes]
    found += [terms.supplier] if terms.supplier else []
    if terms.pack_size:
        found.append(texts("product.pack", count=figure(terms.pack_size, texts).text))
    if terms.minimum:
        found.append(texts("product.minimum", count=figure(terms.minimum, texts).text))
    if row.lead_time_days is not None:
        found.append(texts.many("stock.lead_time", row.lead_time_days))
    return found


def _lead(rows: list[LevelRow], frame: Frame, texts: Texts) -> list[Sentence]:
    """Where it is short, how sure that is, and what is on its way."""
    short = [row for row in rows if row.reorder_point is not None and row.available < row.reorder_point]
    if not rows[0].is_listed:
        said = [Sentence(texts("product.lead.unlisted"), "strong")]
    elif short:
        names = ", ".join(frame.places.shop(row.location).name for row in short)
        said = [Sentence(texts("product.lead.short", places=names), "strong")]
    else:
        has_point = any(row.reorder_point is not None for row in rows)
        said = [Sentence(texts("product.lead.enough" if has_point else "product.lead.no_point"), "strong")]
    unsure = [shop.name for row in rows if (shop := frame.places.shop(row.location)).is_unsure]
    if unsure:
        said.append(Sentence(texts("product.lead.unsure", places=", ".join(unsure)), "unsure", "/tills?view=unsure"))
    if coming := sum(row.in_transit for row in rows):
        said.append(Sentence(texts("product.lead.transit", count=figure(coming, texts).text)))
    return said


def _chip(row: LevelRow, here: LevelRow, frame: Frame) -> Chip:
    name = frame.places.shop(row.location).name
    return Chip(name, "", product_url(row.sku, row.location), row.location == here.location)


def _totals(rows: list[LevelRow], texts: Texts) -> dict[str, ShownFigure]:
    sums: dict[str, Quantity] = {
        "available": sum(row.available for row in rows),
        "on_hand": sum(row.on_hand for row in rows),
        "reserved": sum(row.reserved for row in rows),
        "in_transit": sum(row.in_transit for row in rows),
    }
    return {name: figure(value, texts) for name, value in sums.items()}


def _facts(here: LevelRow, card: ProductCard | None, texts: Texts) -> list[tuple[str, str, str]]:
    """What is sold of it here, and what it is ordered by: names, values, and what they rest on."""
    unknown = texts("product.unknown_velocity")
    rate, told = unknown, ""
    if here.days:
        rate = decimal_text(max(Decimal(here.sold), Decimal(0)) / here.days, texts)
        told = texts.many("product.sold_in", here.days, sold=figure(here.sold, texts).text)
    cover = unknown if here.cover_days is None else decimal_text(Decimal(here.cover_days), texts)
    facts = [(texts("product.sold_a_day"), rate, told), (texts("product.cover"), cover, "")]
    terms = _terms_at(card, here.location)
    if here.reorder_point is not None:
        facts.append((texts("product.reorder_at"), figure(here.reorder_point, texts).text, ""))
    if terms is not None and terms.lead_time_days is not None:
        facts.append((texts("product.lead_time"), texts.many("time.days", terms.lead_time_days), ""))
    if terms is not None and terms.supplier is not None:
        facts.append((texts("stock.supplier"), terms.supplier, ""))
    return facts


def _terms_at(card: ProductCard | None, location: str) -> ProductTerms | None:
    if card is None:
        return None
    return next((terms for terms in card.terms if terms.location == location), card.terms[0])


def _fold(sku: str, location: str, is_folded: bool, texts: Texts) -> Chip:
    label = texts("product.unfold" if is_folded else "product.fold")
    return Chip(label, "", product_url(sku, location, sales="each" if is_folded else ""), is_current=False)


# ---------------------------------------------------------------------------------- the plot


def _plot(visit: Visit, here: LevelRow, counts: list[ListedCount], frame: Frame) -> Plot | None:
    """On hand over the last days; None where nothing was ever there, or where the archive begins."""
    if not here.location or here.last_movement_at is None:
        return None
    zone, texts = frame.places.zone(here.location), visit.texts
    today = instant(frame.times.now).astimezone(zone).date()
    days = [today - timedelta(days=back) for back in range(PLOT_DAYS - 1, -1, -1)]
    try:
        now = [_on_hand(visit, here, day, frame.position) for day in days]
        ends = [min(frame.places.end_of_day(here.location, day), frame.times.now) for day in days]
        then = [_on_hand(visit, here, day, instant(end)) for day, end in zip(days, ends, strict=True)]
    except RequestError as error:
        if not is_archived(error):
            raise
        return None
    counted = [days.index(day) for day in sorted({_day_of(count, zone) for count in counts}) if day in days]
    shown = drawing(now, then, here.reorder_point, counted)
    names = [frame.times.date_of(day, today) for day in days]
    place, low, high = frame.places.shop(here.location).name, min(now), max(now)
    figures = {"low": low, "high": high, "now": now[-1]}
    told = {name: figure(value, texts).text for name, value in figures.items()}
    rows = zip(names, now, then, strict=True)
    return Plot(
        drawing=shown,
        title=texts("product.plot_of", place=place, days=PLOT_DAYS),
        told=texts("product.plot_told", place=place, first=names[0], last=names[-1], **told),
        figures=[figure(each, texts).text for each in shown.figures],
        days=[names[at] for at in (0, 7, 14, 21, PLOT_DAYS - 1)],
        rows=[PlotRow(name, figure(at, texts), figure(known, texts)) for name, at, known in rows][::-1],
        reorder="" if here.reorder_point is None else figure(here.reorder_point, texts).text,
    )


def _on_hand(visit: Visit, here: LevelRow, day: date, known_at: int | datetime) -> Quantity:
    """On hand at the end of a business day, as known at a position or an instant."""
    params = StockParams(sku=here.sku, location=here.location, known_at=known_at)
    found: StockResult = visit.ask(Stock(params=params, below=None, as_of=day))
    return found.items[0].on_hand if found.items else 0


def _day_of(count: ListedCount, zone: tzinfo) -> date:
    at = count.occurred_at if isinstance(count.effective_at, UnsetType) else count.effective_at
    return at.astimezone(zone).date()
