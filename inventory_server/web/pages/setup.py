"""What the pages under Setup show: terminals, locations, the catalogue, the proof, the feed and who changed what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from msgspec import UnsetType

from inventory_server.domain.answers import AuditEntry, LocationRow, Overview, TerminalRow
from inventory_server.domain.levels import LevelsPage, ListLevels
from inventory_server.domain.questions import ListAudit, ListLocations, ListPostings, ListTerminals, ShowOverview
from inventory_server.domain.roles import OPERATORS
from inventory_server.web.limits import AUDIT_SHOWN, FEED_SHOWN
from inventory_server.web.pages.address import StockAddress, chosen, product_url
from inventory_server.web.pages.figures import figure
from inventory_server.web.pages.frame import Frame, Visit, framed
from inventory_server.web.pages.sentences import Sentence
from inventory_server.web.pages.texts import Texts
from pos_client.protocol.lists import ListedPosting, PostingsParams, PostingsResult
from pos_client.protocol.units import micros

TABS = ("terminals", "locations", "catalogue", "proof", "feed", "audit")
_OF_OPERATORS = frozenset(("terminals", "audit"))
_LINES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: its text, a second line, where it leads, and its classes."""

    text: str
    second: str = ""
    url: str = ""
    classes: str = ""
    label: str = ""
    revokes: str = ""


@dataclass(frozen=True, slots=True)
class SetupTab:
    """A tab."""

    key: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Tables:
    """The content of a tab: the answer, a table or facts, and a note."""

    lead: list[Sentence]
    head: list[str]
    rows: list[list[Cell]]
    facts: list[tuple[str, str]]
    empty: str = ""


@dataclass(frozen=True)
class SetupPage:
    """All that the template shows."""

    frame: Frame
    current: str
    tabs: list[SetupTab]
    content: Tables


def setup_page(visit: Visit) -> SetupPage:
    """A tab of Setup; RequestError `forbidden` for one that the role may not see."""
    allowed = tuple(tab for tab in TABS if tab not in _OF_OPERATORS or visit.user.role in OPERATORS)
    asked = chosen(visit.parameters(), {"tab": (allowed[0], *TABS)})
    frame, texts = framed(visit, "setup"), visit.texts
    tabs = [SetupTab(tab, texts(f"setup.tab.{tab}"), f"/setup?tab={tab}") for tab in allowed]
    return SetupPage(frame, asked["tab"], tabs, _TABS[asked["tab"]](visit, frame, texts))


def _terminals(visit: Visit, frame: Frame, texts: Texts) -> Tables:
    rows: list[TerminalRow] = visit.ask(ListTerminals())
    in_use = sum(row.revoked_at is None for row in rows)
    shown = [_terminal(row, frame, texts) for row in sorted(rows, key=lambda row: row.revoked_at is not None)]
    head = [texts(f"setup.{name}") for name in ("name", "location", "role", "state")]
    lead = Sentence(texts.many("setup.terminals.lead", in_use), "strong")
    return Tables([lead, Sentence(texts("setup.terminals.what"))], head, shown, [], texts("tills.empty_why"))


def _terminal(row: TerminalRow, frame: Frame, texts: Texts) -> list[Cell]:
    zone = frame.places.zone(row.location)
    state = texts("setup.no_contact")
    if row.revoked_at is not None:
        state = texts("setup.revoked", at=frame.times.short(row.revoked_at, zone))
    elif row.contact_at is not None:
        state = texts("setup.contact", at=frame.times.short(row.contact_at, zone))
    enrolled = texts("setup.enrolled", at=frame.times.day(row.enrolled_at, zone))
    place, role = frame.places.name(row.location), texts(f"setup.role_of.{row.role}")
    return [
        Cell(row.terminal, classes="fixed"),
        Cell(place, label="place"),
        Cell(role),
        Cell(state, enrolled, revokes="" if row.revoked_at is not None else row.terminal),
    ]


def _locations(visit: Visit, _: Frame, texts: Texts) -> Tables:
    rows: list[LocationRow] = visit.ask(ListLocations())
    shown = [
        [
            Cell(row.name or row.location, row.location, StockAddress(location=row.location).url()),
            Cell(row.time_zone),
            Cell(f"{row.day_ends_hour:02}:00"),
        ]
        for row in rows
    ]
    head = [texts(f"setup.{name}") for name in ("location", "time_zone", "day_ends")]
    lead = Sentence(texts.many("setup.locations.lead", len(rows)), "strong")
    return Tables([lead, Sentence(texts("setup.locations.what"))], head, shown, [], texts("tills.empty_why"))


