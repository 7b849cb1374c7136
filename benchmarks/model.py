"""A discrete-event model of tills, servers and one database: throughput and answer times from service times.

Each till has one sale in flight. A thread reads its frame under the server's interpreter lock; the writer takes all
waiting postings, commits them, and answers each. Servers on one database commit one at a time, since each commit holds
the ledger's row. Service times are measured (`benchmarks/calibrate.py`); nothing is fitted to the curve to reproduce.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import log
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

from simpy import Environment, Event, Resource

from inventory_server.config import Settings

SPREAD = 0.2
"""Service times are drawn uniformly within this share around their mean, to avoid lockstep."""
ROUNDS_MIN = 9
"""Minimum sales per till; the first third of the rounds is discarded."""
SALES_MIN = 2_000

Steps = Generator[Event, Any, None]


@dataclass(frozen=True, slots=True)
class Curve:
    """A measured curve over a count: linear over the count's logarithm between points, constant outside."""

    points: Sequence[tuple[float, float]]

    def at(self, number: float) -> float:
        """The value at `number`."""
        before = None
        for point in self.points:
            if number <= point[0]:
                return point[1] if before is None else _between(before, point, number)
            before = point
        return self.points[-1][1]

    def times(self, factor: float) -> Curve:
        """The same curve, scaled."""
        return Curve([(number, value * factor) for number, value in self.points])


def _between(before: tuple[float, float], after: tuple[float, float], number: float) -> float:
    share = log(number / before[0]) / log(after[0] / before[0])
    return before[1] + share * (after[1] - before[1])


@dataclass(frozen=True, slots=True)
class Costs:
    """Service times per sale in seconds. Those of a commit depend on the mean number of sales in it."""

    wake: float
    """Wake-up latency of a thread."""
    client: Curve
    """The load generator's (one thread) time per sale and answer, by its tills."""
    front: Curve
    """A server process's time excluding the commit, by its tills: sockets, threads, session, queue, handing over the
    interpreter lock. Half is spent before the commit, half after it, holding the lock."""
    judge: Curve
    """The writer's time during a commit, holding the interpreter lock."""
    store: Curve
    """The database's time during a commit; the interpreter lock is free."""
    disk: Curve
    """The commit's wait for the disk; uses no processor."""
    calls: Curve
    """How often a whole commit calls the database, releasing the interpreter lock each time."""

    def commit(self, sales: int) -> float:
        """Duration of an uncontended commit of `sales`."""
        return sales * (self.judge.at(sales) + self.store.at(sales) + self.disk.at(sales))

    @property
    def alone(self) -> float:
        """Duration of a sale when there is no other."""
        return self.client.at(1) + 3 * self.wake + self.front.at(1) + self.commit(1)

    def locked(self, tills: int) -> float:
        """Interpreter-lock time per sale if all of `tills` share a commit: its inverse bounds a server's throughput."""
        return self.front.at(tills) + self.judge.at(tills)


@dataclass(frozen=True, slots=True)
class Site:
    """The machines. Without `processors` one is always free; `round_trip` (seconds) is what each
    commit waits for a standby; `clients_apart` are tills on machines of their own, one thread each. A sale of one line
    weighs two movements."""

    processors: int = 0
    servers: int = 1
    round_trip: float = 0.0
    clients_apart: bool = False
    commit_postings_max: int = Settings().commit_movements_max // 2


class Result(NamedTuple):
    """Results of the steady part of a run; times in seconds."""

    sales_a_second: float
    answer_mean: float
    answer_p99: float
    sales_a_commit: float
    cycle_mean: float
    """Time between two sales of a till."""


def simulate(costs: Costs, site: Site, tills: int, seed: int = 1) -> Result:
    """Run `tills` with one sale in flight each past the warm-up; deterministic for a seed."""
    return _World(costs, site, tills, seed).run()


class _Sale(NamedTuple):
    at: float
    answer: float
    cycle: float


class _Server:
    def __init__(self, env: Environment, half_front: float) -> None:
        self.half_front = half_front
        self.lock = Resource(env)
        self.waiting: list[Event] = []
        self.arrived: Event | None = None


