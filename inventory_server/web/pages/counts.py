"""What the page Counts shows: which differences are real, which came down to what was learned late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from msgspec import UNSET, UnsetType

from inventory_server.domain.business_day import Period
from inventory_server.domain.levels import LevelsPage, ListLevels
from inventory_server.domain.limits import LEVELS_PAGE_MAX
from inventory_server.domain.questions import ListCounts
from inventory_server.web.limits import COUNT_DAYS, COUNTS_SHOWN_MAX
from inventory_server.web.pages.address import chosen, product_url
from inventory_server.web.pages.figures import ShownFigure, figure
from inventory_server.web.pages.frame import Frame, Visit, framed
from inventory_server.web.pages.places import Shop
from inventory_server.web.pages.sentences import Chip, Sentence
from inventory_server.web.pages.texts import Texts
from pos_client.protocol.lists import CountsParams, CountsResult, ListedCount
from pos_client.protocol.messages import Completeness
from pos_client.protocol.units import SECOND_MICROS, Quantity, micros

VIEWS = ("all", "real", "late", "early")
_DAY = 86_400 * SECOND_MICROS
_ORDER = ("real", "partly", "early", "changed", "explained", "agrees")
_TONES = {"real": "red", "partly": "red", "early": "amber", "changed": "violet", "explained": "violet", "agrees": ""}


@dataclass(frozen=True, slots=True)
class CountRow:
    """A count with its variance then and now, and what to think of it."""

    sku: str
    title: str
    url: str
    shop: Shop
    when: str
    counted: ShownFigure
    book_then: ShownFigure
    variance_then: ShownFigure
    book_now: ShownFigure
    variance_now: ShownFigure
    judgement: str
    tone: str
    why: list[str]
    is_late: bool


@dataclass(frozen=True)
class CountsPage:
    """All that the template shows."""

    frame: Frame
    lead: list[Sentence]
    asof: str
    chips: list[Chip]
    rows: list[CountRow]
    location: str
    view: str
    shops: list[Shop]
    more: str


def counts_page(visit: Visit) -> CountsPage:
    """The counts of the last weeks; RequestError for parameters that the page does not have."""
    asked = chosen(visit.parameters(), {"view": VIEWS, "location": ()})
    frame = framed(visit, "counts")
    location, texts = asked["location"], visit.texts
    params = CountsParams(location=location or UNSET, limit=COUNTS_SHOWN_MAX)
    found: CountsResult = visit.ask(ListCounts(params=params, period=Period(since=frame.times.now - COUNT_DAYS * _DAY)))
    told: LevelsPage = visit.ask(ListLevels(skus=sorted({each.sku for each in found.counts}), limit=LEVELS_PAGE_MAX))
    names = {row.sku: row.name for row in told.rows if row.name}
    rows = [_row(count, names, told.completeness, frame, texts) for count in found.counts]
    rows.sort(key=lambda row: _ORDER.index(row.judgement))
    shown = [row for row in rows if _is_in(row, asked["view"])]
    return CountsPage(
        frame=frame,
        lead=_lead(rows, texts),
        asof=texts("counts.asof", days=COUNT_DAYS),
        chips=[_chip(view, asked, rows, texts) for view in VIEWS],
        rows=shown,
        location=location,
        view=asked["view"],
        shops=frame.places.shops(),
        more="" if found.cursor is None else texts("counts.more", count=texts.number(COUNTS_SHOWN_MAX)),
    )


def _is_in(row: CountRow, view: str) -> bool:
    if view == "late":
        return row.is_late
    if view == "real":
        return row.judgement in ("real", "partly")
    return view == "all" or row.judgement == view


def _chip(view: str, asked: Mapping[str, str], rows: list[CountRow], texts: Texts) -> Chip:
    pairs = [("view", "" if view == "all" else view), ("location", asked["location"])]
    query = urlencode([pair for pair in pairs if pair[1]])
    count = sum(_is_in(row, view) for row in rows)
    url = f"/counts?{query}" if query else "/counts"
    return Chip(texts(f"counts.view.{view}"), texts.number(count), url, view == asked["view"])


def _lead(rows: list[CountRow], texts: Texts) -> list[Sentence]:
    real, late, early = (sum(_is_in(row, view) for row in rows) for view in ("real", "late", "early"))
    if not rows:
        return [Sentence(texts("counts.lead.none", days=COUNT_DAYS), "strong")]
    if not real and not early and not late:
        return [Sentence(texts("counts.lead.agree"), "strong")]
    said = [Sentence(texts.many("counts.lead.real", real) if real else texts("counts.lead.none_real"), "strong")]
    said += [Sentence(texts.many("counts.lead.late", late))] if late else []
    said += [Sentence(texts.many("counts.lead.early", early), "unsure", "/counts?view=early")] if early else []
    return said


def _row(
    count: ListedCount,
    names: Mapping[str, str | None],
    completeness: Mapping[str, Completeness],
    frame: Frame,
    texts: Texts,
) -> CountRow:
    at = micros(count.occurred_at if isinstance(count.effective_at, UnsetType) else count.effective_at)
    shop = frame.places.shop(count.location)
    judgement = judged(count, at, completeness.get(count.location))
    return CountRow(
        sku=count.sku,
        title=names.get(count.sku) or count.sku,
        url=product_url(count.sku, count.location),
        shop=shop,
        when=f"{frame.times.short(at, frame.places.zone(count.location))}, {count.terminal}",
        counted=figure(count.counted, texts),
        book_then=figure(_less(count.counted, count.variance_then), texts),
        variance_then=figure(count.variance_then, texts, signed=True),
        book_now=figure(_less(count.counted, count.variance_now), texts),
        variance_now=figure(count.variance_now, texts, signed=True),
        judgement=judgement,
        tone=_TONES[judgement],
        why=_why(count, judgement, shop, texts),
        is_late=count.changes_total > 0,
    )


def judged(count: ListedCount, at: int, told: Completeness | None) -> str:
    """What to think of a count at `at`, given how complete its location is (None: it has no tills). Pure.

    A difference is real once every till has told everything up to the count: nothing can explain it any more.
    """
    if not count.variance_now:
        return "explained" if count.variance_then else "changed" if count.changes_total else "agrees"
    is_settled = told is None or not told.tills or (told.complete_to is not None and micros(told.complete_to) >= at)
    if not is_settled:
        return "early"
    return "partly" if count.changes_total else "real"


def _why(count: ListedCount, judgement: str, shop: Shop, texts: Texts) -> list[str]:
    why = []
    if count.changes_total:
        change = figure(_less(count.variance_now, count.variance_then), texts, signed=True).text
        why.append(texts.many("counts.late_why", count.changes_total, change=change))
    if judgement == "early":
        why.append(texts("counts.early_why", place=shop.name))
    if judgement in ("real", "partly"):
        why.append(texts("counts.real_why", place=shop.name))
    if "recounted" in count.flags:
        why.append(texts("counts.twice"))
    return why


def _less(one: Quantity, other: Quantity) -> Decimal:
    return Decimal(one) - Decimal(other)
