"""`python -m tests.attack.honest TARGET LOG`: twenty honest tills, a new connection and everyday questions a second.

Each line of the log is a JSON array: when it began (seconds since 1970), what, how long it took (ms), the outcome, and
of a sale the till. It runs until its input ends; then each till gets the answer to its last sale, and it exits.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.attack.target import Client, Target, posting

TILLS = 20
RETRY_SECONDS = 0.5
"""How long an honest client waits before it tries again."""


class Honest:
    """All of them. Whatever fails is tried again; what it took counts from the first attempt."""

    def __init__(self, target: Target, log: Path) -> None:
        self._target = target
        self._log = log.open("w", buffering=1)
        self._lock = threading.Lock()  # guards the log
        self._ended = threading.Event()

    def run(self) -> None:
        """Trade until the standard input ends."""
        jobs: list[Callable[[], None]] = [lambda number=number: self._sell(number) for number in range(TILLS)]  # type: ignore[misc]
        jobs += [self._connect, lambda: self._ask("ask", sku="SKU-1", location="north")]
        jobs += [lambda: self._ask("list", location="north", limit=100)]
        threads = [threading.Thread(target=job) for job in jobs]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self._ended.set()
        for thread in threads:
            thread.join()

    def _note(self, kind: str, began: float, outcome: str, *more: Any) -> None:
        line = json.dumps([began, kind, round((time.time() - began) * 1_000, 2), outcome, *more])
        with self._lock:
            self._log.write(line + "\n")

    def _each_second(self, act: Callable[[], None]) -> None:
        at = time.monotonic()
        while not self._ended.is_set():
            act()
            at = max(at + 1, time.monotonic())
            self._ended.wait(at - time.monotonic())

    def _sell(self, number: int) -> None:
        """A till: one sale a second, each under its id until it is answered."""
        name, lineage, clients = f"honest-{number}", str(uuid.uuid4()), _Reconnecting(self._target)
        seq = 0
        time.sleep(number / TILLS)

        def sell() -> None:
            nonlocal seq
            seq += 1
            item = posting(seq=seq, lines=[{"sku": f"SKU-{number}", "quantity": 1}])
            began = time.time()
            outcome = None
            while outcome is None:
                try:
                    answer = clients.get(name, lineage=lineage).post(item)
                    outcome = answer["result"]["results"][0]["status"] if "result" in answer else None
                    if outcome is None and not answer["error"]["data"]["retryable"]:
                        outcome = answer["error"]["data"]["name"]
                except (OSError, ValueError) as error:
                    self._note("lost", began, f"{type(error).__name__}: {error}"[:80])
                    clients.drop()
                if outcome is None:
                    time.sleep(RETRY_SECONDS)
            self._note("post", began, outcome, name, item["id"])

        self._each_second(sell)
        clients.drop()

    def _connect(self) -> None:
        def connect() -> None:
            began = time.time()
            try:
                self._target.client("asker").close()
                self._note("fresh", began, "ok")
            except (OSError, ValueError) as error:
                self._note("fresh", began, f"{type(error).__name__}: {error}"[:80])

        self._each_second(connect)

    def _ask(self, kind: str, **params: Any) -> None:
        clients = _Reconnecting(self._target)

        def ask() -> None:
            began = time.time()
            try:
                answer = clients.get("asker").call("stock", **params)
                self._note(kind, began, "ok" if "result" in answer else answer["error"]["data"]["name"])
            except (OSError, ValueError) as error:
                self._note(kind, began, f"{type(error).__name__}: {error}"[:80])
                clients.drop()

        self._each_second(ask)
        clients.drop()


class _Reconnecting:
    """A client that connects when it has to."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._client: Client | None = None

    def get(self, terminal: str, **hello: Any) -> Client:
        if self._client is None:
            self._client = self._target.client(terminal, **hello)
        return self._client

    def drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


if __name__ == "__main__":
    Honest(Target.load(Path(sys.argv[1])), Path(sys.argv[2])).run()
