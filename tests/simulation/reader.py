"""Somebody at HQ who looks at the stock now and then, over a connection of their own."""

from __future__ import annotations

from msgspec import Raw, UnsetType
from msgspec.json import encode as json

from pos_client.protocol.messages import HelloParams, Message, Request, StockParams, StockResult
from pos_client.protocol.units import micros, scaled
from pos_client.protocol.wire import decode_reply, decode_result, encode
from tests.simulation.book import Book, StockSeen
from tests.simulation.database import TOKEN
from tests.simulation.network import HqSide, Link, Network
from tests.simulation.world import World


class Reader:
    """Asks for all levels once; what it is told is compared with the model as of the position it was told."""

    def __init__(self, terminal: str, world: World, network: Network, hq: HqSide, book: Book) -> None:
        self._terminal = terminal
        self._world = world
        self._network = network
        self._hq = hq
        self._book = book

    def look(self) -> None:
        """Connect, say hello, ask; whatever goes wrong, there will be another time."""
        self._network.connect(self, self._hq)

    def connected(self, link: Link) -> None:
        """The connection stands."""
        self._ask(link, 1, "hello", HelloParams(self._terminal, TOKEN))

    def heard(self, link: Link, line: bytes) -> None:
        """HQ said something."""
        reply = decode_reply(line)
        if reply.id == 1:
            self._ask(link, 2, "stock", StockParams())
            return
        if not isinstance(reply.error, UnsetType):  # the hello was lost, the question was not
            return
        result = decode_result(reply, StockResult)
        self._world.reached("stock read")
        levels = {
            (item.location, item.sku): (scaled(item.on_hand), scaled(item.in_transit))
            for item in result.items
            if item.location
        }
        told = {
            location: micros(about.complete_to)
            for location, about in result.completeness.items()
            if about.complete_to is not None
        }
        if told:
            self._world.reached("complete_to told")
        self._book.seen.append(StockSeen(result.position, levels, told))
        self._network.drop_till_end(link)

    def lost(self, link: Link) -> None:
        """The connection is over."""

    def _ask(self, link: Link, number: int, method: str, params: Message) -> None:
        self._network.to_hq(link, encode(Request(method, Raw(json(params)), number, "2.0")))
