"""Real processes for end-to-end tests: a server on a database of its own, and commands run against it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.ledgers import new_ledger
from tests.support.waiting import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
_SERVING = re.compile(r"serving on 127\.0\.0\.1:([0-9]+) ")
_MODULES = {
    "inventory-server": "inventory_server.cli",
    "stock-query": "pos_client.commands.stock_query",
    "pos-client": "pos_client.cli",
}


def argv(program: str, *arguments: str | Path) -> list[str]:
    """The command line of one of the project's programs, run by this Python."""
    return [sys.executable, "-m", _MODULES[program], *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """The environment of a child process: this checkout first, no settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TILLWIRE_")}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | more


def run(
    program: str, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of the project's programs to its end; text output."""
    return subprocess.run(
        argv(program, *arguments),
        env=environment(**(env or {})),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


class Server:
    """`inventory-server serve` on the ledger `db`, by default a new file in `folder`; it keeps its port."""

    def __init__(self, folder: Path, *options: str, dev: bool = True, db: str | None = None) -> None:
        self.db = db or new_ledger(folder / "hq.db")
        self.log = folder / "hq.log"
        self._options = [*options, "--dev"] if dev else options
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it says that it serves."""
        command = argv("inventory-server", "serve", "--db", self.db, "--listen", self.address, *self._options)
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = _SERVING.search(line)
        if found is None:
            self.kill()  # whose open pipe would be the next test's warning
        assert found, f"the server said {line!r} and logged {self.log.read_text()}"
        self._port = int(found[1])

    @property
    def port(self) -> int:
        """The port of loopback that it listens on."""
        return self._port

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The processes that are its children now."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Have it drain and end; return the exit code."""
        return self._end(number)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        self._process.communicate(timeout=HANG_SECONDS)
        code = self._process.returncode
        self._process = None
        return code
