"""HQ: the production session, writer and ledger, on a virtual clock; it can crash, drain, and come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Connection, Engine

from inventory_server.config import Settings
from inventory_server.domain.door import Outcome, OutcomeUnknown
from inventory_server.domain.requests import (
    Bye,
    CheckToken,
    FindPosting,
    Hello,
    History,
    Item,
    Ping,
    Post,
    Stock,
    StoreRequest,
)
from inventory_server.domain.roles import HQ_POSTING
from inventory_server.jsonserver import EncodedReply, Peer
from inventory_server.protocol.session import Session
from inventory_server.store.database.sqlite import Sqlite
from inventory_server.store.query import history, stock, tokens
from inventory_server.store.write.waiting import Ticket
from inventory_server.store.write.writer import Writer
from pos_client.protocol.errors import RequestError
from pos_client.protocol.messages import PostingResult, PostResult, StockResult
from tests.simulation.book import Created
from tests.simulation.database import CrashingConnection, Image
from tests.simulation.network import Link, Network
from tests.simulation.watch import POISON, Poisoned, WatchedLedger
from tests.simulation.world import MILLISECOND, SECOND, SLOW_COMMIT, Violation, World

_SQLITE = Sqlite(Path(":memory:"))


class Backup(NamedTuple):
    """A copy of the database, and the merges that had been refused, each with the position that HQ was at."""

    image: Image
    refused_merges: dict[UUID, int]


class HqCrash(BaseException):
    """The HQ process is gone, at once. Not an Exception: production code must not be able to catch it."""


class ServerEnd:
    """One connection at HQ: its session, and the frames that wait for their turn."""

    def __init__(self, link: Link, session: Session) -> None:
        self.link = link
        self.session = session
        self.inbox: deque[bytes] = deque()
        self.steps: Generator[StoreRequest, Outcome, EncodedReply | None] | None = None


class Hq:
    """One database, and one server process after another on it."""

    def __init__(
        self, world: World, network: Network, database: CrashingConnection, ledger: WatchedLedger, settings: Settings
    ) -> None:
        self.up = False
        self.draining = False
        self.poison_cuts = False
        self.skew = 0
        self._world = world
        self._network = network
        self._database = database
        self._ledger = ledger
        self._settings = settings
        self._ends: dict[Link, ServerEnd] = {}
        self._waiting: list[tuple[Ticket, ServerEnd | None]] = []
        self._stepping = False
        self._process = 0
        self._commit_delay = world.random.choice((5, 50, 1_000)) * MILLISECOND
        database.crashes = lambda: world.weather.hq_crash > 0
        database.at_point = self._at_point
        database.fault = self._storage_fault
        self.boot()

    def clock(self) -> int:
        """What HQ takes for the time."""
        return self._world.now + self.skew

    # ------------------------------------------------------------------------------ life and death

    def boot(self) -> None:
        """Start a server process; one that runs already goes on."""
        if self.up:
            return
        self._process += 1
        self.up, self.draining, self._stepping = True, False, False
        self._ledger.forget()  # it is the same object, for speed, in another process
        engine = cast(Engine, self._database)
        self._writer = Writer(engine, _SQLITE, self._ledger, self._settings, self._on_fatal)

    def crash(self, why: str) -> None:
        """Kill -9: nothing that was not committed survives, nobody is told."""
        if self.up:
            self._world.reached(f"hq crash: {why}")
            self._go_down()

    def drain(self) -> None:
        """SIGTERM: no new posts, what is held is committed and answered, then the process ends."""
        if self.up and not self.draining:
            self.draining = True
            self._world.at(self._world.between((SECOND // 10, 2 * SECOND)), "hq stops", self._stop, self._process)

    def administer(self, job: Callable[[Connection], None]) -> bool:
        """Run an operator's job between two commits; False where HQ is down."""
        if not self.up:
            return False
        ticket = self._writer.submit(job)
        self._waiting.append((ticket, None))
        self._step_and_answer(at_once=True)
        return ticket.settled and ticket.error is None

    def post(self, connection: Connection, made: Created) -> PostingResult:
        """Enter a posting of HQ's own, in the transaction of an operator's job."""
        assert made.body is not None
        item = Item(made.id, None, made.raw, made.digest, made.body, made.quantities, None)
        [outcome] = self._ledger.carry_out(connection, [Post(HQ_POSTING, [item], None)])
        assert isinstance(outcome, PostResult)
        return outcome.results[0]

    def backup(self) -> Backup:
        """A copy of the database, and what was known of it then."""
        return Backup(self._database.image(), self._ledger.refused_merges)

    def restore(self, backup: Backup) -> None:
        """The disk has failed; the last backup is put in its place, and the server starts on it."""
        self.crash("its disk failed")
        self._network.forget_answers()
        self._database.restore(backup.image)
        self._ledger.go_back({row[0]: row[6] for row in backup.image["terminal"]}, backup.refused_merges)

    def _stop(self, process: int) -> None:
        if process != self._process or not self.up:
            return
        self._world.reached("hq drained and stopped")
        self._step_and_answer(at_once=True)
        if self.up:
            self._go_down()

    def _go_down(self) -> None:
        self.up = False
        self._database.rollback()
        for link in self._ends:
            self._network.drop_hq_end(link, told=self._world.happens(0.85))
        self._ends, self._waiting = {}, []
        self._world.at(self._world.between((SECOND // 5, 8 * SECOND)), "hq boots", self.boot)

    def _on_fatal(self, error: Exception) -> None:
        """The store can no longer be trusted: the process ends after its waiters have been woken."""

    def _at_point(self, point: str) -> None:
        if point == "after commit":
            self._ledger.committed()
        if self._world.happens(self._world.weather.hq_crash):
            raise HqCrash(point)

    def _storage_fault(self) -> str | None:
        if not self._world.happens(self._world.weather.storage_error):
            return None
        return self._world.random.choice(("full", "io"))

    # ------------------------------------------------------------------------------ connections

    def accept(self, link: Link) -> bool:
        """Take a connection; False where no process listens."""
        if not self.up:
            return False
        session = Session(
            self._settings,
            Peer(f"device:{link.number}", loopback=False),
            self.clock,
            lambda: f"incident-{self._world.events}",
            lambda: b"{}",
            lambda: self.draining,
        )
        self._ends[link] = ServerEnd(link, session)
        return True

    def receive(self, link: Link, line: bytes) -> None:
        """A frame arrived: it waits for those before it."""
        end = self._ends.get(link)
        if end is None:
            return
        if self.poison_cuts and POISON in line:
            self._world.reached("poison cuts the connection")
            self._close(end, told=True)
            return
        end.inbox.append(line)
        if end.steps is None:
            self._next_frame(end)

    def _next_frame(self, end: ServerEnd) -> None:
        if end.inbox and end.link in self._ends:
            steps = end.steps = end.session.handle(end.inbox.popleft().rstrip(b"\n"))
            self._advance(end, lambda: next(steps))

    def _advance(self, end: ServerEnd, step: Callable[[], StoreRequest]) -> None:
        try:
            work = step()
        except StopIteration as finished:
            end.steps = None
            reply: EncodedReply | None = finished.value
            if reply is not None and reply.data:
                self._network.to_till(end.link, reply.data)
            if reply is not None and reply.close:
                self._close(end, told=True)
            else:
                self._next_frame(end)
            return
        pause = self._world.between((0, 5 * MILLISECOND)) if self._world.happens(0.3) else 0
        self._world.at(pause, f"work {type(work).__name__}", self._perform, end, work, self._process)

    def _close(self, end: ServerEnd, told: bool) -> None:
        self._ends.pop(end.link, None)
        self._network.drop_hq_end(end.link, told)

    # ------------------------------------------------------------------------------ work

    def _perform(self, end: ServerEnd, work: StoreRequest, process: int) -> None:
        if process != self._process or not self.up or end.link not in self._ends:
            return
        steps = end.steps
        assert steps is not None
        try:
            if isinstance(work, CheckToken | Stock | History | FindPosting):
                outcome = self.read(work)
                self._advance(end, lambda: steps.send(outcome))
                return
            assert isinstance(work, Hello | Post | Ping | Bye)
            self._waiting.append((self._writer.submit(work), end))
        except RequestError as refusal:
            error = refusal
            self._world.reached(f"answered {error.code.name}")
            self._advance(end, lambda: steps.throw(error))
            return
        self._plan_step()

    def read(self, work: CheckToken | Stock | History | FindPosting) -> Outcome:
        """Answer a question from what is committed."""
        connection = self._database.real
        if isinstance(work, Stock):
            return self.ask(work)
        if isinstance(work, CheckToken):
            return tokens.check_token(connection, work.hello)
        if isinstance(work, History):
            return history.history(connection, self._settings, work)
        return history.find_posting(connection, work)

    def ask(self, question: Stock) -> StockResult:
        """The stock that is committed."""
        return stock.stock(self._database.real, self._settings, self.clock(), question)

    def _plan_step(self) -> None:
        if self._stepping or not self._waiting:
            return
        self._stepping = True
        slow = self._world.happens(self._world.weather.slow_disk)
        delay = self._world.between(SLOW_COMMIT if slow else (0, self._commit_delay))
        self._world.at(delay, "commit", self._step, self._process)

    def _step(self, process: int) -> None:
        if process == self._process and self.up:
            self._stepping = False
            self._step_and_answer(at_once=False)
            if self.up:
                self._plan_step()

    def _step_and_answer(self, at_once: bool) -> None:
        """One commit (all there is, when stopping), then the answers: the process may die between any two."""
        trusted = True
        try:
            while self._waiting and trusted:
                if len(self._waiting) > 1:
                    self._world.reached("several frames wait for one commit")
                trusted = self._writer.step()
                settled = [pair for pair in self._waiting if pair[0].settled]
                self._waiting = [pair for pair in self._waiting if not pair[0].settled]
                self._answer(settled, at_once)
                if not at_once:
                    break
        except HqCrash as crash:
            for ticket, end in self._waiting:
                if ticket.settled and self._world.happens(0.5):  # served alone, before the one that HQ died on
                    self._wake(ticket, end, self._process)
            self.crash(str(crash))
            return
        if not trusted:
            self._world.reached("hq stops after a storage error")
            self._go_down()

    def _answer(self, settled: list[tuple[Ticket, ServerEnd | None]], at_once: bool) -> None:
        for at, (ticket, end) in enumerate(settled):
            if at and self._world.happens(self._world.weather.hq_crash):
                for told, its_end in settled[:at]:
                    self._wake(told, its_end, self._process)
                raise HqCrash("between two answers of a batch")
            if at_once:
                self._wake(ticket, end, self._process)
            else:
                delay = self._world.between((0, 5 * MILLISECOND))
                self._world.at(delay, "answer", self._wake, ticket, end, self._process)

    def _wake(self, ticket: Ticket, end: ServerEnd | None, process: int) -> None:
        if end is None or process != self._process or not self.up or end.link not in self._ends or end.steps is None:
            return
        if self._world.happens(self._world.weather.hq_crash):
            self.crash("after commit, before the answer")
            return
        steps: Any = end.steps
        if ticket.error is not None:
            if not isinstance(ticket.error, RequestError | OutcomeUnknown | Poisoned):
                raise Violation("P10", f"work met {ticket.error!r}") from ticket.error
            self._advance(end, lambda: steps.throw(ticket.error))
        else:
            self._advance(end, lambda: steps.send(ticket.outcome))
