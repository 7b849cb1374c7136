"""The threads that ask the store: answering waits for the database, which the loop must not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

from inventory_server.config import BATCH_THREADS, HELLO_THREADS, QUESTION_THREADS, QUESTIONS_WAITING_MAX, STOCK_THREADS
from inventory_server.domain.requests import CheckToken, Stock, StoreRequest
from inventory_server.jsonserver import WorkerPool

Asker = object
"""Whose work it is; it has one piece at a time."""
Task = Callable[[], None]


class FairThreads:
    """Runs work on at most `threads` threads, in turns by terminal: none has more than half of them at a time."""

    def __init__(self, threads: int, name: str, most_waiting: int) -> None:
        self._threads = threads
        self._share = max(1, threads // 2)
        self._most_waiting = most_waiting
        self._pool = WorkerPool(threads, name)
        # Guards all below.
        self._lock = threading.Lock()
        self._waiting: dict[str, dict[Asker, Task]] = {}  # by terminal, whoever's turn it is first
        self._terminals: dict[Asker, str] = {}  # of all that wait
        self._running: Counter[str] = Counter()

    def run(self, owner: Asker, terminal: str, work: Task) -> bool:
        """Have `work` run once it is the terminal's turn; False, and it does not run, where too much waits already.

        RuntimeError where the machine has no thread left.
        """
        with self._lock:
            if self._running.total() >= self._threads and len(self._terminals) >= self._most_waiting:
                return False
            self._waiting.setdefault(terminal, {})[owner] = work
            self._terminals[owner] = terminal
            due = self._take()
        return due is None or self._pool.run(due)

    def withdraw(self, owner: Asker) -> None:
        """Give the place of what `owner` has waiting to others; nothing where nothing of it waits."""
        with self._lock:
            if (terminal := self._terminals.pop(owner, None)) is not None:
                self._remove(terminal, owner)

    def close(self) -> None:
        """End the threads, once they are idle."""
        self._pool.close()

    def _take(self) -> Task | None:
        """The next work, as a thread runs it; None where nothing may run now. The lock is held."""
        if self._running.total() >= self._threads:
            return None
        for terminal, waiting in self._waiting.items():
            if self._running[terminal] < self._share:
                owner = next(iter(waiting))
                work = waiting[owner]
                del self._terminals[owner]
                self._remove(terminal, owner)
                if terminal in self._waiting:  # the others come first now
                    self._waiting[terminal] = self._waiting.pop(terminal)
                self._running[terminal] += 1
                return partial(self._run, terminal, work)
        return None

    def _remove(self, terminal: str, owner: Asker) -> None:
        del self._waiting[terminal][owner]
        if not self._waiting[terminal]:
            del self._waiting[terminal]

    def _run(self, terminal: str, work: Task) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._running[terminal] -= 1
                if not self._running[terminal]:
                    del self._running[terminal]
                due = self._take()
            if due is not None:
                self._pool.run(due)


class QuestionThreads:
    """Puts questions to the store, each kind on threads of its own.

    The stock of one SKU never waits behind a listing, no question behind a batch of many, and neither behind the tokens
    of those who are not known yet.
    """

    def __init__(self) -> None:
        self._stock = FairThreads(STOCK_THREADS, "stock", QUESTIONS_WAITING_MAX)
        self._hellos = FairThreads(HELLO_THREADS, "hello", QUESTIONS_WAITING_MAX)
        self._others = FairThreads(QUESTION_THREADS, "ask", QUESTIONS_WAITING_MAX)
        self._batches = FairThreads(BATCH_THREADS, "batch", QUESTIONS_WAITING_MAX)

    def ask(self, owner: Asker, terminal: str, request: StoreRequest, ask: Task) -> bool:
        """Have `ask` put `request` to the store; False where too many wait."""
        if isinstance(request, CheckToken):
            return self._hellos.run(owner, str(id(owner)), ask)  # nobody is known yet: each has its own turn
        is_short = isinstance(request, Stock) and isinstance(request.params.sku, str)
        return (self._stock if is_short else self._others).run(owner, terminal, ask)

    def read(self, read: Task) -> bool:
        """Have `read` read the ledger for a watcher, all of whom take turns as one; False where too many wait."""
        return self._others.run(read, "", read)

    def answer_batch(self, owner: Asker, terminal: str, answer: Task) -> bool:
        """Have `answer` put the requests of a batch to the store, one after the other; False where too many wait."""
        return self._batches.run(owner, terminal, answer)

    def withdraw(self, owner: Asker) -> None:
        """Give the places of what `owner` has asked to others: nobody waits for the answers."""
        for turns in (self._stock, self._hellos, self._others, self._batches):
            turns.withdraw(owner)

    def close(self) -> None:
        """End the threads, once they are idle."""
        for turns in (self._stock, self._hellos, self._others, self._batches):
            turns.close()
