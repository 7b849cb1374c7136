"""The writer's connection, and the transactions on it: repeated as a whole where the database asks for that."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, Transaction
from sqlalchemy.exc import DBAPIError

from inventory_server.config import RETRY_FIRST_SECONDS, RETRY_MAX_SECONDS
from inventory_server.domain.door import OutcomeUnknown
from inventory_server.store.database.base import ErrorClass, TransactionBackend, said_by

log = logging.getLogger("tillwire.store")

_REPEATED = {ErrorClass.RETRY, ErrorClass.RETRY_NEW_CONNECTION}
_HANGS_UP = {ErrorClass.RETRY_NEW_CONNECTION, ErrorClass.COMMIT_UNKNOWN}


class StoreFatal(Exception):
    """Nobody can say what is on disk: the store must not go on."""


class Transactions:
    """Runs one transaction after another, on one thread. `forget` is called whenever one did not happen."""

    def __init__(
        self,
        engine: Engine,
        database: TransactionBackend,
        forget: Callable[[], None],
        retry_seconds: float,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._database = database
        self._forget = forget
        self._retry_seconds = retry_seconds
        self._timer = timer
        self._ending = threading.Event()
        self._is_out = False
        self._connection: Connection | None = engine.connect()

    @property
    def connection(self) -> Connection:
        """The connection, made anew where the last one was hung up."""
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def run(self, job: Callable[[Connection], Any]) -> Any:
        """Run `job` in a transaction of its own and return what it returns, once that is durable.

        A transaction that the database broke off is repeated for `retry_seconds`; while the database is known to be
        out, it is tried once. Raises what the last try met, OutcomeUnknown where it may be committed, StoreFatal.
        """
        until = self._timer() + (0 if self._is_out else self._retry_seconds)
        pause = RETRY_FIRST_SECONDS
        while True:
            try:
                outcome = self._try(job)
            except DBAPIError as error:
                error_class = self._database.classify_error(error, committing=False)
                if error_class not in _REPEATED:
                    raise
                if self._timer() + pause > until or self._ending.wait(pause * random.uniform(0.5, 1)):
                    if error_class is ErrorClass.RETRY_NEW_CONNECTION:
                        self._note_out(error)
                    raise
                pause = min(2 * pause, RETRY_MAX_SECONDS)
            else:
                self._note_back()
                return outcome

    def end(self) -> None:
        """Repeat nothing any more."""
        self._ending.set()

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()

    def _note_out(self, error: DBAPIError) -> None:
        if not self._is_out:
            self._is_out = True
            log.error("event=database_unavailable error=%s", said_by(error))

    def _note_back(self) -> None:
        if self._is_out:
            self._is_out = False
            log.warning("event=database_available")

    def _try(self, job: Callable[[Connection], Any]) -> Any:
        transaction: Transaction | None = None
        committing = False
        try:
            connection = self.connection
            transaction = connection.begin()
            outcome = job(connection)
            committing = True
            self._database.commit(transaction)
        except Exception as error:
            error_class = self._database.classify_error(error, committing)
            if error_class is ErrorClass.FATAL:
                raise StoreFatal(str(error)) from error
            self._undo(transaction, error_class)
            if error_class is ErrorClass.COMMIT_UNKNOWN:
                raise OutcomeUnknown(str(error)) from error
            raise
        return outcome

    def _undo(self, transaction: Transaction | None, error_class: ErrorClass) -> None:
        self._forget()
        if error_class in _HANGS_UP:
            self._hang_up()
            return
        try:
            if transaction is not None:
                transaction.rollback()
        except DBAPIError as error:
            if self._database.classify_error(error, committing=True) is ErrorClass.FATAL:
                raise StoreFatal(f"Cannot roll back: {error}") from error
            self._hang_up()  # which undoes as well

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
