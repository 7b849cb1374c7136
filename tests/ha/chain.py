"""The whole chain as real processes: tills, HAProxy, two servers, HAProxy, and the cluster of `examples/ha`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from examples.ha.cluster import Cluster, wait_for
from examples.ha.layout import BASE_PORT, HOST, SERVERS, ClusterError, Layout, ports_in_use
from tests.faults.harness import checker, control
from tests.faults.harness.checker import Verdict
from tests.faults.harness.farm import Farm, Process
from tests.ha.watch import Watch
from tests.support.processes import argv, environment, run

TILL = "tests.faults.harness.till_process"
SALE_PAUSE_SECONDS = 0.05
PENDING_MAX = 200
"""Sales that a till rings up while it is without headquarters, before it waits."""
REPLY_SECONDS = 5.0
PATIENCE_SECONDS = 120.0
"""How long to wait for what a machine's death delays: most is Patroni's ttl."""


def free_layout(folder: Path, synchronous: bool) -> Layout:
    """A cluster on ports that nobody listens on."""
    for base_port in range(BASE_PORT, BASE_PORT + 6_000, 100):
        layout = Layout(folder, base_port, synchronous)
        if not ports_in_use(layout):
            return layout
    raise OSError("no free ports")


class Chain:
    """One cluster with its servers and tills; used by one thread."""

    def __init__(self, farm: Farm, folder: Path, tills: int, synchronous: bool = True) -> None:
        self.folder = folder
        self.names = [f"till-{number}" for number in range(tills)]
        self.tills: dict[str, Process] = {}
        self._journals = {name: self._file(name, "journal") for name in self.names}
        for journal in self._journals.values():
            journal.touch()
        self.watch = Watch(self._journals)
        self._farm = farm
        self._servers: dict[int, subprocess.Popen[bytes]] = {}
        self.cluster = Cluster.up(free_layout(folder / "cluster", synchronous))

    # ------------------------------------------------------------------ starting and ending

    def start(self) -> None:
        """Start servers and tills, and wait until every till has been answered."""
        done = run("inventory-server", "db", "upgrade", "--db", self.cluster.layout.url())
        assert done.returncode == 0, done.stderr
        for number in SERVERS:
            self.start_server(number)
        for place, name in enumerate(self.names):
            self._start_till(name, place)
        self.watch.start()
        self.wait(lambda: self.watch.all_heard_since(0.0), "every till to be answered")

    def start_server(self, number: int) -> None:
        """Start one of the two servers and wait until it serves."""
        layout = self.cluster.layout
        log = self._file(f"server-{number}", "log")
        begun = log.stat().st_size if log.exists() else 0
        where = f"{HOST}:{layout.port('server', number)}"
        command = argv("inventory-server", "serve", "--dev", "--db", layout.url(), "--listen", where)
        with log.open("ab") as output:
            self._servers[number] = server = subprocess.Popen(command, env=environment(), stdout=output, stderr=output)

        def serves() -> bool:
            if server.poll() is not None:
                raise ClusterError(f"Server {number} does not start; see {log}.")
            return b"serving on" in log.read_bytes()[begun:]

        self.wait(serves, f"server {number} to serve")

    def kill_server(self, number: int) -> None:
        """kill -9 of one of the servers."""
        server = self._servers.pop(number)
        server.kill()
        server.wait()

    def _start_till(self, name: str, place: int) -> None:
        options = {
            "address": f"{HOST}:{self.cluster.layout.tills_port}",
            "terminal": name,
            "location": f"store-{place % 4}",
            "db": str(self._file(name, "db")),
            "journal": str(self._journals[name]),
            "control": str(self._file(name, "ctl")),
            "seed": place,
            "pause_seconds": SALE_PAUSE_SECONDS,
            "pending_max": PENDING_MAX,
            "reply_seconds": REPLY_SECONDS,
        }
        self.tills[name] = self._farm.start(TILL, options, self._file(name, "log"))

    def close(self, keep_folder: bool = False) -> None:
        """End everything."""
        for till in self.tills.values():
            till.kill()
        for number in list(self._servers):
            self.kill_server(number)
        self.watch.stop()
        self.cluster.down(keep_folder)

    def _file(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}.{suffix}"

    # ------------------------------------------------------------------ asking

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something is so; ClusterError where it takes too long."""
        wait_for(is_so, what, PATIENCE_SECONDS)

    def wait_for_every_till(self, moment: float) -> None:
        """Wait until every till has been answered after `moment`, by itself."""
        self.wait(lambda: self.watch.all_heard_since(moment), "every till to be answered again")

    def tell_till(self, name: str, **request: Any) -> Any:
        """Ask a till."""
        return control.ask(self._file(name, "ctl"), request)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Rows from the primary's ledger."""
        layout = self.cluster.layout
        with psycopg.connect(
            host=HOST, port=layout.primary_port, dbname="tillwire", user="tillwire", passfile=str(layout.passfile)
        ) as connection:
            return connection.execute(text.encode()).fetchall()

    # ------------------------------------------------------------------ judging

    def lost(self, acknowledged: set[UUID]) -> int:
        """How many of them the ledger does not hold, or holds only because a till found out and sent them again."""
        held = {UUID(bytes=row[0]) for row in self.query("SELECT id FROM posting")}
        return len(acknowledged - held) + self.watch.restated()

    def doubled(self) -> int:
        """How many postings the ledger holds once more than it should."""
        ((doubled,),) = self.query("SELECT 2 * count(*) - count(DISTINCT id) - count(DISTINCT body) FROM posting")
        return int(doubled)

    def settle(self) -> Verdict:
        """Let every till deliver what it holds and say goodbye, then judge the ledger."""
        for name in self.names:
            self.tell_till(name, selling=False)
        time.sleep(2 * SALE_PAUSE_SECONDS)  # a basket may just be on its way into an outbox
        self.wait(lambda: not any(self.tell_till(name)["pending"] for name in self.names), "the tills to deliver")
        parked = {UUID(id_): why for name in self.names for id_, (_, why) in self.tell_till(name, parked=True).items()}
        goodbyes = {name: self.tell_till(name, bye=True) for name in self.names}
        self.watch.look()
        rows = [
            (UUID(bytes=id_), body, location, position, recorded_at)
            for id_, body, location, position, recorded_at in self.query(
                "SELECT id, body, location, position, recorded_at FROM posting ORDER BY position"
            )
        ]
        levels = {(row[0], row[1]): row[2] for row in self.query("SELECT location, sku, on_hand FROM level")}
        verdict = checker.compare(rows, self.watch.account, parked)
        verdict.lost += self.watch.restated()
        verdict.unbalanced = len(checker.differences(levels, checker.expected_levels(rows)))
        verdict.others += [
            f"{name} said goodbye, and HQ {said}" for name, said in goodbyes.items() if said != "balanced"
        ]
        proof = run("inventory-server", "verify", "--db", self.cluster.layout.url())
        if proof.returncode:
            verdict.others.append(f"inventory-server verify: {proof.stdout}{proof.stderr}")
        return verdict
