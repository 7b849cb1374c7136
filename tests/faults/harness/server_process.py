"""A server under test: the production command `inventory-server serve`, started from outside with switches around it.

Production code has no switch of its own. What is needed (a clock that jumps, a kill at a named point, a broken
variant for a positive control) is wrapped around it here, before it starts.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from inventory_server import store
from inventory_server.commands.main import inventory_server
from inventory_server.domain.door import OnOutcome, Outcome, Pending, Progress, no_progress
from inventory_server.domain.requests import Change, Post
from inventory_server.store.database import sqlite
from inventory_server.store.ledger import sql
from inventory_server.store.write import writer
from inventory_server.store.write.writer import Writer
from tests.faults.harness import control, shim
from tests.faults.harness.patching import put
from tests.faults.harness.server_mutants import MUTANTS

POINTS = ("after_insert", "before_commit", "after_commit", "before_answer")
"""Where a server can be told to kill itself: around the commit of a frame of new postings."""
BUSY_TIMEOUT_MS = 300
STORAGE_RETRY_MS = 100


class Switches:
    """What the harness may change in a running server; asked on the control thread, obeyed on the server's own."""

    def __init__(self) -> None:
        self._clock_offset_micros = 0
        self._armed: tuple[str, int] | None = None
        self._inserted = False
        self._lock = threading.Lock()  # guards the countdown of the armed point

    def answer(self, request: Mapping[str, Any]) -> Any:
        """Carry out one request of the harness."""
        if "clock_offset_seconds" in request:
            self._clock_offset_micros = int(request["clock_offset_seconds"] * 1_000_000)
        if "kill_at" in request:
            self._armed = (request["kill_at"], request["countdown"])
        if "fail" in request:
            shim.fail(*request["fail"])
        return {"failures": shim.failures()} if shim.is_loaded() else {}

    def install(self) -> None:
        """Wrap the clock and the named points."""
        real = time.time_ns
        time.time_ns = lambda: real() + self._clock_offset_micros * 1_000
        execute = sql.run

        def execute_(connection: Any, text: str, *rest: Any) -> Any:
            rows = execute(connection, text, *rest)
            if text.startswith("INSERT INTO posting "):
                self._inserted = True
                self._reached("after_insert")
            return rows

        put(sql, run=execute_)
        event.listen(Engine, "commit", self._before_commit)
        transact, submit = Writer._transact, store.LedgerStore.submit

        def transact_(writing: Writer, job: Callable[..., Any]) -> Any:
            self._inserted = False
            outcome = transact(writing, job)
            if self._inserted:
                self._reached("after_commit")
            return outcome

        def submit_(
            opened: store.LedgerStore, work: Change, then: OnOutcome | None = None, progress: Progress = no_progress
        ) -> Pending:
            def then_(outcome: Outcome, error: Exception | None) -> None:
                if error is None and isinstance(work, Post):
                    self._reached("before_answer")
                assert then is not None
                then(outcome, error)

            return submit(opened, work, then and then_, progress)

        put(Writer, _transact=transact_)
        put(store.LedgerStore, submit=submit_)

    def _before_commit(self, _connection: Any) -> None:
        if self._inserted:
            self._reached("before_commit")

    def _reached(self, point: str) -> None:
        with self._lock:
            if self._armed is None or self._armed[0] != point:
                return
            left = self._armed[1] - 1
            self._armed = (point, left)
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def run(options: Mapping[str, Any]) -> int:
    """Serve until killed or told to stop; the exit code is the command's."""
    switches = Switches()
    switches.install()
    switches.answer({"clock_offset_seconds": options.get("clock_offset_seconds", 0)})
    sqlite.SQLITE_BUSY_MS = BUSY_TIMEOUT_MS  # type: ignore[attr-defined]
    put(writer, STORAGE_RETRY_MS=STORAGE_RETRY_MS)
    if shim.is_loaded():
        shim.scope(options["db"])
    for name in options.get("mutants", ()):
        MUTANTS[name](options)
    control.serve(options["control"], switches.answer)
    arguments = ["serve", "--db", f"sqlite:///{options['db']}", "--config", options["config"]]
    arguments += ["--dev"] if options["dev"] else []
    host = options.get("host", "127.0.0.1")
    arguments += ["--listen", f"{host}:{options['port']}", "--allow-plaintext", f"{host}/32"]
    return int(inventory_server.main(arguments, standalone_mode=False))