def _catalogue(visit: Visit, _: Frame, texts: Texts) -> Tables:
    told: Overview = visit.ask(ShowOverview())
    levels: LevelsPage = visit.ask(ListLevels(skus=[], limit=1))
    lead = [Sentence(texts.many("setup.catalogue.lead", told.products), "strong")]
    if told.unlisted:
        url = StockAddress(view="unlisted").url()
        lead.append(Sentence(texts.many("setup.catalogue.unlisted", told.unlisted), "unsure", url))
    rows = [[Cell(name, url=StockAddress(supplier=name).url())] for name in levels.suppliers]
    return Tables(lead, [texts("setup.supplier")], rows, [], texts("setup.no_suppliers"))


def _proof(visit: Visit, frame: Frame, texts: Texts) -> Tables:
    told: Overview = visit.ask(ShowOverview())
    nothing = texts("setup.proof.nothing")
    recorded = nothing
    if told.recorded_at is not None:
        recorded = frame.times.long(told.recorded_at, frame.places.own_zone())
    counts = {"levels": told.levels, "negative": told.negative, "rejected": told.rejected}
    facts = [
        (texts("setup.proof.position"), texts.number(told.position)),
        (texts("setup.proof.recorded"), recorded),
        (texts("setup.proof.archived"), texts.number(told.archived) if told.archived else nothing),
        *((texts(f"setup.proof.{name}"), texts.number(count)) for name, count in counts.items()),
        (texts("setup.proof.quarantined"), texts.number(told.quarantined)),
    ]
    lead = Sentence(texts("setup.proof.lead", postings=texts.number(told.position)), "strong")
    return Tables([lead, Sentence(texts("setup.proof.how"))], [], [], facts)


def _feed(visit: Visit, frame: Frame, texts: Texts) -> Tables:
    found: PostingsResult = visit.ask(ListPostings(params=PostingsParams(limit=FEED_SHOWN)))
    head = [texts("setup.feed.when"), texts("setup.feed.posting"), texts("setup.location"), texts("setup.feed.lines")]
    rows = [_posting(posting, frame, texts) for posting in found.postings]
    lead = [Sentence(texts("setup.feed.lead"), "strong"), Sentence(texts("setup.feed.what"))]
    return Tables(lead, [*head, texts("setup.feed.flags")], rows, [], texts("setup.feed.empty"))


def _posting(posting: ListedPosting, frame: Frame, texts: Texts) -> list[Cell]:
    at = posting.occurred_at if isinstance(posting.effective_at, UnsetType) else posting.effective_at
    zone = frame.places.zone(posting.location)
    recorded = frame.times.full(micros(posting.recorded_at), zone)
    lines = [
        f"{figure(Decimal(line.quantity), texts).text} × {line.gtin if isinstance(line.sku, UnsetType) else line.sku}"
        for line in posting.lines[:_LINES_SHOWN]
    ]
    more = len(posting.lines) - _LINES_SHOWN
    detail = ", ".join(each for each in (posting.reference, posting.terminal) if each)
    first = next((line.sku for line in posting.lines if not isinstance(line.sku, UnsetType)), None)
    url = "" if first is None else product_url(first, posting.location)
    return [
        Cell(frame.times.full(micros(at), zone), recorded),
        Cell(texts(f"kind.{posting.type}"), detail, url),
        Cell(frame.places.name(posting.location), label="place"),
        Cell(", ".join(lines), texts("setup.feed.more", count=texts.number(more)) if more > 0 else ""),
        Cell("; ".join(texts(f"flag.{flag}") for flag in posting.flags)),
    ]


def _audit(visit: Visit, frame: Frame, texts: Texts) -> Tables:
    found: list[AuditEntry] = visit.ask(ListAudit(limit=AUDIT_SHOWN))
    zone = frame.places.own_zone()
    rows = [
        [
            Cell(frame.times.full(entry.at, zone)),
            Cell(entry.actor, f"{entry.role}, {entry.source}"),
            Cell(entry.request, entry.arguments),
            Cell(entry.outcome),
        ]
        for entry in reversed(found)
    ]
    head = [texts(f"setup.audit.{name}") for name in ("when", "who", "request", "outcome")]
    return Tables([Sentence(texts("setup.audit.lead"), "strong")], head, rows, [], texts("setup.audit.empty"))


_TABS: dict[str, Callable[[Visit, Frame, Texts], Tables]] = {
    "terminals": _terminals,
    "locations": _locations,
    "catalogue": _catalogue,
    "proof": _proof,
    "feed": _feed,
    "audit": _audit,
}
