"""An administrator's access to a ledger, whether or not a server is running on it.

Queries read the database directly. A change is made by this process if no server runs on the ledger, else by that
server, over its control socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import msgspec

from inventory_server.admin.control_client import ask_server, connected
from inventory_server.admin.control_paths import control_paths
from inventory_server.admin.methods import OFFERED
from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.domain.door import Outcome, OutcomeUnknown, Progress, no_progress, perform
from inventory_server.domain.requests import REQUESTS, Administrative, Question
from inventory_server.domain.roles import User
from inventory_server.store import LedgerReader, StoreError, StoreInUse, open_reader, open_store, shown
from pos_client.protocol.errors import ConnectionLost, RequestError

_CarryOut = Callable[[Administrative, Progress], Outcome]


class Office:
    """The ledger of `url`, for queries and changes by `actor`; opened when first used."""

    def __init__(self, url: str, settings: Settings, clock: Clock, actor: User) -> None:
        self._url = url
        self._settings = replace(settings, accept_weak_durability=True)  # no till is answered here
        self._clock = clock
        self._actor = actor
        self._opened = ExitStack()
        self._reader: LedgerReader | None = None
        self._carry_out: _CarryOut | None = None

    def ask(self, question: Question, progress: Progress = no_progress) -> Outcome:
        """The answer to a query; StoreError or RequestError if there is none."""
        if self._reader is None:
            self._reader = self._opened.enter_context(open_reader(self._url, self._settings, self._clock))
        return self._reader.ask(msgspec.structs.replace(question, actor=self._actor), progress)

    def ask_servers(self, question: Question) -> list[Outcome]:
        """What each process of this machine that serves the ledger answers; StoreError if there is none."""
        with control_paths(self._url) as paths:
            if not paths:
                raise StoreError(
                    f"No server of {shown(self._url)} was found on this machine. Run this where one runs, as its user "
                    "and with its --db; the log of each server names its own clients."
                )
            return [self._ask_server(path, question) for path in paths]

    def _ask_server(self, path: str, question: Question) -> Outcome:
        connection = connected(path, self._actor)
        try:
            return ask_server(connection, question)
        except (ConnectionLost, RequestError) as error:
            raise StoreError(str(error)) from error
        finally:
            connection.close()

    def change(self, change: Administrative, progress: Progress = no_progress) -> Outcome:
        """Carry out a change and return its outcome; StoreError with the reason if that fails."""
        if self._carry_out is None:
            self._carry_out = self._open_writer(change)
        try:
            return self._carry_out(msgspec.structs.replace(change, actor=self._actor), progress)
        except (OutcomeUnknown, ConnectionLost) as error:
            raise StoreError(f"Outcome unknown: it may have been applied ({error}). Check before retrying.") from error
        except RequestError as error:  # a running server's refusal, or the server is stopping
            raise StoreError(str(error)) from error

    def _only_path(self) -> str:
        [path] = self._opened.enter_context(control_paths(self._url))
        return path

    def close(self) -> None:
        """Close the ledger."""
        self._opened.close()

    def _open_writer(self, first: Administrative) -> _CarryOut:
        try:
            even_if_moved = REQUESTS[type(first)].on_moved_ledger
            store = open_store(self._url, self._settings, self._clock, even_if_moved=even_if_moved)
        except StoreInUse:
            if type(first) not in OFFERED:  # this change needs the server stopped
                raise
            connection = connected(self._only_path(), self._actor)
            self._opened.callback(connection.close)
            return partial(ask_server, connection)
        self._opened.callback(store.close)
        return partial(perform, store)


@contextmanager
def open_office(url: str, settings: Settings, clock: Clock, actor: User) -> Iterator[Office]:
    """The office of the ledger of `url`; StoreError with the reason if it cannot be opened."""
    office = Office(url, settings, clock, actor)
    try:
        yield office
    finally:
        office.close()
