"""Clients that have not identified themselves, and TLS handshakes in progress: few at a time, the oldest goes first."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Protocol

from inventory_server.jsonserver.handler import Peer
from inventory_server.jsonserver.limits import EVICTIONS_LOGGED_SECONDS, NetworkLimits
from inventory_server.jsonserver.networks import Networks, site_of

log = logging.getLogger("tillwire.jsonserver")


class Newcomer(Protocol):
    """A connection whose client is unknown; all belongs to the loop's thread."""

    peer: Peer

    def is_idle(self) -> bool:
        """True unless a request of it is being answered."""

    def evict(self) -> None:
        """End it now, to make room for another one."""


class Newcomers:
    """The newcomers of a server, in order of arrival; bounded in all and, outside `trusted_networks`, by address."""

    def __init__(self, limits: NetworkLimits) -> None:
        self._most = limits.newcomers_max
        self._most_per_site = limits.newcomers_per_address_max
        self._trusted = Networks(limits.trusted_networks)
        # Guards the two below: a client is identified by whatever thread answers it.
        self._lock = threading.Lock()
        self._all: dict[Newcomer, None] = {}
        self._by_site: dict[str, dict[Newcomer, None]] = {}
        # Those that had to make room since that was last logged, and when that was.
        self._evicted = 0
        self._logged_at = -math.inf

    def make_room(self, peer: Peer) -> bool:
        """Have another newcomer from `peer` find room, by evicting the oldest idle one if need be.

        False where none is idle. Called on the loop's thread.
        """
        site = None if peer in self._trusted else site_of(peer)
        with self._lock:
            neighbours = {} if site is None else self._by_site.get(site, {})
            if len(neighbours) >= self._most_per_site:
                crowd = list(neighbours)
            elif len(self._all) >= self._most:
                crowd = list(self._all)
            else:
                return True
        return self._evict_oldest(crowd)

    def give_way(self) -> bool:
        """Evict the oldest idle newcomer; False where there is none. Called on the loop's thread."""
        with self._lock:
            crowd = list(self._all)
        return self._evict_oldest(crowd)

    def enter(self, newcomer: Newcomer) -> None:
        """Count a connection that has been accepted."""
        with self._lock:
            self._all[newcomer] = None
            if newcomer.peer not in self._trusted:
                self._by_site.setdefault(site_of(newcomer.peer), {})[newcomer] = None

    def leave(self, newcomer: Newcomer) -> None:
        """Count it no more: it has identified itself, or ended. For any thread."""
        with self._lock:
            if newcomer not in self._all:
                return
            del self._all[newcomer]
            if newcomer.peer not in self._trusted:
                site = site_of(newcomer.peer)
                neighbours = self._by_site[site]
                del neighbours[newcomer]
                if not neighbours:
                    del self._by_site[site]

    def _evict_oldest(self, crowd: list[Newcomer]) -> bool:
        for newcomer in crowd:
            if newcomer.is_idle():
                self._note_eviction(newcomer.peer)
                newcomer.evict()
                return True
        return False

    def _note_eviction(self, peer: Peer) -> None:
        self._evicted += 1
        if (now := time.monotonic()) >= self._logged_at + EVICTIONS_LOGGED_SECONDS:
            log.warning("event=newcomers_evicted count=%d last=%s", self._evicted, peer.address)
            self._evicted, self._logged_at = 0, now


class Handshakes:
    """The TLS handshakes in progress, at most `most`, the oldest first. All belongs to the loop's thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Newcomer, None] = {}

    def begin(self, newcomer: Newcomer) -> None:
        """Count another one, and end the oldest if these are too many."""
        if len(self._waiting) >= self._most:
            next(iter(self._waiting)).evict()
        self._waiting[newcomer] = None

    def end(self, newcomer: Newcomer) -> None:
        """It has succeeded, or ended; nothing where it never began."""
        self._waiting.pop(newcomer, None)
