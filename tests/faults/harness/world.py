"""One headquarters and its tills, all real processes, with a proxy between them and a check at the end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from inventory_server.domain.requests import Enrol
from tests.faults.harness import checker, control
from tests.faults.harness.checker import Verdict
from tests.faults.harness.farm import Farm, Process
from tests.faults.harness.journal import Account
from tests.support.maintenance import change
from tests.support.proxy import Proxy
from tests.support.waiting import HANG_SECONDS

SERVER = "tests.faults.harness.server_process"
TILL = "tests.faults.harness.till_process"
_ESTABLISHED = "01"
SETTINGS = {"busy_retry_ms": 60, "drain_seconds": 3, "idle_seconds": 20, "linger_seconds": 1, "frame_seconds": 5}


class Broken(AssertionError):
    """A promise was broken in a way that ends the episode; the message says which."""


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


@dataclass
class Plan:
    """What a world consists of. `server` and `till` are options of their processes, the mutants among them."""

    tills: int = 2
    settings: Mapping[str, int] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    till: dict[str, Any] = field(default_factory=dict)
    data: Path | None = None
    """Where the ledger is kept, if not in the world's folder."""
    till_data: Path | None = None
    delay_seconds: float = 0.3
    patience_seconds: float = HANG_SECONDS
    token: str | None = None
    """What the tills are enrolled with, where they are not on the server's machine."""


