"""What happens to the chain: each event breaks something and returns what an operator does about it afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from examples.ha.layout import MACHINES
from examples.ha.processes import children
from tests.ha.chain import Chain

LAG_SECONDS = 2.0
KEY_SECONDS = 25.0
"""Longer than Patroni's ttl."""
Mend = Callable[[], None]


@dataclass(frozen=True)
class Event:
    """One thing that may happen; `strike` does it."""

    name: str
    strike: Callable[[Chain], Mend]
    kills_primary: bool = True


def _nothing() -> None:
    """Patroni mends it."""


def _kill_postgres(chain: Chain) -> Mend:
    chain.cluster.kill_postgres(chain.cluster.primary())
    return _nothing


def _kill_machine(chain: Chain) -> Mend:
    number = chain.cluster.primary()
    chain.cluster.kill_machine(number)
    return lambda: chain.cluster.start_machine(number)


def _kill_machine_ahead(chain: Chain) -> Mend:
    """The standbys hear nothing for a while, then the primary dies: what only it has is gone with it."""
    for process in children(chain.cluster.postmaster(chain.cluster.primary()).pid):
        if b"walsender" in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            os.kill(process.pid, signal.SIGSTOP)
    time.sleep(LAG_SECONDS)
    return _kill_machine(chain)


def _switch_over(chain: Chain) -> Mend:
    chain.cluster.switch_over()
    return _nothing


def _freeze(chain: Chain) -> Mend:
    """The machine stands still, its connections with it, and wakes up as if nothing had happened."""
    frozen = chain.cluster.everything_on(chain.cluster.primary())
    for process in frozen:
        process.signal(signal.SIGSTOP)

    def mend() -> None:
        for process in frozen:
            process.signal(signal.SIGCONT)

    return mend


def _kill_patroni(chain: Chain) -> Mend:
    """The primary lives on, deposed without knowing it."""
    number = chain.cluster.primary()
    chain.cluster.kill_patroni(number)
    return lambda: chain.cluster.start_machine(number)


def _kill_etcd(chain: Chain) -> Mend:
    """Without a majority nobody can be made primary; the one there is stays, also when its key would have run out."""
    gone = [number for number in MACHINES if number != chain.cluster.primary()]
    for number in gone:
        chain.cluster.kill_etcd(number)
    time.sleep(KEY_SECONDS)

    def mend() -> None:
        for number in gone:
            chain.cluster.start_machine(number)

    return mend


def _kill_server(number: int) -> Callable[[Chain], Mend]:
    def strike(chain: Chain) -> Mend:
        chain.kill_server(number)
        return lambda: chain.start_server(number)

    return strike


POSTGRES = Event("primary's PostgreSQL killed", _kill_postgres)
MACHINE = Event("primary's machine killed", _kill_machine)
MACHINE_AHEAD = Event(f"same, its standbys {LAG_SECONDS:.0f} s behind", _kill_machine_ahead)
SWITCHOVER = Event("planned switchover", _switch_over, kills_primary=False)
FREEZE = Event("primary's machine frozen", _freeze, kills_primary=False)
PATRONI = Event("primary's Patroni killed", _kill_patroni, kills_primary=False)
ETCD = Event("two of three etcd killed", _kill_etcd, kills_primary=False)


def sequence(kills: int) -> Iterator[Event]:
    """Events in turn, until the primary has been killed so many times."""
    turns = (POSTGRES, MACHINE, POSTGRES, MACHINE_AHEAD)
    between = (SWITCHOVER, _server(1), PATRONI, FREEZE, SWITCHOVER, _server(2), ETCD)
    for number in range(kills):
        yield turns[number % len(turns)]
        if number % 2:
            yield between[number // 2 % len(between)]


def _server(number: int) -> Event:
    return Event("Tillwire server killed", _kill_server(number), kills_primary=False)
