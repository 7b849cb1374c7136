"""`Program`: the till program under test, which is started and killed, and whose claims are read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

from pos_client.faultkit.limits import LINE_LENGTH_MAX
from pos_client.protocol.errors import TillwireError


class CannotRun(TillwireError):
    """The till program cannot be started."""


class Program:
    """The till program under test, in its own session; a thread reads its claims."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.kills = 0
        self._command = command
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._readers: list[threading.Thread] = []
        self._running = threading.Lock()  # guards the process: HQ's threads may kill it too
        self._process: subprocess.Popen[bytes] | None = None
        self._reading = threading.Lock()  # guards the three below
        self._claims: dict[UUID, str | None] = {}
        self._malformed: list[str] = []
        self._has_sold = False  # since its last start

    def start(self) -> None:
        """Start it, unless it is running."""
        with self._running:
            if self._process is None or self._process.poll() is not None:
                with self._reading:
                    self._has_sold = False
                self._process = self._started()
                reader = threading.Thread(target=self._read, args=(self._process,), daemon=True, name="faultkit claims")
                reader.start()
                self._readers.append(reader)

    def _started(self) -> subprocess.Popen[bytes]:
        with (self._folder / "program.log").open("ab") as log:
            try:
                return subprocess.Popen(  # noqa: S603 (running the given command is the purpose)
                    self._command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise CannotRun(f"{self._command[0]!r} cannot be started: {error.strerror}.") from error

    def is_running(self) -> bool:
        """True while it is running."""
        with self._running:
            return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9 the program and every process it has started."""
        with self._running:
            if self._process is not None and self._process.poll() is None:
                if sys.platform == "win32":  # has no process groups: what the program has started goes on
                    self._process.kill()
                else:
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                self.kills += 1

    def close(self) -> None:
        """Kill it and read the rest of its output."""
        self.kill()
        for reader in self._readers:
            reader.join()

    def claims(self) -> dict[UUID, str | None]:
        """The ids of the sales it has claimed, with their references."""
        with self._reading:
            return dict(self._claims)

    def has_sold(self) -> bool:
        """True once it has claimed a sale since its last start."""
        with self._reading:
            return self._has_sold

    def malformed_lines(self) -> list[str]:
        """Lines that begin like a claim but are malformed."""
        with self._reading:
            return list(self._malformed)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines, (self._folder / "program.log").open("ab") as log:
            for line in lines:
                log.write(line)
                if line.startswith(b"SOLD ") and line.endswith(b"\n"):
                    self._note(line.decode(errors="replace").strip())

    def _note(self, line: str) -> None:
        _, text, *rest = line.split(maxsplit=2)
        with self._reading:
            try:
                self._claims[UUID(text)] = rest[0] if rest else None
                self._has_sold = True
            except ValueError:
                self._malformed.append(line[:LINE_LENGTH_MAX])
