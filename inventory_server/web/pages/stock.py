"""What the page Stock shows: how much is where, how sure that is, and what is short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from inventory_server.domain.levels import LevelOrder, LevelsPage, ListLevels
from inventory_server.web.pages.address import VIEWS, StockAddress, stock_address
from inventory_server.web.pages.frame import Frame, Visit, framed
from inventory_server.web.pages.level_counts import LevelCounts
from inventory_server.web.pages.level_rows import StockRow, stock_row
from inventory_server.web.pages.places import Places, Shop
from inventory_server.web.pages.sentences import Chip, Sentence
from inventory_server.web.pages.texts import Texts

COLUMNS: tuple[tuple[LevelOrder, str], ...] = (
    ("product", "name"),
    ("location", "place"),
    ("available", "number main aligned"),
    ("on_hand", "number aligned"),
    ("reserved", "number"),
    ("in_transit", "number"),
    ("shortage", "number"),
    ("moved", "moved"),
)
"""What the table can be sorted by, and the classes of the column's head."""
PHONE_ORDERS: tuple[LevelOrder, ...] = ("shortage", "available", "product", "location", "moved", "counted")


class Column(NamedTuple):
    """The head of a column: a link that sorts by it, and how it is sorted now."""

    label: str
    classes: str
    url: str
    sorted: str


@dataclass(frozen=True)
class StockPage:
    """All that the template shows."""

    frame: Frame
    address: StockAddress
    lead: list[Sentence]
    chips: list[Chip]
    columns: list[Column]
    rows: list[StockRow]
    state: str
    suppliers: list[str]
    shops: list[Shop]
    orders: list[tuple[LevelOrder, str]]
    next_url: str | None
    first_url: str | None
    is_catalogue_empty: bool


def stock_page(visit: Visit, counts: LevelCounts) -> StockPage:
    """The page for the address that `visit` asks for; RequestError for parameters that it does not have."""
    address = stock_address(visit.parameters())
    levels = counts.ask(visit.ask, question_of(address))
    return shown(address, levels, framed(visit, "stock", levels))


def question_of(address: StockAddress) -> ListLevels:
    """The question of an address."""
    return ListLevels(
        view=address.view,
        search=address.q or None,
        location=address.location or None,
        supplier=address.supplier or None,
        order=address.sort,
        descending=address.descending,
        after=address.after or None,
    )


def shown(address: StockAddress, levels: LevelsPage, frame: Frame) -> StockPage:
    """The page of an answer. Pure."""
    texts, places = frame.texts, frame.places
    return StockPage(
        frame=frame,
        address=address,
        lead=answer(levels, places, texts),
        chips=[_chip(view, address, levels, texts) for view in VIEWS],
        columns=[_column(order, classes, address, texts) for order, classes in COLUMNS],
        rows=[stock_row(row, places, frame.times, texts) for row in levels.rows],
        state=_state(address, levels, texts),
        suppliers=levels.suppliers,
        shops=places.shops(),
        orders=[(order, texts(f"stock.sorted.{order}")) for order in PHONE_ORDERS],
        next_url=None if levels.cursor is None else address.url(after=levels.cursor),
        first_url=address.url() if address.after else None,
        is_catalogue_empty=not levels.counts["all"] and address == StockAddress(),
    )


def answer(levels: LevelsPage, places: Places, texts: Texts) -> list[Sentence]:
    """What is short, and how sure that is, as a sentence."""
    below, unsure = levels.counts["below"], levels.unsure
    if not levels.counts["all"]:
        return [Sentence(texts("stock.lead.nothing"), "strong")]
    said = [Sentence(texts.many("stock.lead.below", below) if below else texts("stock.lead.none_below"), "strong")]
    names = [places.name(location) for location in levels.incomplete]
    if not names:
        return [*said, Sentence(texts("stock.lead.all_sure"))]
    because = texts("stock.lead.because.one", name=names[0])
    if len(names) > 1:
        because = texts("stock.lead.because.other", count=len(names))
    if unsure:
        url = StockAddress(view="below").url()
        sure = Sentence(texts.many("stock.lead.sure", below - unsure))
        return [*said, sure, Sentence(texts.many("stock.lead.unsure", unsure), "unsure", url), Sentence(because)]
    return [
        *said,
        Sentence(texts("stock.lead.more"), "unsure", StockAddress(view="incomplete").url()),
        Sentence(because),
    ]


def _chip(view: str, address: StockAddress, levels: LevelsPage, texts: Texts) -> Chip:
    count = texts.number(levels.counts[view])
    return Chip(texts(f"stock.view.{view}"), count, address.url(view=view), view == address.view)


def _column(order: LevelOrder, classes: str, address: StockAddress, texts: Texts) -> Column:
    direction = "descending" if address.descending else "ascending"
    now = direction if order == address.sort else ""
    return Column(texts(f"stock.column.{order}"), classes, address.sorted_by(order), now)


def _state(address: StockAddress, levels: LevelsPage, texts: Texts) -> str:
    found = levels.counts[address.view]
    order = texts(f"stock.sorted.{address.sort}")
    if address.descending:
        order = texts("stock.sorted.reversed", order=order)
    return texts.many("stock.state", found, shown=texts.number(len(levels.rows)), order=order)
