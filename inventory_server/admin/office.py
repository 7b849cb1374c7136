"""An administrator's way to a ledger, whether or not a server is running on it.

Questions are answered from the database itself. Changes are carried out here where this process may write, else by the
server that does, asked over its control socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import msgspec

from inventory_server.admin.control_socket import control_path
from inventory_server.admin.methods import ACT_AS, OFFERED, ActAs, fields_of
from inventory_server.clock import Clock
from inventory_server.config import CONTROL_LONG_REPLY_SECONDS, CONTROL_REPLY_SECONDS, Settings
from inventory_server.domain.door import Outcome, OutcomeUnknown, Progress, no_progress, perform
from inventory_server.domain.requests import REQUESTS, Administrative, Cost, Question
from inventory_server.domain.roles import User
from inventory_server.store import LedgerReader, StoreError, StoreInUse, open_reader, open_store
from pos_client.protocol.errors import ConnectionLost, RequestError
from pos_client.transport.connection import Connection

_CarryOut = Callable[[Administrative, Progress], Outcome]


class Office:
    """The ledger of `url`, for questions and changes of `actor`. Opens what it needs when it is first needed."""

    def __init__(self, url: str, settings: Settings, clock: Clock, actor: User) -> None:
        self._url = url
        self._settings = replace(settings, accept_weak_durability=True)  # no till is answered here
        self._clock = clock
        self._actor = actor
        self._opened = ExitStack()
        self._reader: LedgerReader | None = None
        self._carry_out: _CarryOut | None = None

    def ask(self, question: Question, progress: Progress = no_progress) -> Outcome:
        """The answer to a question; StoreError or RequestError where there is none."""
        if self._reader is None:
            self._reader = self._opened.enter_context(open_reader(self._url, self._settings, self._clock))
        return self._reader.ask(msgspec.structs.replace(question, actor=self._actor), progress)

    def change(self, change: Administrative, progress: Progress = no_progress) -> Outcome:
        """Carry out a change and return its outcome; StoreError says in one sentence why it could not be.

        A running server tells no `progress`.
        """
        if self._carry_out is None:
            self._carry_out = self._open_writer(change)
        try:
            return self._carry_out(msgspec.structs.replace(change, actor=self._actor), progress)
        except (OutcomeUnknown, ConnectionLost) as error:
            raise StoreError(f"Outcome unknown: it may have been applied ({error}). Check before retrying.") from error
        except RequestError as error:  # of a server that is going down, or a running server's refusal
            raise StoreError(str(error)) from error

    def close(self) -> None:
        """Let go of the ledger."""
        self._opened.close()

    def _open_writer(self, first: Administrative) -> _CarryOut:
        try:
            store = open_store(self._url, self._settings, self._clock)
        except StoreInUse:
            if type(first) not in OFFERED:  # the server must be stopped for it
                raise
            path = self._opened.enter_context(control_path(self._url))
            connection = _connected(path, self._actor)
            self._opened.callback(connection.close)
            return lambda change, _: _ask_server(connection, change)
        self._opened.callback(store.close)
        return partial(perform, store)


def _connected(path: str, actor: User) -> Connection:
    """A connection to the server that writes the ledger, by its control socket."""
    try:
        connection = Connection.open(f"unix:{path}")
    except ConnectionLost as error:
        raise _no_answer(path, error) from error
    try:
        connection.ask(ACT_AS, ActAs(actor.name, actor.role), CONTROL_REPLY_SECONDS)
    except (ConnectionLost, RequestError) as error:
        connection.close()
        raise _no_answer(path, error) from error
    return connection


def _no_answer(path: str, error: Exception) -> StoreError:
    return StoreError(f"The program that uses this database did not answer at {path}: {error}")


def _ask_server(connection: Connection, change: Administrative) -> Outcome:
    kind = REQUESTS[type(change)]
    params = {name: getattr(change, name) for name in fields_of(type(change))}
    seconds = CONTROL_LONG_REPLY_SECONDS if kind.cost is Cost.LONG else CONTROL_REPLY_SECONDS
    return msgspec.convert(connection.ask(kind.name, params, seconds), kind.outcome)


@contextmanager
def open_office(url: str, settings: Settings, clock: Clock, actor: User) -> Iterator[Office]:
    """The office of the ledger of `url`; StoreError says in one sentence what is wrong with it."""
    office = Office(url, settings, clock, actor)
    try:
        yield office
    finally:
        office.close()
