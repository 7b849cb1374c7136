"""What the page Exceptions shows: what waits for a person, one entry per cause, and where to start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inventory_server.domain.answers import WaitingPosting
from inventory_server.domain.exceptions import OF_PRODUCTS
from inventory_server.domain.levels import LevelsPage, ListLevels
from inventory_server.domain.limits import LEVELS_PAGE_MAX
from inventory_server.domain.questions import ListExceptions, ListWaiting
from inventory_server.web.limits import CAUSES_SHOWN_MAX
from inventory_server.web.pages.address import chosen, product_url
from inventory_server.web.pages.figures import ShownFigure, figure
from inventory_server.web.pages.frame import Frame, Visit, framed
from inventory_server.web.pages.level_rows import title_of
from inventory_server.web.pages.sentences import Chip, Sentence
from inventory_server.web.pages.texts import Texts
from pos_client.protocol.fields import Flag
from pos_client.protocol.lists import ExceptionsParams, ExceptionsResult, ListedException
from pos_client.protocol.units import micros

GROUPS = ("unlisted", "negative", "doubt", "clocks", "rejected")
_GROUP_OF: Mapping[Flag, str] = {
    "unlisted_product": "unlisted",
    "negative_stock": "negative",
    "clock_suspect": "clocks",
}
"""All other flags are of documents that do not fit together."""


@dataclass(frozen=True, slots=True)
class CauseRow:
    """One cause: what it is, what is known of it, and since when it waits."""

    title: str
    url: str
    subject: str
    place: str
    on_hand: ShownFigure | None
    details: list[str]
    since: str
    first_at: int
    flag: str = ""
    location: str = ""
    position: int = 0
    is_rejected: bool = False


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """Causes of a kind."""

    key: str
    title: str
    why: str
    rows: list[CauseRow]


@dataclass(frozen=True)
class ExceptionsPage:
    """All that the template shows."""

    frame: Frame
    lead: list[Sentence]
    chips: list[Chip]
    groups: list[CauseGroup]
    more: str


def exceptions_page(visit: Visit) -> ExceptionsPage:
    """What waits; RequestError for parameters that the page does not have."""
    asked = chosen(visit.parameters(), {"group": ("all", *GROUPS)})
    frame, texts = framed(visit, "exceptions"), visit.texts
    found: ExceptionsResult = visit.ask(ListExceptions(params=ExceptionsParams(limit=CAUSES_SHOWN_MAX)))
    waiting: list[WaitingPosting] = visit.ask(ListWaiting())
    levels = _levels_of(visit, found.causes)
    rows: dict[str, list[CauseRow]] = {group: [] for group in GROUPS}
    for cause in found.causes:
        rows[_GROUP_OF.get(cause.flag, "doubt")].append(_cause(cause, levels, frame, texts))
    rows["rejected"] = [_waiting(posting, frame, texts) for posting in waiting[:CAUSES_SHOWN_MAX]]
    total = found.total + len(waiting)
    groups = [_group(key, rows[key], texts) for key in GROUPS if rows[key]]
    shown = [group for group in groups if asked["group"] in ("all", group.key)]
    is_cut = found.total > len(found.causes) or len(waiting) > CAUSES_SHOWN_MAX
    return ExceptionsPage(
        frame=frame,
        lead=_lead(total, groups, frame, texts),
        chips=_chips(asked["group"], total, groups, texts),
        groups=shown,
        more=texts("exceptions.more", count=texts.number(CAUSES_SHOWN_MAX)) if is_cut else "",
    )


def _levels_of(visit: Visit, causes: list[ListedException]) -> dict[tuple[str, str], tuple[str, ShownFigure]]:
    """What each product of a cause is called, and how much of it is on hand there."""
    skus = sorted({cause.subject for cause in causes if cause.flag in OF_PRODUCTS})
    if not skus:
        return {}
    page: LevelsPage = visit.ask(ListLevels(skus=skus, limit=LEVELS_PAGE_MAX))
    texts = visit.texts
    return {(row.location, row.sku): (title_of(row, texts), figure(row.on_hand, texts)) for row in page.rows}


def _cause(
    cause: ListedException, levels: dict[tuple[str, str], tuple[str, ShownFigure]], frame: Frame, texts: Texts
) -> CauseRow:
    is_product = cause.flag in OF_PRODUCTS
    title, on_hand = levels.get((cause.location, cause.subject), (cause.subject, None))
    zone = frame.places.zone(cause.location)
    last = frame.times.short(micros(cause.last_at), zone)
    details = [texts.many("exceptions.count", cause.count, what=texts("exceptions.last", at=last))]
    if _GROUP_OF.get(cause.flag) is None:
        details.insert(0, texts(f"flag.{cause.flag}"))
    if cause.settled_at is not None:
        details.append(texts("exceptions.settled", at=frame.times.short(micros(cause.settled_at), zone)))
    details.append(texts("exceptions.action", action=texts(f"action.{cause.flag}")))
    shop = frame.places.shop(cause.location)
    if shop.is_unsure:
        details.append(texts("stock.may_change", name=shop.name))
    return CauseRow(
        title=title,
        url=product_url(cause.subject, cause.location) if is_product else "",
        subject=cause.subject,
        place=shop.name,
        on_hand=on_hand,
        details=details,
        since=texts("exceptions.since", at=frame.times.short(micros(cause.first_at), zone)),
        first_at=micros(cause.first_at),
        flag=cause.flag,
        location=cause.location,
        position=cause.position,
    )


def _waiting(posting: WaitingPosting, frame: Frame, texts: Texts) -> CauseRow:
    key = "exceptions.quarantined" if posting.kind == "conflict" else "exceptions.rejected"
    zone = frame.places.own_zone()
    return CauseRow(
        title=texts(key, id=posting.id, till=posting.terminal),
        url="",
        subject=posting.id,
        place="",
        on_hand=None,
        details=[posting.reason],
        since=texts("exceptions.since", at=frame.times.short(posting.recorded_at, zone)),
        first_at=posting.recorded_at,
        is_rejected=posting.kind == "rejected",
    )


def _group(key: str, rows: list[CauseRow], texts: Texts) -> CauseGroup:
    return CauseGroup(key, texts(f"exceptions.group.{key}"), texts(f"exceptions.group_why.{key}"), rows)


def _lead(total: int, groups: list[CauseGroup], frame: Frame, texts: Texts) -> list[Sentence]:
    if not total:
        return [Sentence(texts("exceptions.lead.none"), "strong")]
    said = [Sentence(texts.many("exceptions.lead.some", total), "strong")]
    said.append(Sentence(texts("exceptions.lead.start", group=groups[0].title)))
    oldest = min(row.first_at for group in groups for row in group.rows)
    at = frame.times.short(oldest, frame.places.own_zone())
    return [*said, Sentence(texts("exceptions.lead.oldest", at=at))]


def _chips(current: str, total: int, groups: list[CauseGroup], texts: Texts) -> list[Chip]:
    chips = [Chip(texts("exceptions.view.all"), texts.number(total), "/exceptions", current == "all")]
    return chips + [
        Chip(group.title, texts.number(len(group.rows)), f"/exceptions?group={group.key}", current == group.key)
        for group in groups
    ]
