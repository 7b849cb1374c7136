"""Processes that outlive the command that started them, and are found and stopped by pid."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from examples.ha.layout import SEARCH_PATH, ClusterError, account

STEP_SECONDS = 0.05


class Seen(NamedTuple):
    """A running process; its start time tells it apart from a later process with the same pid."""

    pid: int
    start: int

    @property
    def is_running(self) -> bool:
        """True until it has exited."""
        return seen(self.pid) == self

    def signal(self, number: int) -> None:
        """Send a signal, unless it has exited."""
        if self.is_running:
            os.kill(self.pid, number)


def seen(pid: int) -> Seen | None:
    """The process with this pid, None if there is none or it is a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else Seen(pid, int(fields[19]))


def children(pid: int) -> list[Seen]:
    """The running child processes of the main thread of `pid`."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in map(seen, map(int, listed)) if child is not None]


def _stat(pid: int) -> list[str] | None:
    """/proc/PID/stat from the third field on: state, parent, ..., start time."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


class Processes:
    """The programs of a cluster, by name; their output goes to NAME.log in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *argv: str | Path) -> None:
        """Start a program in its own session and record its pid."""
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in argv],
                cwd="/",
                env={"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **account(),  # type: ignore[call-overload]
            )
        self._started[process.pid] = process
        found = seen(process.pid)
        if found is None:
            raise ClusterError(f"{name} ended at once; see {self._folder / name}.log.")
        (self._folder / f"{name}.pid").write_text(f"{found.pid} {found.start}\n")

    def find(self, name: str) -> Seen | None:
        """The process last started under this name, None if it has exited."""
        try:
            pid, start = map(int, (self._folder / f"{name}.pid").read_text().split())
        except FileNotFoundError:
            return None
        process = Seen(pid, start)
        return process if process.is_running else None

    def names(self) -> list[str]:
        """Every name under which a program was started."""
        return sorted(path.stem for path in self._folder.glob("*.pid"))

    def end(self, processes: Iterable[Seen | None], number: int, patience_seconds: float) -> None:
        """Signal processes and wait for them to exit; kill -9 those that do not in time."""
        left = [process for process in processes if process is not None]
        for process in left:
            process.signal(number)
        if not self._gone(left, patience_seconds):
            for process in left:
                process.signal(signal.SIGKILL)
            if not self._gone(left, patience_seconds):
                raise ClusterError(f"cannot end the processes {[process.pid for process in left]}.")

    def kill(self, processes: Sequence[Seen]) -> None:
        """kill -9 in quick succession."""
        for process in processes:
            process.signal(signal.SIGKILL)
        self._gone(processes, patience_seconds=10)

    def _gone(self, processes: Sequence[Seen], patience_seconds: float) -> bool:
        until = time.monotonic() + patience_seconds
        while any(process.is_running for process in processes):
            if time.monotonic() > until:
                return False
            time.sleep(STEP_SECONDS)
        for process in processes:
            if child := self._started.pop(process.pid, None):
                child.wait()
        return True
