"""The observer's way to the ledger: questions by read-only connections, changes by the server that writes it."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Protocol

import msgspec

from inventory_server.admin.control_client import ask_server, connected
from inventory_server.admin.control_paths import control_paths
from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.domain.door import Outcome
from inventory_server.domain.requests import Administrative, Question, ShowObserver
from inventory_server.domain.roles import User
from inventory_server.store import LedgerReader, StoreError, open_reader, shown
from pos_client.protocol.errors import ConnectionLost, RequestError, TillwireError

OBSERVER = User("observer", "admin", "here")
"""The observer as an actor."""


class LedgerAway(TillwireError):
    """The ledger cannot be read now, or no server changes it; whoever asks again later may be luckier."""


class ObserverReplaced(TillwireError):
    """Another process observes the ledger from now on."""


class LedgerAccess(Protocol):
    """Asks and changes as the observer; thread-safe. Both raise `LedgerAway`, `change` also `ObserverReplaced`."""

    def ask(self, question: Question) -> Outcome:
        """The answer to a question."""

    def change(self, change: Administrative) -> Outcome:
        """The outcome of a change; where that is unknown, what is noted twice changes nothing."""


class ObservedLedger:
    """The ledger of `url`, observed by the process `owner`; opened when it is first asked."""

    def __init__(self, url: str, settings: Settings, clock: Clock, owner: str) -> None:
        self._url = url
        self._settings = settings
        self._clock = clock
        self._owner = owner
        self._lock = threading.Lock()
        self._reader: LedgerReader | None = None  # guarded by `_lock`

    def ask(self, question: Question) -> Outcome:
        """The answer to a question; LedgerAway if there is none now."""
        try:
            return self._opened().answer(msgspec.structs.replace(question, actor=OBSERVER))
        except (StoreError, RequestError) as error:
            raise LedgerAway(str(error)) from error

    def change(self, change: Administrative) -> Outcome:
        """Have a server of this machine carry out a change; LedgerAway if none can, or the outcome is unknown."""
        made = msgspec.structs.replace(change, actor=OBSERVER)
        with control_paths(self._url) as paths:
            if not paths:
                raise LedgerAway(f"no server of {shown(self._url)} runs on this machine")
            try:
                with closing(connected(paths[0], OBSERVER, OBSERVER.source)) as connection:
                    return ask_server(connection, made)
            except (StoreError, ConnectionLost) as error:
                raise LedgerAway(str(error)) from error
            except RequestError as error:
                self._assert_observing(error)
                raise LedgerAway(str(error)) from error

    def close(self) -> None:
        """Close the ledger, once every question has been answered."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()

    def _opened(self) -> LedgerReader:
        with self._lock:
            if self._reader is None:
                self._reader = open_reader(self._url, self._settings, self._clock)
            return self._reader

    def _assert_observing(self, refusal: RequestError) -> None:
        if self.ask(ShowObserver()).owner != self._owner:
            raise ObserverReplaced("Another process observes this ledger now, perhaps on another machine.") from refusal
