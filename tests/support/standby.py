"""A standby of a throw-away PostgreSQL: it replays what its primary commits, and can be made to lag."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.postgres import Cluster


class Standby(Cluster):
    """A copy of `primary` that follows it; all its databases are read-only."""

    def __init__(self, primary: Cluster) -> None:
        self._primary = primary
        super().__init__()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Replay nothing while the block runs, and catch up after it."""
        self.execute("SELECT pg_wal_replay_pause()")
        try:
            while self.execute("SELECT pg_get_wal_replay_pause_state()") != [("paused",)]:
                time.sleep(0.01)
            yield
        finally:
            self.execute("SELECT pg_wal_replay_resume()")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All its processes stand still while the block runs: the kernel goes on taking what they are sent."""
        pids = self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _initialise(self) -> None:
        copy = [str(self._bin / "pg_basebackup"), "-h", str(self._primary.folder), "-p", str(self._primary.port)]
        copy += ["-U", "postgres", "-D", str(self.data), "-R", "-X", "stream", "-c", "fast"]
        subprocess.run(copy, check=True, capture_output=True, **self._as_user())
