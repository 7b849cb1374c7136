"""The parent process of a server with several workers: it forks them, replaces those that die, and stops them all."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

from inventory_server.config import ENDING_SECONDS, KILL_SECONDS, RESTART_SECONDS
from pos_client.protocol.errors import TillwireError
from pos_client.protocol.printable import escaped

log = logging.getLogger("tillwire.supervisor")

_STOPPING = (signal.SIGTERM, signal.SIGINT)

Work = Callable[[Callable[[], None]], int]
"""A worker's main function: calls its argument once it serves, runs until SIGTERM and returns an exit code."""


class Supervisor:
    """Keeps `count` workers running, each a fork of this process, which must have no other threads.

    `release` is called once, when the server stops, to free what the parent holds for its workers, such as sockets.
    Each of the signals `forwarded` is passed on to them. `beside` is the work of one more process, for which nobody
    waits: the server serves without it.
    """

    def __init__(
        self,
        count: int,
        work: Work,
        drain_seconds: float,
        release: Callable[[], None],
        forwarded: Sequence[signal.Signals] = (),
        beside: Work | None = None,
    ) -> None:
        self._count = count
        self._work = work
        self._drain_seconds = drain_seconds
        self._release = release
        self._forwarded = forwarded
        self._beside = beside
        self._beside_pid = 0
        self._born: dict[int, float] = {}
        self._stopping = False
        self._failed = False
        # Workers read from one end and see end-of-file when the parent, which holds the other end, dies for any reason.
        self._orphaned, self._alive = os.pipe()

    def run(self, announce: Callable[[], None]) -> int:
        """Start the workers, call `announce` once all serve, replace those that die; return the exit code."""
        for number in _STOPPING:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        for number in self._forwarded:
            signal.signal(number, lambda forwarded, _: self._signal(signal.Signals(forwarded)))
        reading, writing = os.pipe()
        for _ in range(self._count):
            self._start(writing)
        os.close(writing)
        self._start_beside()
        if _read_all(reading) == self._count:
            announce()
        elif not self._stopping:
            self._failed = True
            self._stop()
        while self._born:
            self._replace(*os.waitpid(-1, 0))
        return 1 if self._failed else 0

    def _start(self, ready: int | None) -> None:
        self._fork(self._work, ready)

    def _start_beside(self) -> None:
        if self._beside is not None:
            self._beside_pid = self._fork(self._beside, None)

    def _fork(self, work: Work, ready: int | None) -> int:
        """Fork a worker unless the server is stopping; stop signals are blocked until its pid is known."""
        pid = 0
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        if not self._stopping:
            pid = os.fork()
            if pid == 0:
                self._run_worker(work, ready)
            self._born[pid] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        return pid

    def _run_worker(self, work: Work, ready: int | None) -> None:
        code = 1
        try:
            for number in (*_STOPPING, signal.SIGALRM):
                signal.signal(number, signal.SIG_DFL)
            for number in self._forwarded:
                signal.signal(number, signal.SIG_IGN)  # until the worker has a handler of its own
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            os.close(self._alive)
            threading.Thread(target=_end_with_parent, args=(self._orphaned,), daemon=True).start()
            code = work(lambda: _report_ready(ready))
        except TillwireError as error:
            print(f"inventory-server: {escaped(str(error))}", file=sys.stderr)
        except BaseException:  # noqa: BLE001 - nothing may unwind into the parent's code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _replace(self, pid: int, status: int) -> None:
        """Replace a worker that has exited, unless the server is stopping."""
        lived = time.monotonic() - self._born.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            self._failed = self._failed or code > 0  # below 0 a signal ended it, perhaps before the server stopped
            return
        log.error("event=worker_exited pid=%d exit_code=%d", pid, code)
        if lived < RESTART_SECONDS:
            time.sleep(RESTART_SECONDS)
        if pid == self._beside_pid:
            self._start_beside()
        else:
            self._start(None)

    def _stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self._signal(signal.SIGTERM)
        if not self._stopping:
            self._stopping = True
            self._release()
            signal.setitimer(signal.ITIMER_REAL, self._drain_seconds + ENDING_SECONDS + KILL_SECONDS)

    def _kill(self, _number: int, _frame: FrameType | None) -> None:
        self._failed = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._born:
            with contextlib.suppress(ProcessLookupError):  # exited and reaped, but not yet removed from the table
                os.kill(pid, number)


def _read_all(reading: int) -> int:
    """How many bytes arrive before every process has closed the writing end."""
    with open(reading, "rb") as stream:
        return len(stream.read())


def _report_ready(ready: int | None) -> None:
    if ready is not None:
        os.write(ready, b".")
        os.close(ready)


def _end_with_parent(orphaned: int) -> None:
    os.read(orphaned, 1)
    os.kill(os.getpid(), signal.SIGTERM)
