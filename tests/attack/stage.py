"""The stage of an attack: a live server on a ledger of its own, or a bare listener, beside honest clients."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.domain.requests import FindPosting, Stock
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import open_reader
from pos_client.protocol.errors import RequestError
from pos_client.protocol.messages import PostingParams, StockParams
from tests.attack.honest import TILLS
from tests.attack.measure import Held, Sample, Wait, Watch, held_by, samples_of, troubles, waited
from tests.attack.target import Target
from tests.support.ledgers import enrol, opened
from tests.support.maintenance import verified
from tests.support.processes import ROOT, Server, environment
from tests.support.waiting import HANG_SECONDS, wait_until

CERTIFICATES = ROOT / "tests" / "support" / "certificates"
QUIET_SECONDS_MAX = 120.0
"""How long it is waited for that honest clients wait no longer than before."""
QUIET_WINDOW_SECONDS = 3.0
"""They do once all sales of so many seconds were in time."""
SOON_MS = 20.0
"""What an attack may add to a short wait."""
_INCIDENT = re.compile(r"event=incident ")


@dataclass(frozen=True)
class Played:
    """What one attack did to the honest clients, and to the process; times in ms and seconds."""

    before: Wait
    during: Wait
    after: Wait
    fresh: Wait
    asked: Wait
    quiet_after_seconds: float
    held_before: Held | None
    held_most: Held
    held_after: Held | None
    survived: bool
    incidents: int
    troubles: dict[str, int]
    did: str

    @property
    def bound_ms(self) -> float:
        """The longest that honest tills may wait, by the quiet phase."""
        return bound_ms(self.before)


def bound_ms(quiet: Wait) -> float:
    """Twice as long as in quiet times, or a little longer than then."""
    return max(2 * quiet.p99, quiet.p99 + SOON_MS)


@dataclass(frozen=True)
class Outcome:
    """What the ledger holds after all: sales that were told posted and are not there, or there twice; the proof."""

    sales: int
    lost: int
    doubled: int
    holds: bool


class Stage:
    """Honest clients on `target`, whose process is `pid`; they log to `folder`."""

    def __init__(self, target: Target, pid: int, folder: Path, server_log: Path | None) -> None:
        self._pid = pid
        self._server_log = server_log
        self._target_file = folder / "target.json"
        self._honest_log = folder / "honest.log"
        target.save(self._target_file)
        self._honest = subprocess.Popen(
            _module("honest", self._target_file, self._honest_log), env=environment(), stdin=subprocess.PIPE
        )

    def samples(self) -> list[Sample]:
        """What the honest clients have logged so far."""
        return samples_of(self._honest_log)

    def wait_for_sales(self) -> None:
        """Wait until every till has sold."""
        wait_until(lambda: self._honest_log.exists(), "the honest clients")
        wait_until(lambda: len({each.till for each in self.samples() if each.till}) == TILLS, "each till's first sale")

    def play(self, name: str, seconds: float, quiet_seconds: float) -> Played:
        """Quiet, the attack, and until it is quiet again, for at least `quiet_seconds`."""
        began = time.time()
        time.sleep(quiet_seconds)
        attacked, held_before = time.time(), held_by(self._pid)
        incidents = self.incidents()
        with Watch(self._pid) as watch:
            did = self.attack(name, seconds)
            ended = time.time()
            quiet_at = self._until_quiet(bound_ms(waited(self.samples(), began, attacked)), ended, quiet_seconds)
        now, samples = time.time(), self.samples()
        return Played(
            waited(samples, began, attacked),
            waited(samples, attacked, ended),
            waited(samples, ended, now),
            waited(samples, attacked, ended, ("fresh",)),
            waited(samples, attacked, ended, ("ask",)),
            quiet_at - ended,
            held_before,
            watch.most,
            held_by(self._pid),
            held_by(self._pid) is not None,
            self.incidents() - incidents,
            troubles(samples, attacked, now),
            did,
        )

    def end(self) -> list[Sample]:
        """Have the tills wait for their last answers, and end; all that they logged."""
        self._honest.communicate(timeout=HANG_SECONDS)
        assert self._honest.returncode == 0, "the honest clients have failed"
        return self.samples()

    def attack(self, name: str, seconds: float) -> str:
        """Carry out an attack; what it did, in words."""
        done = subprocess.run(
            _module("generator", name, self._target_file, seconds),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=seconds + HANG_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
        return done.stdout.strip()

    def _until_quiet(self, bound: float, since: float, least_seconds: float) -> float:
        """When the last sale began that took too long, if none did in the seconds since then."""
        while True:
            now = time.time()
            late = [each.ended for each in self.samples() if each.kind == "post" and each.ms > bound]
            last = max([each for each in late if each >= since], default=since)
            is_over = now - since >= max(least_seconds, 1.0) and now - last >= QUIET_WINDOW_SECONDS
            if is_over or now - since > QUIET_SECONDS_MAX:
                return last if is_over else now
            time.sleep(0.1)

    def incidents(self) -> int:
        """How many unexpected errors the server has logged."""
        return 0 if self._server_log is None else len(_INCIDENT.findall(self._server_log.read_text()))


def _module(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"tests.attack.{name}", *map(str, arguments)]


@contextmanager
def served(url: str, is_tls: bool, folder: Path) -> Iterator[Stage]:
    """A stage with the production server on the ledger of `url`, which knows all the terminals."""
    with opened(url, now_microseconds) as store:
        for number in range(TILLS):
            enrol(store, f"honest-{number}", "till", "north" if number % 2 else "south")
        for number in range(4):
            enrol(store, f"evil-{number}", "till", "evil")
        for name, role in (("greedy", "reader"), ("asker", "reader"), ("operator", "operator")):
            enrol(store, name, role, "hq")  # type: ignore[arg-type]
    config = folder / "tillwire.toml"
    config.write_text("accept_weak_durability = true\n")
    options = ["--config", str(config)]
    if is_tls:
        options += [
            "--tls-certificate",
            str(CERTIFICATES / "server.pem"),
            "--tls-key",
            str(CERTIFICATES / "server.key"),
        ]
    server = Server(folder, *options, dev=False, db=url)
    server.start()
    stage = Stage(Target(server.port, is_tls), server.pid, folder, server.log)
    try:
        stage.wait_for_sales()
        yield stage
    finally:
        stage.end()
        server.stop()


@contextmanager
def bare(is_tls: bool, folder: Path) -> Iterator[Stage]:
    """A stage with a listener that does nothing: what an attack does to it is the control."""
    command = _module("bare", "tls" if is_tls else "plain")
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stage = Stage(Target(int(process.stdout.readline()), is_tls), process.pid, folder, None)
        try:
            stage.wait_for_sales()
            yield stage
        finally:
            stage.end()
            process.terminate()


def outcome_of(url: str, samples: list[Sample]) -> Outcome:
    """Compare what the honest tills were told with the ledger, whose server has stopped."""
    told = [each for each in samples if each.kind == "post" and each.outcome in ("posted", "duplicate")]
    sold = Counter(each.till for each in told)
    lost = doubled = 0
    with open_reader(url, Settings(), now_microseconds) as ledger:
        for each in told:
            try:
                found = ledger.ask(FindPosting(PostingParams(UUID(each.id)), actor=HEADQUARTERS))
                lost += found.status != "posted"
            except RequestError:
                lost += 1
        skus = [f"SKU-{number}" for number in range(TILLS)]
        stock = ledger.ask(Stock(StockParams(skus=skus), None, None, actor=HEADQUARTERS))
        for item in stock.items:
            doubled += max(0, -int(item.on_hand) - sold[f"honest-{item.sku.removeprefix('SKU-')}"])
    return Outcome(len(told), lost, doubled, verified(url).holds)
