"""What all pages share: who looks, in which language, the bar at the top and the line at the foot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from inventory_server.domain.levels import LevelsPage, ListLevels
from inventory_server.domain.questions import ListExceptions, ListLocations, ListWaiting
from inventory_server.domain.roles import ADMINS, OPERATORS, User
from inventory_server.web.pages.places import Places
from inventory_server.web.pages.texts import LANGUAGES, Texts, language_of, texts_of
from inventory_server.web.pages.times import Times
from inventory_server.web.people import actor_of, csrf_of
from pos_client.protocol.lists import ExceptionsParams

LANGUAGE_COOKIE = "language"


@dataclass(frozen=True)
class Visit:
    """A person asks for a page: `ask` answers a question as that person."""

    request: Request
    user: User
    texts: Texts

    def ask(self, question: Any) -> Any:
        """The answer to a question; RequestError where there is none."""
        return self.request.app.state.door.ask(question, self.user)

    def parameters(self) -> list[tuple[str, str]]:
        """The parameters of the address."""
        return self.request.query_params.multi_items()


def visit_of(request: Request) -> Visit:
    """Who asks for a page; RequestError `unauthenticated` where nobody is signed in."""
    return Visit(request, actor_of(request), texts_of_request(request))


def texts_of_request(request: Request) -> Texts:
    """The texts in the language of a request."""
    accepted = request.headers.get("accept-language", "")
    return texts_of(language_of(request.cookies.get(LANGUAGE_COOKIE), accepted))


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A link of the bar; `badge` is how many things wait there, 0: none."""

    key: str
    url: str
    badge: int = 0


@dataclass(frozen=True)
class Frame:
    """What a page shows around its own content, as of `position` at `now`."""

    texts: Texts
    user: User
    current: str
    places: Places
    times: Times
    position: int
    exceptions: int
    csrf: str
    languages: Mapping[str, str] = field(default_factory=lambda: LANGUAGES)

    @property
    def menu(self) -> list[MenuItem]:
        """The links of the bar, in the order in which people look."""
        return [
            MenuItem("stock", "/stock"),
            MenuItem("order", "/order"),
            MenuItem("counts", "/counts"),
            MenuItem("tills", "/tills", self.unsure),
            MenuItem("exceptions", "/exceptions", self.exceptions),
            MenuItem("setup", "/setup"),
        ]

    @property
    def may_settle(self) -> bool:
        """True if the person may change what operators change; a token of an API sees no forms."""
        return bool(self.csrf) and self.user.role in OPERATORS

    @property
    def may_revoke(self) -> bool:
        """True if the person may change what administrators change."""
        return bool(self.csrf) and self.user.role in ADMINS

    @property
    def unsure(self) -> int:
        """How many locations are incomplete."""
        return sum(shop.is_unsure for shop in self.places.shops())

    @property
    def as_of(self) -> str:
        """The moment of the page's figures, in full."""
        return self.times.long(self.times.now, self.places.own_zone())

    @property
    def zone_name(self) -> str:
        """The name of the zone in which the page tells the time."""
        return str(self.places.own_zone())

    @property
    def initials(self) -> str:
        """Up to two letters for the person."""
        words = self.user.name.replace(".", " ").replace("@", " ").split()
        return "".join(word[0] for word in words[:2]).upper() or "?"


def framed(visit: Visit, current: str, levels: LevelsPage | None = None) -> Frame:
    """The frame of a page; `levels` spares asking how complete the locations are."""
    told: LevelsPage = visit.ask(ListLevels(skus=[], limit=1)) if levels is None else levels
    times = Times(told.now, visit.texts)
    places = Places(visit.ask(ListLocations()), told.completeness, told.incomplete, times, visit.texts)
    waiting = visit.ask(ListExceptions(params=ExceptionsParams(limit=1))).total + len(visit.ask(ListWaiting()))
    return Frame(visit.texts, visit.user, current, places, times, told.position, waiting, csrf_of(visit.request))
