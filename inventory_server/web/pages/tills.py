"""What the page Tills shows: who has not told everything, since when, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlencode

from inventory_server.domain.answers import Finding, TerminalRow
from inventory_server.domain.questions import ListTerminals, Reconcile
from inventory_server.domain.roles import OPERATORS
from inventory_server.web.pages.address import chosen
from inventory_server.web.pages.figures import MINUS
from inventory_server.web.pages.frame import Frame, Visit, framed
from inventory_server.web.pages.places import Shop
from inventory_server.web.pages.sentences import Chip, Sentence
from inventory_server.web.pages.texts import Texts

VIEWS = ("all", "unsure", "heard", "closed", "clock")
_OF_A_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class TillRow:
    """A till: its state, what it holds back, and what differs from what HQ has."""

    till: str
    shop: Shop
    state: str
    mark: str
    pending: int
    parked: int
    differences: list[str]
    closed: str
    offset: str
    views: frozenset[str]

    @property
    def is_unsure(self) -> bool:
        """True where somebody has to look after the till."""
        return "unsure" in self.views


@dataclass(frozen=True)
class TillsPage:
    """All that the template shows; `groups` are the tills of each location."""

    frame: Frame
    lead: list[Sentence]
    chips: list[Chip]
    shops: list[Shop]
    groups: list[list[TillRow]]
    is_anybody_silent: bool
    has_clocks: bool


def tills_page(visit: Visit) -> TillsPage:
    """All tills, those to look after first; RequestError for parameters that the page does not have."""
    asked = chosen(visit.parameters(), {"view": VIEWS, "location": ()})
    frame = framed(visit, "tills")
    findings: list[Finding] = visit.ask(Reconcile())
    has_clocks = visit.user.role in OPERATORS
    terminals: list[TerminalRow] = visit.ask(ListTerminals()) if has_clocks else []
    offsets = {each.terminal: each.clock_offset_ms for each in terminals}
    tolerance_ms = visit.request.app.state.settings.clock_tolerance_seconds * 1_000
    by_till = groupby(findings, key=lambda finding: finding.terminal)
    rows = [_row(list(found), offsets, tolerance_ms, frame) for _, found in by_till]
    rows.sort(key=lambda row: (not row.is_unsure, not row.shop.is_unsure, row.shop.name.casefold(), row.till))
    here = [row for row in rows if asked["location"] in ("", row.shop.location)]
    shown = [row for row in here if asked["view"] == "all" or asked["view"] in row.views]
    views = VIEWS if has_clocks else VIEWS[:-1]
    return TillsPage(
        frame=frame,
        lead=_lead(rows, visit.texts),
        chips=[_chip(view, asked, here, visit.texts) for view in views],
        shops=frame.places.shops(),
        groups=[list(found) for _, found in groupby(shown, key=lambda row: (row.is_unsure, row.shop.location))],
        is_anybody_silent=any(row.mark == "amber" for row in rows),
        has_clocks=has_clocks,
    )


def _row(findings: list[Finding], offsets: Mapping[str, int | None], tolerance_ms: int, frame: Frame) -> TillRow:
    """The row of a till, from what is found about each of its outbox files."""
    first, texts = findings[0], frame.texts
    zone = frame.places.zone(first.location)
    differences = [each for finding in findings for each in finding.differences]
    offset = offsets.get(first.terminal)
    views = {"all"} | ({"unsure"} if any(finding.is_open for finding in findings) else set())
    closed = texts("tills.day_open")
    if first.contact_at is None:
        state, mark, closed = texts("tills.never"), "none", ""
    elif first.silent_since_at is not None:
        at = frame.times.short(first.silent_since_at, zone)
        state, mark = texts("tills.silent", at=at), "amber"
    elif first.closed_at is not None:
        at = frame.times.short(first.closed_at, zone)
        state, mark = texts("tills.day_closed", at=at), "ok"
        closed = texts("tills.differ" if differences else "tills.balanced", at=at)
        views.add("closed")
    else:
        state, mark = texts("tills.heard", at=frame.times.short(first.contact_at, zone)), "open"
        views.add("heard")
    if offset is not None and abs(offset) > tolerance_ms:
        views.add("clock")
    return TillRow(
        till=first.terminal,
        shop=frame.places.shop(first.location),
        state=state,
        mark="amber" if differences and mark != "none" else mark,
        pending=sum(finding.pending for finding in findings),
        parked=sum(finding.parked for finding in findings),
        differences=differences,
        closed=closed,
        offset="" if offset is None else offset_text(offset, texts),
        views=frozenset(views),
    )


def offset_text(offset_ms: int, texts: Texts) -> str:
    """How far a clock is off: seconds with one decimal, from a minute on minutes."""
    sign = MINUS if offset_ms < 0 else "+"
    if abs(offset_ms) >= _OF_A_MINUTE:
        return texts("tills.clock_minutes", sign=sign, minutes=texts.number(abs(offset_ms) // _OF_A_MINUTE))
    seconds = f"{abs(offset_ms) / 1_000:.1f}".replace(".", texts("format.point"))
    return texts("tills.clock_seconds", sign=sign, seconds=seconds)


def _lead(rows: list[TillRow], texts: Texts) -> list[Sentence]:
    unsure = [row for row in rows if row.is_unsure]
    if not rows:
        return [Sentence(texts("tills.lead.none"), "strong")]
    if not unsure:
        return [Sentence(texts("tills.lead.all"), "strong")]
    names = sorted({row.shop.name for row in unsure})
    said = [Sentence(texts.many("tills.lead.some", len(unsure), tills=texts.number(len(rows))), "strong")]
    return [*said, Sentence(texts.many("tills.lead.where", len(unsure), places=", ".join(names)))]


def _chip(view: str, asked: Mapping[str, str], rows: list[TillRow], texts: Texts) -> Chip:
    pairs = [("view", "" if view == "all" else view), ("location", asked["location"])]
    query = urlencode([pair for pair in pairs if pair[1]])
    url = f"/tills?{query}" if query else "/tills"
    count = sum(view in row.views for row in rows)
    return Chip(texts(f"tills.view.{view}"), texts.number(count), url, view == asked["view"])
