"""Puts a till program of any make through trouble, and compares what it claims to have sold with what HQ got.

The program is run against an unreliable HQ, killed with -9 and started again. It says what it has sold on its standard
output, one line for each sale that it has stored: `SOLD <id> <reference>`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from pos_client.faultkit.unreliable_hq import UnreliableHq
from pos_client.protocol.errors import TillwireError

TERMINAL = "faultkit-1"
RESTART_SECONDS = 0.2
"""How long a program that has ended, or was killed, stays down."""
POLL_SECONDS = 0.02


class Case(Struct, frozen=True):
    """One kind of trouble: how likely each mischief is for a post, and what is done to the program and to HQ."""

    name: str
    what: str
    chances: Mapping[str, float] = {}
    kill_every_seconds: float | None = None
    away_every_seconds: float | None = None


CASES = [
    Case("calm", "nothing goes wrong, but for one kill -9 at the end"),
    Case("drop_request", "the connection is cut before a post is executed", {"drop_request": 0.3}),
    Case("drop_answer", "a post is executed, its answer is lost", {"drop_answer": 0.3}),
    Case("cut_answer", "half of the answer arrives", {"cut_answer": 0.3}),
    Case("delay", "answers come late", {"delay": 0.3}),
    Case("duplicate", "posts arrive twice", {"duplicate": 0.3}),
    Case("busy", "HQ is busy or shuts down", {"busy": 0.4}),
    Case("away", "HQ cannot be reached for a while, again and again", away_every_seconds=1.0),
    Case("fenced", "another device speaks as this till", {"fenced": 0.05}),
    Case("kill", "the program is killed at random", kill_every_seconds=0.7),
    Case("kill_unanswered", "the program is killed while its post is answered", {"kill": 0.15}),
    Case(
        "everything",
        "all of it together",
        dict.fromkeys(("drop_request", "drop_answer", "cut_answer", "delay", "duplicate", "busy", "kill"), 0.05),
        kill_every_seconds=2.0,
        away_every_seconds=2.5,
    ),
]
"""All the kinds of trouble, the mildest first."""


class Tally(Struct):
    """What one case did, and what became of the sales.

    `sold` is what the program claimed; of these, `lost` never arrived and `refused` were refused for good. `doubled`
    arrived more often than they were sold: under several ids, or without having been claimed at all.
    """

    case: str
    faults: int = 0
    kills: int = 0
    sold: int = 0
    arrived: int = 0
    lost: int = 0
    doubled: int = 0
    refused: int = 0
    notes: list[str] = []

    @property
    def is_good(self) -> bool:
        """True where every sale arrived once."""
        return bool(self.sold) and not (self.lost or self.doubled or self.refused or self.notes)


class CannotRun(TillwireError):
    """The till program cannot be started."""


class Program:
    """The till program under test, in a session of its own; its claims are read by a thread."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.kills = 0
        self._command = command
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._readers: list[threading.Thread] = []
        self._running = threading.Lock()  # guards the process: HQ's threads may kill it, too
        self._process: subprocess.Popen[bytes] | None = None
        self._reading = threading.Lock()  # guards the two below
        self._claims: dict[UUID, str | None] = {}
        self._strange: list[str] = []

    def start(self) -> None:
        """Start it, unless it runs."""
        with self._running:
            if self._process is None or self._process.poll() is not None:
                self._process = self._started()
                reader = threading.Thread(target=self._read, args=(self._process,), daemon=True, name="faultkit claims")
                reader.start()
                self._readers.append(reader)

    def _started(self) -> subprocess.Popen[bytes]:
        with (self._folder / "program.log").open("ab") as log:
            try:
                return subprocess.Popen(  # noqa: S603 (running the command that was given is the purpose)
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
        """True until it has ended."""
        with self._running:
            return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9 of the program and of all that it has started."""
        with self._running:
            if self._process is not None and self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                self.kills += 1

    def close(self) -> None:
        """End it and read its last words."""
        self.kill()
        for reader in self._readers:
            reader.join()

    def claims(self) -> dict[UUID, str | None]:
        """The ids it has claimed to have sold, with their references."""
        with self._reading:
            return dict(self._claims)

    def strange_lines(self) -> list[str]:
        """Lines that begin like a claim and are none."""
        with self._reading:
            return list(self._strange)

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
            except ValueError:
                self._strange.append(line[:80])


def run_case(
    case: Case,
    command: Sequence[str],
    folder: Path,
    rng: random.Random,
    *,
    trouble_seconds: float,
    patience_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Tally:
    """Let the program sell amid trouble, then give it a calm HQ and see whether everything arrives, once."""
    folder.mkdir(parents=True)
    hq = UnreliableHq(rng, lambda: program.kill())
    names = {"hq": hq.address, "folder": str(folder), "outbox": str(folder / "till.db"), "terminal": TERMINAL}
    environment = {
        "TILLWIRE_SERVER": names["hq"],
        "TILLWIRE_TERMINAL": TERMINAL,
        "TILLWIRE_OUTBOX": names["outbox"],
        "TILLWIRE_FOLDER": names["folder"],
    }
    program = Program([_filled_in(word, names) for word in command], folder, environment)
    try:
        program.start()
        hq.chances = case.chances
        _trouble(case, program, hq, rng, clock() + trouble_seconds, clock, sleep)
        hq.chances = {}
        hq.away.clear()
        program.kill()  # what it has not delivered by now must be on its disk
        claimed = program.claims()
        deadline = clock() + patience_seconds
        while clock() < deadline and not claimed.keys() <= hq.ledger.keys() | hq.refused.keys():
            _keep_running(program, sleep)
    finally:
        program.close()
        hq.close()
    return _judge(case, program, hq, claimed)


def _filled_in(word: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        word = word.replace("{" + name + "}", value)
    return word


def _trouble(
    case: Case,
    program: Program,
    hq: UnreliableHq,
    rng: random.Random,
    until: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Keep the program running, kill it and take HQ away as the case says, until the time is over."""
    kill_at = _next(case.kill_every_seconds, rng, clock())
    turn_at = _next(case.away_every_seconds, rng, clock())
    while (now := clock()) < until:
        if now >= kill_at:
            program.kill()
            kill_at = _next(case.kill_every_seconds, rng, now)
        if now >= turn_at:
            (hq.away.clear if hq.away.is_set() else hq.away.set)()
            hq.done["away"] += hq.away.is_set()
            turn_at = _next(case.away_every_seconds, rng, now)
        _keep_running(program, sleep)


def _keep_running(program: Program, sleep: Callable[[float], None]) -> None:
    if not program.is_running():
        sleep(RESTART_SECONDS)
        program.start()
    sleep(POLL_SECONDS)


def _next(every_seconds: float | None, rng: random.Random, now: float) -> float:
    return float("inf") if every_seconds is None else now + every_seconds * rng.uniform(0.5, 1.5)


def _judge(case: Case, program: Program, hq: UnreliableHq, claimed: Mapping[UUID, str | None]) -> Tally:
    tally = Tally(case.name, kills=program.kills, sold=len(claimed), arrived=len(hq.ledger), notes=[])
    tally.faults = sum(hq.done.values()) + program.kills
    tally.refused = len(hq.refused)
    tally.lost = len(claimed.keys() - hq.ledger.keys() - hq.refused.keys())
    references = Counter(held.reference for held in hq.ledger.values() if held.reference is not None)
    doubled = references.total() - len(references)
    # A sale may have been stored, and not been claimed yet, whenever the program was killed: one each time.
    unclaimed = len(hq.ledger.keys() - program.claims().keys()) - program.kills
    tally.doubled = max(doubled, unclaimed, 0)
    if not claimed:
        tally.notes.append("it never said SOLD: print one line for each sale once it is stored, and flush it")
    tally.notes += [f"{line!r} is no claim: expected SOLD <uuid> <reference>" for line in program.strange_lines()[:3]]
    tally.notes += [f"refused: {reason}" for reason in sorted(set(hq.refused.values()))[:3]]
    return tally