class _World:
    def __init__(self, costs: Costs, site: Site, tills: int, seed: int) -> None:
        self._costs, self._site, self._tills = costs, site, tills
        self._env = env = Environment()
        self._rng = Random(seed)
        self._processors = Resource(env, site.processors) if site.processors else None
        self._generator = None if site.clients_apart else Resource(env)
        self._ledger = Resource(env)
        self._commits: list[tuple[float, int]] = []
        self._sales: list[_Sale] = []
        self._rounds = max(ROUNDS_MIN, -(-SALES_MIN // tills))
        self._over = env.event()

    def run(self) -> Result:
        half_front = self._costs.front.at(self._tills / self._site.servers) / 2
        servers = [_Server(self._env, half_front) for _ in range(self._site.servers)]
        for server in servers:
            self._env.process(self._write(server))
        for till in range(self._tills):
            self._env.process(self._sell(servers[till % len(servers)]))
        self._env.run(self._over)
        return self._result()

    def _result(self) -> Result:
        early = self._rounds // 3 * self._tills
        steady = self._sales[early:]
        begin, end = (
            self._sales[early - 1].at,
            steady[-1].at,
        )  # whole rounds: large commits recur at the same point of each
        answers = sorted(sale.answer for sale in steady)
        sizes = [size for at, size in self._commits if at > begin]
        return Result(
            sales_a_second=len(steady) / (end - begin),
            answer_mean=fmean(answers),
            answer_p99=answers[len(answers) * 99 // 100],
            sales_a_commit=fmean(sizes),
            cycle_mean=fmean(sale.cycle for sale in steady),
        )

    # ------------------------------------------------------------------------------ processes

    def _sell(self, server: _Server) -> Steps:
        """A till, and the server's thread for its connection."""
        env, costs = self._env, self._costs
        client = costs.client.at(self._tills)
        before = env.now
        while True:
            yield from self._under(self._generator, client, wakes=True)
            sent = env.now
            yield env.timeout(costs.wake)
            yield from self._under(server.lock, server.half_front)
            answered = env.event()
            server.waiting.append(answered)
            if server.arrived is not None:
                server.arrived.succeed()
                server.arrived = None
            yield answered
            self._sales.append(_Sale(env.now, env.now - sent, env.now - before))
            before = env.now
            if len(self._sales) == self._rounds * self._tills:
                self._over.succeed()

    def _write(self, server: _Server) -> Steps:
        """A server's writer: takes all waiting postings, commits once, then answers each."""
        env, costs = self._env, self._costs
        while True:
            if not server.waiting:
                server.arrived = env.event()
                yield server.arrived
                yield env.timeout(costs.wake)
            most = self._site.commit_postings_max
            taken, server.waiting = server.waiting[:most], server.waiting[most:]
            with self._ledger.request() as turn:
                yield turn
                yield from self._commit(server, len(taken))
            self._commits.append((env.now, len(taken)))
            for answered in taken:
                yield from self._under(server.lock, server.half_front)
                answered.succeed()

    def _commit(self, server: _Server, sales: int) -> Steps:
        costs = self._costs
        calls = round(costs.calls.at(sales))
        for _ in range(calls):
            yield from self._under(server.lock, sales * costs.judge.at(sales) / calls)
            yield from self._compute(sales * costs.store.at(sales) / calls)
        yield self._env.timeout(self._drawn(sales * costs.disk.at(sales)) + self._site.round_trip)

    # ------------------------------------------------------------------------------ resources

    def _under(self, lock: Resource | None, seconds: float, wakes: bool = False) -> Steps:
        """Compute while holding `lock`; with `wakes`, add the wake-up latency if the lock is free."""
        if lock is None:
            yield self._env.timeout(self._costs.wake)
            return
        asleep = wakes and lock.count == 0
        with lock.request() as turn:
            yield turn
            if asleep:
                yield self._env.timeout(self._costs.wake)
            yield from self._compute(seconds)

    def _compute(self, seconds: float) -> Steps:
        if self._processors is None:
            yield self._env.timeout(self._drawn(seconds))
            return
        with self._processors.request() as processor:
            yield processor
            yield self._env.timeout(self._drawn(seconds))

    def _drawn(self, mean: float) -> float:
        return mean * self._rng.uniform(1 - SPREAD, 1 + SPREAD)
