"""The tick clocks of the terminals that a commit touches: read with it, kept in the writer's cache, written with it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from inventory_server.config import Settings
from inventory_server.domain.requests import Bye, Hello, Item, Ping, Post, TerminalRequest, terminal_of
from inventory_server.domain.roles import Speaker
from inventory_server.domain.tick_clock import Boot, ClockLimits, Contacts, Effective, TerminalClock
from inventory_server.store.write.cache import WriterCache
from inventory_server.store.write.statements import Statements
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import SECOND_MICROS

_DAY_MICROS = 86_400 * SECOND_MICROS
_contacts_decoder = msgspec.json.Decoder(Contacts)


def clock_limits(settings: Settings) -> ClockLimits:
    """The limits of clocks as an operator set them."""
    return ClockLimits(settings.clock_tolerance_seconds * SECOND_MICROS, settings.clock_suspect_days * _DAY_MICROS)


class TickClocks:
    """The tick clocks of one commit. Terminals that never sent a tick have an empty one and cost no statement."""

    def __init__(self, statements: Statements, cache: WriterCache, limits: ClockLimits) -> None:
        self._sql = statements
        self._clocks = cache.tick_clocks
        self.limits = limits
        self._none = TerminalClock({}, limits)
        self._changed: set[tuple[str, bytes]] = set()
        self._forgotten: list[tuple[str, bytes]] = []

    def read(self, connection: Connection, works: list[TerminalRequest]) -> None:
        """Load the tick clocks of the terminals whose messages carry ticks."""
        names = {terminal_of(work) for work in works if _has_tick(work)}
        unknown = [(name,) for name in names if name not in self._clocks]
        for (name,) in unknown:
            self._clocks[name] = TerminalClock({}, self.limits)
        for name, boot_id, contacts, *rest in self._sql.boots(connection, unknown):
            self._clocks[name].boots[boot_id] = Boot(_contacts_decoder.decode(contacts), *rest)

    def of(self, terminal: str) -> TerminalClock:
        """The tick clock of a terminal."""
        return self._clocks.get(terminal, self._none)

    def contact(self, terminal: str, tick: Tick | None, received_at: int) -> None:
        """Note that a message sent at `tick` was received."""
        if tick is None:
            return
        clock = self._clocks[terminal]
        if clock.contact(tick, received_at):
            self._note_change(terminal, tick)
        if (oldest := clock.forget_oldest(tick)) is not None:
            self._changed.discard((terminal, oldest))
            self._forgotten.append((terminal, oldest))

    def told(self, terminal: str, tick: Tick | None, wall_clock: int, received_at: int) -> int:
        """Up to when the terminal of a `hello` or `ping` has told everything but what it says is pending."""
        at = self.of(terminal).told(tick, wall_clock, received_at)
        if tick is not None:
            self._note_change(terminal, tick)
        return at

    def effective(self, speaker: Speaker, item: Item, recorded_at: int) -> Effective:
        """When the posting of `item` takes effect; to be asked once, in ledger order, for each that is entered."""
        assert item.body is not None
        assert item.occurred_at is not None
        found = self.of(speaker.terminal).effective(
            item.tick,
            item.occurred_at,
            recorded_at,
            backdated=speaker.backdated,
            is_count=item.body.type == "count",
        )
        if item.tick is not None:
            self._note_change(speaker.terminal, item.tick)
        return found

    def _note_change(self, terminal: str, tick: Tick) -> None:
        """Have the boot of `tick` written, if it is one that HQ has heard of."""
        if tick.boot.bytes in self._clocks[terminal].boots:
            self._changed.add((terminal, tick.boot.bytes))

    def flush(self, connection: Connection) -> None:
        """Write what has changed."""
        for terminal, boot_id in self._forgotten:
            self._sql.forget_boot(connection, of_terminal=terminal, boot_id=boot_id)
        self._forgotten.clear()
        if self._changed:
            self._sql.put_boots(connection, [self._row(*key) for key in sorted(self._changed)])
            self._changed.clear()

    def _row(self, terminal: str, boot_id: bytes) -> tuple[object, ...]:
        boot = self._clocks[terminal].boots[boot_id]
        contacts = msgspec.json.encode(boot.contacts).decode()
        latest = (boot.tick_ms, boot.effective_at, boot.told_tick_ms, boot.told_at)
        return terminal, boot_id, contacts, boot.last_minute, *latest


def received_at(said: Hello | Ping | Post, now: int) -> int:
    """When a message was received. It may have waited long for its commit, at `now`."""
    return now if said.received_at is None else min(said.received_at, now)


def _has_tick(work: TerminalRequest) -> bool:
    if isinstance(work, Bye):
        return False
    return work.tick is not None or (isinstance(work, Post) and any(item.tick is not None for item in work.items))
