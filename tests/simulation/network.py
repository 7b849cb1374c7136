"""A network that loses, delays, doubles and re-orders frames, and cuts connections.

It is worse than TCP: what was sent on a connection may arrive hours after that connection is gone, which is
what a proxy, a retry layer or a kernel with full buffers can do. The protocol is to stand it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from tests.simulation.world import DAY, HOUR, MILLISECOND, MINUTE, SECOND, World

_LATE = ((1 * SECOND, 1 * MINUTE), (1 * MINUTE, 2 * HOUR), (1 * DAY, 3 * DAY))


class TillSide(Protocol):
    """What a device hears from its connection."""

    def connected(self, link: Link) -> None:
        """The connection stands."""

    def heard(self, link: Link, line: bytes) -> None:
        """HQ said `line`."""

    def lost(self, link: Link) -> None:
        """The connection is over, or was never opened."""


class HqSide(Protocol):
    """What HQ hears from the network."""

    def accept(self, link: Link) -> bool:
        """Somebody connects; False where nobody is there to take it."""

    def receive(self, link: Link, line: bytes) -> None:
        """A frame arrived on `link`."""


class Link:
    """One connection between a device and HQ. Either end may let go without the other knowing."""

    def __init__(self, number: int, till: TillSide, hq: HqSide) -> None:
        self.number = number
        self.till: TillSide | None = till
        self.hq: HqSide | None = hq
        self.answers_due = 0  # when the last answer under way will have arrived


class Network:
    """Carries connections and frames, as well as the weather allows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._links = 0
        self._age = 0
        self.in_flight = 0

    def connect(self, till: TillSide, hq: HqSide) -> Link:
        """Begin to open a connection; the device will hear what came of it."""
        self._links += 1
        link = Link(self._links, till, hq)
        self._world.at(self._delay(), f"connect {link.number}", self._open, link)
        return link

    def to_hq(self, link: Link, line: bytes) -> None:
        """Send a frame of the device."""
        self._send(link, line, "to hq", self._arrive_at_hq)

    def to_till(self, link: Link, line: bytes) -> None:
        """Send a frame of HQ."""
        self._send(link, line, "to till", partial(self._arrive_at_till, self._age))

    def forget_answers(self) -> None:
        """What HQ has said so far and nobody has read is lost."""
        self._age += 1

    def drop_till_end(self, link: Link) -> None:
        """The device has let go; HQ may not notice, and what is under way still arrives."""
        link.till = None

    def drop_hq_end(self, link: Link, told: bool) -> None:
        """HQ has let go; where `told` is false the device finds out by waiting in vain."""
        link.hq = None
        if told:
            delay = max(self._delay(), link.answers_due - self._world.now)
            self._world.at(delay, f"hang up {link.number}", self._hang_up, link)

    def _open(self, link: Link) -> None:
        refused = self._world.happens(self._world.weather.refused)
        if refused or link.hq is None or not link.hq.accept(link):
            link.hq = None
            self._hang_up(link)
        elif link.till is not None:
            link.till.connected(link)

    def _send(self, link: Link, line: bytes, way: str, arrive: Callable[[Link, bytes], None]) -> None:
        world, weather = self._world, self._world.weather
        if world.happens(weather.cut):
            world.reached("connection cut")
            if world.happens(0.5):
                self._hang_up(link)
            return
        copies = 1
        if world.happens(weather.doubled):
            world.reached("frame doubled")
            copies = 2
        for _ in range(copies):
            if world.happens(weather.lost):
                world.reached("frame lost")
                continue
            self.in_flight += 1
            delay = self._delay()
            if way == "to till":
                link.answers_due = max(link.answers_due, world.now + delay)
            world.at(delay, f"{way} {link.number} {len(line)}", arrive, link, line)

    def _arrive_at_hq(self, link: Link, line: bytes) -> None:
        self.in_flight -= 1
        if link.hq is not None:
            if link.till is None:
                self._world.reached("frame arrives after its device let go")
            link.hq.receive(link, line)

    def _arrive_at_till(self, age: int, link: Link, line: bytes) -> None:
        self.in_flight -= 1
        if link.till is not None and age == self._age:
            link.till.heard(link, line)

    def _hang_up(self, link: Link) -> None:
        if link.till is not None:
            link.till.lost(link)

    def _delay(self) -> int:
        world = self._world
        if world.happens(world.weather.late):
            world.reached("frame held up")
            return world.between(world.random.choice(_LATE))
        return max(MILLISECOND // 10, world.between(world.weather.delay))
