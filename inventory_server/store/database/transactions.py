"""Transactions on the writing connection: retried as a whole, on a new connection if necessary."""

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

_RETRIED = {ErrorClass.RETRY, ErrorClass.RETRY_NEW_CONNECTION}
_DISCONNECTED = {ErrorClass.RETRY_NEW_CONNECTION, ErrorClass.COMMIT_UNKNOWN}


class StoreFatal(Exception):
    """The state on disk is unknown: the store must stop."""


class Transactions:
    """Runs transactions one after the other, on one thread; `forget` is called after each rollback."""

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
        self._is_unavailable = False
        self._connection: Connection | None = engine.connect()

    @property
    def connection(self) -> Connection:
        """The connection; opened again if the last one was closed after an error."""
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def run(self, job: Callable[[Connection], Any]) -> Any:
        """Run `job` in a transaction and return its result once it is durable.

        A transaction that can be retried is retried for `retry_seconds`, or tried once while the database is known to
        be unavailable. Raises the last error, OutcomeUnknown if it may be committed, StoreFatal.
        """
        until = self._timer() + (0 if self._is_unavailable else self._retry_seconds)
        pause = RETRY_FIRST_SECONDS
        while True:
            try:
                outcome = self._try(job)
            except DBAPIError as error:
                error_class = self._database.classify_error(error, committing=False)
                if error_class not in _RETRIED:
                    raise
                if self._timer() + pause > until or self._ending.wait(pause * random.uniform(0.5, 1)):
                    if error_class is ErrorClass.RETRY_NEW_CONNECTION:
                        self._note_unavailable(error)
                    raise
                pause = min(2 * pause, RETRY_MAX_SECONDS)
            else:
                self._note_available()
                return outcome

    def end(self) -> None:
        """Stop retrying: the server is shutting down."""
        self._ending.set()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _note_unavailable(self, error: DBAPIError) -> None:
        if not self._is_unavailable:
            self._is_unavailable = True
            log.error("event=database_unavailable error=%s", said_by(error))

    def _note_available(self) -> None:
        if self._is_unavailable:
            self._is_unavailable = False
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
        if error_class in _DISCONNECTED:
            self._disconnect()
            return
        try:
            if transaction is not None:
                transaction.rollback()
        except DBAPIError as error:
            if self._database.classify_error(error, committing=True) is ErrorClass.FATAL:
                raise StoreFatal(f"Cannot roll back: {error}") from error
            self._disconnect()  # closing rolls back, too

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
