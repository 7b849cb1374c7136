"""Notices, on every server of a ledger, that a terminal was revoked or got a new token."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from inventory_server.config import REVOCATIONS_PAGE, REVOCATIONS_SECONDS
from inventory_server.domain.answers import AuditEntry
from inventory_server.domain.requests import REQUESTS, ListAudit, RevokeTerminal, RotateToken
from inventory_server.domain.roles import HEADQUARTERS
from pos_client.protocol.errors import TillwireError

log = logging.getLogger("tillwire.store")

_ENDING = frozenset(REQUESTS[each].name for each in (RevokeTerminal, RotateToken))


class Revocations:
    """Reads the audit trail every `REVOCATIONS_SECONDS`: each server of a ledger writes it in the change itself.

    `ask` asks the store; `hang_up` is called with the name of each terminal and when its access ended (microseconds).
    """

    def __init__(self, ask: Callable[[ListAudit], Any], hang_up: Callable[[str, int], None]) -> None:
        self._ask = ask
        self._hang_up = hang_up
        self._seen: int | None = None
        self._is_failing = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tillwire-revocations", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Hang up on the terminals whose access ended since the last look; the first one finds none."""
        try:
            news = list(self._news())
        except TillwireError as error:  # the database is away: what happened is read later
            if not self._is_failing:
                log.warning("event=revocations_not_read error=%s", error)
            self._is_failing = True
            return
        self._is_failing = False
        for entry in reversed(news if self._seen is not None else []):
            if entry.request in _ENDING and entry.outcome == "done":
                self._hang_up(json.loads(entry.arguments)["terminal"], entry.at)
        self._seen = max([self._seen or 0, *(entry.id for entry in news)])

    def _news(self) -> Iterator[AuditEntry]:
        """The entries since the last look, the latest first; of the first look the latest one."""
        before: int | None = None
        while True:
            page = self._ask(ListAudit(REVOCATIONS_PAGE if self._seen is not None else 1, before, actor=HEADQUARTERS))
            for entry in reversed(page):
                if self._seen is not None and entry.id <= self._seen:
                    return
                yield entry
            if not page or self._seen is None:
                return
            before = page[0].id

    def _run(self) -> None:
        self.look()
        while not self._closing.wait(REVOCATIONS_SECONDS):
            self.look()
