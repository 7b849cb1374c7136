"""Processes that start in milliseconds: one process imports everything once, and forks each that is asked for.

Every child is a process of its own, with a pid to kill; it dies with its farm, and the farm with the harness.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from inventory_server.store import upgrade
from tests.faults.harness import shim
from tests.support.waiting import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[3]
WARM = ("inventory_server.commands.main", "tests.faults.harness.server_process", "tests.faults.harness.till_process")
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNET = 0x40000000


class Process:
    """One forked process."""

    def __init__(self, farm: Farm, pid: int) -> None:
        self.pid = pid
        self._farm = farm
        self._descriptor = os.pidfd_open(pid)
        self._status: int | None = None

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait(HANG_SECONDS)

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens where the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)

    def stands_still(self) -> bool:
        """True where every thread is stopped; one that waits for a disk stops before it goes on."""
        return self._states() <= {"T", "D"}

    def is_stopped(self) -> bool:
        """True where every thread is stopped and none waits for a disk."""
        return self._states() == {"T"}

    def _states(self) -> set[str]:
        stats = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return {stat.read_text().rpartition(")")[2].split()[0] for stat in stats}

    def is_running(self) -> bool:
        """True until the process has ended."""
        return self.wait(0.0) is None

    def wait(self, timeout_seconds: float) -> int | None:
        """The exit code (minus the signal's number where one killed it), None where it still runs."""
        if self._status is None:
            ready, _, _ = select.select([self._descriptor], [], [], timeout_seconds)
            if not ready:
                return None
            self._status = os.waitstatus_to_exitcode(self._farm.ask({"reap": self.pid}))
            os.close(self._descriptor)
        return self._status


class Farm:
    """Starts processes; used by one thread."""

    def __init__(self) -> None:
        environment = dict(os.environ, PYTHONPATH=str(ROOT))
        self._folder = tempfile.TemporaryDirectory(prefix="tillwire-farm-")
        library = shim.build(Path(self._folder.name))
        if library is not None:
            environment["LD_PRELOAD"] = str(library)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.harness.farm"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, module: str, options: Mapping[str, Any], log: Path) -> Process:
        """Fork a process that calls `module.run(options)`, its output appended to `log`.

        Of the options, `netns` (a path) and `open_files` are seen to here.
        """
        return Process(self, self.ask({"module": module, "options": options, "log": str(log)}))

    def ask(self, request: Mapping[str, Any]) -> int:
        """One request to the farm's process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the farm and all its processes."""
        self._process.communicate()
        self._folder.cleanup()

    def empty_ledger(self) -> Path:
        """A ledger without postings, made once, to be copied."""
        path = Path(self._folder.name) / "empty.db"
        if not path.exists():
            upgrade(f"sqlite:///{path}")
        return path


class IdleFarm(Farm):
    """Stands in where nothing is started: importing everything takes a second."""

    def __init__(self) -> None:
        """Start nothing."""

    def close(self) -> None:
        """Nothing runs."""


def main() -> None:
    """Serve one harness, on stdin and stdout."""
    for module in WARM:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        print(os.waitpid(request["reap"], 0)[1] if "reap" in request else _fork(request), flush=True)


def _fork(request: Mapping[str, Any]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_a_child(request, parent)
    return pid


def _be_a_child(request: Mapping[str, Any], parent: int) -> NoReturn:
    code = 70
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            _prepare(request)
            code = importlib.import_module(request["module"]).run(request["options"])
    except BaseException:  # noqa: BLE001 (a forked child must never return into the farm's loop)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _prepare(request: Mapping[str, Any]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    options = request["options"]
    if path := options.get("netns"):
        with open(path) as namespace:
            if ctypes.CDLL(None).setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(f"cannot enter {path}")
    if files := options.get("open_files"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


if __name__ == "__main__":
    main()
