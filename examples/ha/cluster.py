"""The cluster: three machines with etcd, Patroni and PostgreSQL each, behind an HAProxy, all on loopback."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from examples.ha.layout import (
    HOST,
    MACHINES,
    SEARCH_PATH,
    ClusterError,
    Layout,
    load,
    missing_packages,
    ports_in_use,
)
from examples.ha.processes import Processes, Seen, children, seen

HEALTHY_SECONDS = 180.0
"""A first start takes about 15 s on two cores; rejoining a machine with a rewind about as long."""
ASK_SECONDS = 2.0
POLL_SECONDS = 0.25
END_SECONDS = 10.0
_STANDBYS = "SELECT application_name, sync_state FROM pg_stat_replication WHERE state = 'streaming'"


class Member(NamedTuple):
    """Patroni's view of one machine; `lag` in bytes of WAL, None if unknown."""

    name: str
    role: str
    state: str
    lag: int | None

    @property
    def number(self) -> int:
        """1, 2 or 3."""
        return int(self.name.removeprefix("n"))


class Cluster:
    """A running cluster; used by one thread."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._processes = Processes(layout.folder)

    @classmethod
    def up(cls, layout: Layout) -> Cluster:
        """Start everything and return once tills can sell; on failure, nothing is left running."""
        if missing := missing_packages():
            raise ClusterError(f"Some programs are missing; on Debian 12: apt-get install {' '.join(missing)}.")
        if taken := ports_in_use(layout):
            raise ClusterError(f"Something listens on port {taken[0]} already; choose another --base-port.")
        layout.save()
        cluster = cls(layout)
        try:
            for number in MACHINES:
                cluster.start_machine(number)
            cluster._processes.start("haproxy", "haproxy", "-db", "-f", layout.folder / "haproxy.cfg")
            cluster.wait()
            cluster._make_database()
        except BaseException:
            cluster.down(keep_folder=True)
            raise
        return cluster

    @classmethod
    def find(cls, folder: Path) -> Cluster:
        """The cluster that was started in `folder`."""
        return cls(load(folder))

    # ------------------------------------------------------------------ status

    def members(self) -> list[Member]:
        """The machines as Patroni sees them; empty while no Patroni answers."""
        for number in MACHINES:
            try:
                answer = json.loads(self._ask(number, "/cluster"))
            except (OSError, ValueError):
                continue
            return [_member(found) for found in answer["members"]]
        return []

    def primary(self) -> int:
        """The number of the primary's machine."""
        for member in self.members():
            if member.role == "leader" and member.state == "running":
                return member.number
        raise ClusterError("There is no primary at the moment; the verb `wait` returns when there is one.")

    def is_healthy(self) -> bool:
        """True if the primary, reached through HAProxy, has two standbys, one of them synchronous if configured.

        Patroni's view is as old as its last round; its entry for the synchronous standby is checked too, because only
        the standby recorded in etcd may be promoted.
        """
        found = self._sql(_STANDBYS, check=False)
        standbys = {name: state for name, _, state in (line.partition("|") for line in found.splitlines())}
        if len(standbys) != len(MACHINES) - 1:
            return False
        roles = {member.name: member.role for member in self.members()}
        in_step = [name for name, state in standbys.items() if state == "sync" and roles.get(name) == "sync_standby"]
        return bool(in_step) or not self.layout.synchronous

    def wait(self, seconds: float = HEALTHY_SECONDS) -> None:
        """Return once the cluster is healthy."""
        wait_for(self.is_healthy, "the cluster to be healthy", seconds)

    def _ask(self, number: int, path: str, message: dict[str, str] | None = None) -> str:
        """One request to Patroni's REST API: a query or, with a message, an action, which may take a while."""
        request = urllib.request.Request(f"http://{HOST}:{self.layout.port('patroni', number)}{path}")
        if message is not None:
            request.data = json.dumps(message).encode()
            login = f"patroni:{self.layout.passwords['patroni']}".encode()
            request.add_header("Authorization", "Basic " + base64.b64encode(login).decode())
        with urllib.request.urlopen(request, timeout=ASK_SECONDS if message is None else HEALTHY_SECONDS) as answer:
            return str(answer.read().decode())

    def _sql(self, text: str, check: bool = True) -> str:
        """The output of psql, run as the superuser through HAProxy; empty if it fails and that is allowed."""
        command = ["psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", "-h", HOST, "-p", str(self.layout.primary_port)]
        environment = {"PATH": SEARCH_PATH, "PGPASSWORD": self.layout.passwords["postgres"], "PGCONNECT_TIMEOUT": "3"}
        done = subprocess.run(
            [*command, "-U", "postgres", "-f", "-", "postgres"],
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HEALTHY_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise ClusterError(f"PostgreSQL refuses {text.split()[:3]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _make_database(self) -> None:
        self._sql(f"CREATE ROLE tillwire LOGIN PASSWORD '{self.layout.passwords['tillwire']}'")
        self._sql("CREATE DATABASE tillwire OWNER tillwire")

    # ------------------------------------------------------------------ breaking and repairing

    def start_machine(self, number: int) -> None:
        """Start the machine's missing processes; Patroni starts its PostgreSQL."""
        folder = self.layout.machine(number)
        for name, argv in (
            (f"etcd{number}", ("etcd", "--config-file", folder / "etcd.yml")),
            (f"patroni{number}", ("patroni", folder / "patroni.yml")),
        ):
            if self._processes.find(name) is None:
                self._processes.start(name, *argv)

    def kill_postgres(self, number: int) -> None:
        """kill -9 of the postmaster only: its Patroni survives and restarts it."""
        self._processes.kill([self.postmaster(number)])

    def kill_machine(self, number: int) -> None:
        """kill -9 of everything on a machine, as in a power cut."""
        self._processes.kill(self.everything_on(number))

    def everything_on(self, number: int) -> list[Seen]:
        """The machine's processes, Patroni first: it must not observe the others dying."""
        postmaster = self.postmaster(number)
        own = map(self._processes.find, (f"patroni{number}", f"etcd{number}"))
        return [*filter(None, own), postmaster, *children(postmaster.pid)]

    def kill_patroni(self, number: int) -> None:
        """kill -9 of Patroni only: its PostgreSQL keeps running, unsupervised."""
        self._kill(f"patroni{number}")

    def kill_etcd(self, number: int) -> None:
        """kill -9 of one etcd member."""
        self._kill(f"etcd{number}")

    def _kill(self, name: str) -> None:
        process = self._processes.find(name)
        self._processes.kill([process] if process is not None else [])

    def switch_over(self) -> None:
        """A planned switchover: the primary hands over once a standby has all WAL."""
        primary = self.primary()
        self._ask(primary, "/switchover", {"leader": f"n{primary}"})

    def postmaster(self, number: int) -> Seen:
        """The postmaster of a machine, identified by its working directory."""
        data = self.layout.machine(number) / "data"
        try:
            found = seen(int((data / "postmaster.pid").read_text().split()[0]))
            if found is not None and Path(os.readlink(f"/proc/{found.pid}/cwd")) == data:
                return found
        except (OSError, IndexError) as error:  # no such file or process, or another user's
            raise ClusterError(f"PostgreSQL does not run on machine {number}.") from error
        raise ClusterError(f"PostgreSQL does not run on machine {number}.")

    def down(self, keep_folder: bool = False) -> None:
        """Stop what was started here, by pid, and remove the folder."""
        find = self._processes.find
        # Patroni first, and with SIGKILL: on SIGTERM it would start elections and wait for standbys.
        self._processes.end([find(f"patroni{number}") for number in MACHINES], signal.SIGKILL, END_SECONDS)
        self._processes.end(list(self._postmasters()), signal.SIGQUIT, END_SECONDS)
        self._processes.end(map(find, self._processes.names()), signal.SIGTERM, END_SECONDS)
        if not keep_folder:
            shutil.rmtree(self.layout.folder)

    def _postmasters(self) -> list[Seen]:
        found = []
        for number in MACHINES:
            try:
                found.append(self.postmaster(number))
            except ClusterError:
                continue  # it has exited, or never started
        return found


def _member(found: dict[str, object]) -> Member:
    lag = found.get("lag")
    known = lag if isinstance(lag, int) else None
    return Member(str(found["name"]), str(found["role"]), str(found.get("state")), known)


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait until `condition` holds; ClusterError after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise ClusterError(f"Waited {seconds:.0f} s for {what}; see the logs in the cluster's folder.")
        time.sleep(POLL_SECONDS)
