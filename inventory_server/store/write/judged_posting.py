"""A posting that is being judged, with everything that its rules need, and why one can never be accepted."""

from __future__ import annotations

import msgspec

from inventory_server.domain.inventory import totals_of
from inventory_server.domain.limits import FIGURE_MAX
from inventory_server.domain.requests import FigureTooLarge, Item
from inventory_server.domain.roles import Speaker
from inventory_server.domain.tick_clock import Effective
from pos_client.protocol.messages import Body
from pos_client.protocol.units import unscaled


def too_large(figure: str) -> FigureTooLarge:
    """The error of a posting after which `figure` would leave 64 bits."""
    return FigureTooLarge(f"{figure} would exceed {unscaled(FIGURE_MAX):,}, the most that HQ can count")


class Refusal(Exception):
    """A posting that can never be accepted: a code for programs and a reason for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class JudgedPosting(msgspec.Struct, frozen=True, gc=False):
    """A posting with everything that its rules need."""

    item: Item
    body: Body
    speaker: Speaker
    location: str
    position: int
    recorded_at: int
    effective: Effective

    @property
    def order(self) -> tuple[int, int]:
        """Its place in the order of events."""
        return self.effective.at, self.position

    @property
    def lines(self) -> list[tuple[str, int]]:
        """Its (sku, quantity)."""
        return self.item.lines

    @property
    def totals(self) -> dict[str, int]:
        """Its quantities by SKU."""
        return totals_of(self.lines)

    @property
    def is_till(self) -> bool:
        """True if a till posted it: tills may post where they are or were, operators anywhere."""
        return self.speaker.role == "till"

    @property
    def places(self) -> tuple[str, ...]:
        """Where it was made, and where it sends goods to."""
        if self.body.type == "transfer_out" and isinstance(self.body.other_location, str):
            return self.location, self.body.other_location
        return (self.location,)
