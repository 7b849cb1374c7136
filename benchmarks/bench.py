"""One benchmark run: its folder, its durations, its servers and the ledgers they start from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import ledgers, servers, trade
from benchmarks.load import Answers, Group, drive, groups
from benchmarks.load.groups import DRAIN_BATCH, DRAINING_TILLS, TILLS
from benchmarks.peers import shop
from benchmarks.servers import Server, python, script

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to compare with: its protocol, how many tills it can serve at once, what it starts from."""

    module: str
    kind: str
    tills: int = TILLS
    answers_a_second_max: int = 8_000


PEERS = {
    "R1": Peer("peers.r1_fastapi", "http"),
    "R2": Peer("peers.r2_flask", "http"),
    "R3": Peer("peers.r3_jsocket", "jsocket"),
    "R4": Peer("peers.r4_loop", "line", tills=1),
}


@dataclass(frozen=True)
class Bench:
    """One run. `seconds` is how long a load lasts, `past_movements` what the old ledger holds,
    `replay_rows` how much of Complete Journey is replayed (all of it: None); `tree` is
    another checkout of Tillwire to serve from, such as the one before a change."""

    folder: Path
    seconds: float
    past_movements: int
    sales_on_till: int
    data: Path | None
    replay_rows: int | None
    tree: Path | None = None

    def file(self, name: str) -> Path:
        """A fresh path in the run's folder; an existing file there is removed."""
        for leftover in self.folder.glob(f"{name}*"):
            leftover.unlink()
        return self.folder / name

    @contextlib.contextmanager
    def tillwire(self, ledger: Path | None = None) -> Iterator[Server]:
        """Tillwire on `ledger`, or on a copy of the opening-day ledger."""
        with self.serving(f"sqlite:///{ledger or self.opened_shop('tillwire.db')}") as server:
            yield server

    @contextlib.contextmanager
    def serving(self, url: str, workers: int = 1) -> Iterator[Server]:
        """Tillwire on any ledger, with that many processes."""
        port = servers.free_port()
        command = script("inventory-server", "serve", "--dev", "--db", url, "--listen", f"127.0.0.1:{port}")
        if workers > 1:
            command += ["--workers", str(workers)]
        with servers.running(command, port, self.file("tillwire.log"), self.tree) as server:
            yield server

    @contextlib.contextmanager
    def echo(self) -> Iterator[Server]:
        """L2."""
        port = servers.free_port()
        with servers.running(python("limits.echo", port), port, self.file("echo.log")) as server:
            yield server

    @contextlib.contextmanager
    def peer(self, peer: Peer) -> Iterator[Server]:
        """A peer on an opening-day database."""
        database = ledgers.copy(_peers_shop(), self.file("peer.db"))
        port = servers.free_port()
        with servers.running(python(peer.module, port, database), port, self.file("peer.log")) as server:
            yield server

    def opened_shop(self, name: str) -> Path:
        """A copy of Tillwire's ledger on opening day."""
        return ledgers.copy(self._prepared(0), self.file(name))

    def _prepared(self, movements: int) -> Path:
        """A ledger with the schema of the tree under test."""
        if self.tree is None:
            return ledgers.prepared(movements)
        script = f"from benchmarks import ledgers; print(ledgers.prepared({movements}))"
        root = self.tree.resolve()
        environment = {**servers.importing_from(root), "TILLWIRE_BENCH_CACHE": str(ledgers.cache_folder() / "before")}
        made = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=root, env=environment
        )
        return Path(made.stdout.strip())

    def upgrade(self, path: Path) -> None:
        """Create an empty ledger, without opening stock, at `path`."""
        subprocess.run(
            script("inventory-server", "db", "upgrade", "--db", f"sqlite:///{path}"),
            check=True,
            stdout=subprocess.DEVNULL,
        )

    @cached_property
    def old_ledger(self) -> Path:
        """A ledger with years of sales: one copy, to which every round adds its sales."""
        return ledgers.copy(self._prepared(self.past_movements), self.file("old.db"))

    def live(
        self, server: Server, tills: int = TILLS, shops: int = len(trade.LOCATIONS), skus: int = len(trade.SKUS)
    ) -> Answers:
        """`tills` tills in `shops` locations, each with one sale of 3 of `skus` skus in flight."""
        return self._drive(server, groups.live(self.seconds, tills, shops, skus))

    def drain(self, server: Server, batch: int = DRAIN_BATCH, tills: int = DRAINING_TILLS) -> Answers:
        """`tills` tills that send what they have, `batch` sales a frame, one frame in flight."""
        return self._drive(server, groups.drain(self.seconds, batch, tills))

    def echoed(self, server: Server, kind: str, tills: int = TILLS) -> Answers:
        """The same frames as `live` or `stock`, sent back."""
        most = 2 * groups.FRAMES_A_SECOND_MAX  # the till that is served first may use most of them
        frames = groups.frames(most, self.seconds, tills)
        return self._drive(server, Group(kind, "echo", tills, frames, check=False))

    def asked(self, server: Server) -> Answers:
        """64 askers of the stock of one sku at one location."""
        return self._drive(server, groups.asked(self.seconds))

    def peer_live(self, server: Server, peer: Peer) -> Answers:
        """The same tills, in the language of the peer."""
        frames = groups.frames(peer.answers_a_second_max, self.seconds, peer.tills)
        return self._drive(server, Group(peer.kind, "peer", peer.tills, frames))

    def _drive(self, server: Server, group: Group) -> Answers:
        return drive(server.port, self.seconds, group).groups[group.name]

    def told(self, command: list[str]) -> Any:
        """The JSON output of one of the benchmark programs."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise servers.ServerError(f"{' '.join(command)}: {done.stderr[-500:]}")
        return json.loads(done.stdout)


def _peers_shop() -> Path:
    version = hashlib.sha256(Path(shop.__file__).read_bytes() + Path(trade.__file__).read_bytes()).hexdigest()[:8]
    path = ledgers.cache_folder() / f"peers-{version}.db"
    if not path.exists():
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        shop.create(making)
        making.rename(path)
    return path
