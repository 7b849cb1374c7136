"""The servers under test, as processes: start, await, inspect, stop."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class ServerError(Exception):
    """A server under test did not start, or died."""


class Server:
    """A running server on 127.0.0.1:`port`; after it has stopped, its resource usage."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port
        self._cpu_before = self._cpu_seconds()
        self.cpu_seconds = 0.0
        self.switches = 0
        """How often its threads have given up the processor, willingly or not."""

    def resident_kib(self) -> int:
        """Its current memory."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise ServerError("The server has no memory: it died.")

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let the process do nothing until the block ends."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop the process; the kernel's accounting includes its finished threads."""
        if self._process.poll() is not None:
            raise ServerError(f"{self._process.args!r} died.")
        self._process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while not (ended := os.wait4(self._process.pid, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                self._process.kill()
            time.sleep(0.01)
        self._process.returncode = os.waitstatus_to_exitcode(ended[1])
        used = ended[2]
        self.cpu_seconds = used.ru_utime + used.ru_stime - self._cpu_before
        self.switches = used.ru_nvcsw + used.ru_nivcsw


def free_port() -> int:
    """A currently free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str], port: int, log: Path, tree: Path | None = None) -> Iterator[Server]:
    """Run `command` until the block ends; its output goes to `log`, its imports come from `tree`."""
    root = (tree or Path(__file__).parents[1]).resolve()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=root, env=importing_from(root))
    try:
        _await(process, port, log)
        server = Server(process, port)
        yield server
        server.stop()
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise ServerError(f"{' '.join(process.args)} does not serve: {log.read_text()[-500:]}")  # type: ignore[arg-type]


def importing_from(tree: Path) -> dict[str, str]:
    """The environment in which Python imports from `tree` before anything installed."""
    return {**os.environ, "PYTHONPATH": str(tree)}


def python(module: str, *arguments: object) -> list[str]:
    """The command line of a benchmark module."""
    return [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]


def script(name: str, *arguments: object) -> list[str]:
    """The command line of one of Tillwire's own programs."""
    return [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
