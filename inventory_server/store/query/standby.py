"""Fallback reader: questions go to a standby while it works and holds the primary's ledger, else to the primary."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from inventory_server.config import STANDBY_RETRY_SECONDS, Settings
from inventory_server.domain.door import Outcome, Progress, no_progress
from inventory_server.domain.requests import ListAudit, ListCodes, Question
from inventory_server.store.database import schema
from inventory_server.store.database.base import Database, ErrorClass, OtherLedger, StoreError, said_by
from inventory_server.store.ledger import tables as t
from inventory_server.store.query.service import QueryService
from pos_client.protocol.errors import ErrorCode, RequestError

log = logging.getLogger("tillwire.store")

# A code is made a moment ago, and used once: a standby may lack a new one, or offer a used one. The audit trail tells
# every server whose access has ended: while a standby lags, a revoked till would go on.
_OF_THE_PRIMARY = (ListCodes, ListAudit)
_OF_IDENTITIES = {ErrorCode.forbidden, ErrorCode.unauthenticated}
_NOT_ITS_FAULT = {ErrorClass.RETRY, ErrorClass.WORK_FAILED}


class FallbackReader:
    """Answers from the standby `database`, or from `primary` while the standby fails. `timer` returns seconds."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Callable[[], int],
        primary: QueryService,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._engine = database.standby_engine()
        self._standby = QueryService(database, self._connect, settings, clock, primary.answers, primary.shortcuts)
        self._primary = primary
        self._timer = timer
        # Guards `_reason` (why the standby is skipped, None while it works) and `_next_look`; never held while waiting.
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._next_look = 0.0

    def start(self) -> None:
        """Probe the standby, which may be down; OtherLedger if it holds a different ledger from the primary's."""
        error = self._look()
        if isinstance(error, OtherLedger):
            raise error

    def answer(self, question: Question, progress: Progress = no_progress) -> Outcome:
        """The answer to a question; RequestError for what the protocol has a name for."""
        if not isinstance(question, _OF_THE_PRIMARY) and self._is_well():
            try:
                return self._standby.ask(question, progress)
            except RequestError as error:
                if error.code not in _OF_IDENTITIES:  # a terminal enrolled a moment ago may not be replicated yet
                    raise
            except StoreError as error:
                self._leave_out(error)
            except DBAPIError as error:
                if self._database.classify_error(error, committing=False) not in _NOT_ITS_FAULT:
                    self._leave_out(error)
        return self._primary.answer(question, progress)

    def close(self) -> None:
        """Close all connections to the standby, once every question has been answered."""
        self._standby.close()
        self._engine.dispose()

    def _is_well(self) -> bool:
        with self._lock:
            if self._reason is None:
                return True
            if self._timer() < self._next_look:
                return False
            self._next_look = self._timer() + STANDBY_RETRY_SECONDS  # meanwhile the other threads skip it
        return self._look() is None

    def _look(self) -> StoreError | None:
        """Connect, and note the result."""
        try:
            self._proven_connection().close()
        except StoreError as error:
            self._note(error)
            return error
        self._note(None)
        return None

    def _leave_out(self, error: Exception) -> None:
        if self._reason is None:  # else another thread has noted it
            self._note(error)
            self._standby.renew()

    def _note(self, error: Exception | None) -> None:
        reason = None if error is None else said_by(error)
        with self._lock:
            before, self._reason = self._reason, reason
            self._next_look = self._timer() + STANDBY_RETRY_SECONDS
        if reason is not None and reason != before:
            log.error("event=standby_unavailable standby=%s error=%s", self._standby.shown, reason)
        elif reason is None and before is not None:
            log.warning("event=standby_available standby=%s", self._standby.shown)

    def _connect(self) -> Connection:
        if self._reason is not None:  # it failed while this thread waited for a connection
            raise StoreError(self._reason)
        return self._proven_connection()

    def _proven_connection(self) -> Connection:
        """A new connection that is proven to hold the primary's ledger; StoreError if it does not or cannot tell."""
        self._database.assert_exists()
        with self._database.explained():
            connection = self._engine.connect()
            try:
                with connection.begin():
                    schema.assert_schema(connection, self._database)
                    self._assert_same_ledger(connection)
            except (DBAPIError, StoreError):
                connection.invalidate()
                connection.close()
                raise
            return connection

    def _assert_same_ledger(self, connection: Connection) -> None:
        newest = select(t.posting.c.position, t.posting.c.id).order_by(t.posting.c.position.desc()).limit(1)
        last = connection.execute(newest).first()
        if last is None:
            return
        known = self._primary.id_at(last.position)
        if known is None:
            raise StoreError(
                f"{self._standby.shown} has a posting at position {last.position:,}, and {self._primary.shown} has none"
                " yet; if this persists, rebuild the standby from its primary."
            )
        if known != last.id:
            raise OtherLedger(
                f"{self._standby.shown} does not hold the ledger of {self._primary.shown}: its posting at position"
                f" {last.position:,} is a different one; name a standby of that database."
            )