class World:
    """Headquarters, tills and the account of what the tills claim."""

    def __init__(self, farm: Farm, rng: random.Random, folder: Path, plan: Plan) -> None:
        self.rng = rng
        self.folder = folder
        self.plan = plan
        self.account = Account()
        self.verdict = Verdict()
        self.db = (plan.data or folder) / "ledger.db"
        self.port = free_port()
        self.host = plan.server.get("host", "127.0.0.1")
        self.server: Process | None = None
        self.tills: dict[str, Process] = {}
        self._journals: set[Path] = set()
        self._farm = farm
        self._log_chars = 0  # how much of the server's log was there before it was started last
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "server.toml"
        config.write_text("".join(f"{name} = {value}\n" for name, value in {**SETTINGS, **plan.settings}.items()))
        if not self.db.exists():
            shutil.copy(farm.empty_ledger(), self.db)
            for path in (self.db, self.db.parent):
                _flush(path)
        if plan.token is not None:
            self._enrol(plan.token)
        self.proxy = Proxy((self.host, self.port), rng, plan.delay_seconds)

    def _enrol(self, token: str) -> None:
        for number in range(self.plan.tills):
            change(f"sqlite:///{self.db}", Enrol(f"till-{number}", "till", f"store-{number}", token))

    # ------------------------------------------------------------------ processes

    @property
    def address(self) -> tuple[str, int]:
        """Where the server itself listens."""
        return self.host, self.port

    def start(self) -> None:
        """Start everything and wait until sales flow."""
        self.start_server()
        for number in range(self.plan.tills):
            self.start_till(f"till-{number}")
        if self.plan.tills:
            self.wait_for_answers(10)

    def start_server(self) -> None:
        """Start headquarters and wait until it listens."""
        options = {
            "db": str(self.db),
            "port": self.port,
            "control": str(self.folder / "server.ctl"),
            "config": str(self.folder / "server.toml"),
            "dev": self.plan.token is None,
            **self.plan.server,
        }
        log = self.folder / "server.log"
        log.touch()
        self._log_chars = len(log.read_text())
        self.server = self._farm.start(SERVER, options, log)
        self.wait(self._listens, "the server to listen")

    def _listens(self) -> bool:
        assert self.server is not None
        if not self.server.is_running():
            raise Broken(f"the server does not start, see {self.folder / 'server.log'}")
        return "serving on" in (self.folder / "server.log").read_text()[self._log_chars :]

    def start_till(self, name: str, **more: Any) -> Process:
        """Start a till, or start it again, on its own outbox."""
        outbox = (self.plan.till_data or self.folder) / f"{name}.db"
        options = {
            "address": f"{self.host}:{self.port}" if "netns" in self.plan.till else self.proxy.address,
            "terminal": name,
            "token": self.plan.token,
            "location": f"store-{name.rpartition('-')[2]}",
            "db": str(outbox),
            "journal": str(self.folder / f"{name}.journal"),
            "control": str(self.folder / f"{name}.ctl"),
            "seed": self.rng.getrandbits(32),
            **self.plan.till,
            **more,
        }
        journal = Path(options["journal"])
        journal.touch()
        self._journals.add(journal)
        self.tills[name] = self._farm.start(TILL, options, self.folder / f"{name}.log")
        return self.tills[name]

    def tell_server(self, **request: Any) -> Any:
        """Have the server change one of its switches; `{}` where it is gone."""
        try:
            return control.ask(self.folder / "server.ctl", request)
        except OSError:
            return {}

    def tell_till(self, name: str, *, may_die: bool = False, **request: Any) -> Any:
        """Ask a till, once it has come up; where it `may_die` of the request, None if it did."""
        path = self.folder / f"{name}.ctl"
        answers: list[Any] = []

        def asked() -> bool:
            try:
                answers.append(control.ask(path, request))
            except OSError:
                if not self.tills[name].is_running():
                    if may_die:
                        return True
                    raise Broken(f"till {name} ended by itself, see {self.folder / name}.log") from None
            return bool(answers)

        self.wait(asked, f"till {name} to answer")
        return answers[-1] if answers else None

    # ------------------------------------------------------------------ time

    def wait(self, is_so: Callable[[], bool], what: str, timeout_seconds: float | None = None) -> None:
        """Wait until something is so; Broken where it never is."""
        timeout_seconds = timeout_seconds or self.plan.patience_seconds
        deadline = time.monotonic() + timeout_seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise Broken(f"waited {timeout_seconds:.0f} s for {what}")
            time.sleep(0.004)

    def breathe(self, least: float = 0.02, most: float = 0.15) -> None:
        """Let the load go on for a random moment."""
        time.sleep(self.rng.uniform(least, most))

    def acknowledged(self) -> int:
        """How many postings the tills have read an answer for."""
        self.account.read(self._journals)
        return len(self.account.acknowledged)

    def wait_for_answers(self, more: int) -> None:
        """Wait until so many more postings have been acknowledged."""
        wanted = self.acknowledged() + more
        self.wait(lambda: self.acknowledged() >= wanted, f"{more} more answers")

    def connections(self) -> int:
        """How many connections the server's kernel takes to be standing."""
        assert self.server is not None
        port = f":{self.port:04X}"
        lines = Path(f"/proc/{self.server.pid}/net/tcp").read_text().splitlines()[1:]
        return sum(line.split()[1].endswith(port) and line.split()[3] == _ESTABLISHED for line in lines)

    # ------------------------------------------------------------------ faults and checks

    def freeze(self, processes: Iterable[Process]) -> None:
        """Stop processes where they are, be it within a flush: after a power cut nobody may say anything more."""
        for process in processes:
            process.signal(signal.SIGSTOP)
            self.wait(process.stands_still, "a process to stand still")

    def kill_server(self) -> None:
        """kill -9."""
        assert self.server is not None
        self.server.kill()

    def recover(self) -> None:
        """Start the dead server again, and see before any till may speak that it kept what it had answered."""
        self.proxy.shut()
        self.acknowledged()
        self.start_server()
        self.check_kept()
        self.proxy.open()

    def check_kept(self) -> None:
        """All that was acknowledged is in the ledger at this moment."""
        gone = checker.missing(self.db, self.account.acknowledged)
        self.verdict.lost += len(gone)
        for posting_id in gone:
            self.account.answers.pop(posting_id, None)  # counted once

    def settle(self) -> Verdict:
        """Heal, let every till deliver what it holds, and judge."""
        self.proxy.chances = {}
        self.proxy.open()
        if self.server is None or not self.server.is_running():
            self.verdict.others.append("the server ended by itself")
            self.start_server()
        for name in self.tills:
            self.tell_till(name, selling=False)
        self._drain()
        parked = {
            UUID(id_): reason for name in self.tills for id_, (_, reason) in self.tell_till(name, parked=True).items()
        }
        self._say_goodbye()
        self.acknowledged()
        self.verdict.add(checker.judge(self.db, self.account, parked))
        return self.verdict

    def _say_goodbye(self) -> None:
        """Every till's control totals are those of HQ."""
        for name in self.tills:
            if (said := self.tell_till(name, bye=True)) != "balanced":
                self.verdict.others.append(f"{name} said goodbye, and HQ answered {said!r}")

    def _drain(self) -> None:
        def is_empty() -> bool:
            return all(self.tell_till(name)["pending"] == 0 for name in self.tills)

        try:
            self.wait(is_empty, "the tills to deliver")
        except Broken as error:
            stuck = {name: self.tell_till(name) for name in self.tills}
            self.verdict.others.append(f"{error}: {stuck}")

    def close(self) -> None:
        """End all processes."""
        self.proxy.close()
        processes: Sequence[Process | None] = (self.server, *self.tills.values())
        for process in processes:
            if process is not None and process.is_running():
                process.kill()
