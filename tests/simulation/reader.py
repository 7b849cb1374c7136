"""Somebody at HQ who looks at the stock now and then, over a connection of their own."""

from __future__ import annotations

from msgspec import UNSET, Raw, UnsetType
from msgspec.json import encode as json

from pos_client.protocol.messages import HelloParams, Message, Request, StockParams, StockResult
from pos_client.protocol.units import micros, scaled
from pos_client.protocol.wire import decode_reply, decode_result, encode
from tests.simulation.book import Book, StockSeen
from tests.simulation.database import TOKEN
from tests.simulation.network import HqSide, Link, Network
from tests.simulation.world import SECOND, Violation, World

PAGES = (2, 2, 100)
"""Levels on a page: mostly few, so that tills post between two of them."""


class Look:
    """One question in pages of `limit` levels: the number of the last request, and what was told so far."""

    def __init__(self, limit: int) -> None:
        self.request = 1
        self.limit = limit
        self.position = 0
        self.levels: dict[tuple[str, str], tuple[int, int]] = {}
        self.complete_to: dict[str, int] = {}

    def read(self, page: StockResult) -> None:
        """Add a page; all of them must be as of one position."""
        if self.position and page.position != self.position:
            raise Violation("snapshot", f"a page as of {page.position} follows one as of {self.position}")
        self.position = page.position
        for item in page.items:
            if item.location:
                self.levels[item.location, item.sku] = (scaled(item.on_hand), scaled(item.in_transit))
        for location, about in page.completeness.items():
            if about.complete_to is not None:
                told = micros(about.complete_to)
                self.complete_to[location] = max(told, self.complete_to.get(location, told))


class Reader:
    """Asks for all levels, page by page; what it is told is compared with the model as of the position it was told."""

    def __init__(self, terminal: str, world: World, network: Network, hq: HqSide, book: Book) -> None:
        self._terminal = terminal
        self._world = world
        self._network = network
        self._hq = hq
        self._book = book
        self._looks: dict[int, Look] = {}

    def look(self) -> None:
        """Connect, say hello, ask; whatever goes wrong, there will be another time."""
        self._look(self._world.random.choice(PAGES))

    def glance(self) -> None:
        """Look at one page that has everything."""
        self._look(max(PAGES))

    def _look(self, limit: int) -> None:
        self._looks[self._network.connect(self, self._hq).number] = Look(limit)

    def connected(self, link: Link) -> None:
        """The connection stands."""
        self._ask(link, 1, "hello", HelloParams(self._terminal, TOKEN))

    def heard(self, link: Link, line: bytes) -> None:
        """HQ said something."""
        reply, look = decode_reply(line), self._looks[link.number]
        if reply.id != look.request or not isinstance(reply.error, UnsetType):
            return  # an answer that comes twice; or the hello was lost, the question was not
        cursor: str | None = None
        if look.request > 1:
            page = decode_result(reply, StockResult)
            look.read(page)
            cursor = page.cursor
            if cursor is None:
                self._saw(link, look)
                return
            self._world.reached("later page asked for")
        look.request += 1
        params = StockParams(limit=look.limit, cursor=UNSET if cursor is None else cursor)
        pause = 0 if cursor is None else self._world.between((0, 5 * SECOND))
        self._world.at(pause, "reader turns the page", self._ask, link, look.request, "stock", params)

    def lost(self, link: Link) -> None:
        """The connection is over."""

    def _saw(self, link: Link, look: Look) -> None:
        self._world.reached("stock read")
        if look.complete_to:
            self._world.reached("complete_to told")
        self._book.seen.append(StockSeen(look.position, look.levels, look.complete_to))
        self._network.drop_till_end(link)

    def _ask(self, link: Link, number: int, method: str, params: Message) -> None:
        self._network.to_hq(link, encode(Request(method, Raw(json(params)), number, "2.0")))
