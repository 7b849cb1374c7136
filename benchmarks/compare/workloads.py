"""The loads of a comparison, and how one sample of each is taken."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare.sides import Side
from benchmarks.load import Answers, Group, drive, groups
from benchmarks.servers import Server

WARM_UP = Group("post", "warm-up", conns=8, frames=3, batch=250, ends=True)
"""The same number of sales on both sides, enough to fill the write-ahead log once: until then commits cost more."""
WARM_UP_SECONDS_MAX = 30.0
TRIAL_SECONDS = 0.3
"""Of the load itself, not counted: a server prepares each kind of statement when it first needs it."""


@dataclass(frozen=True, slots=True)
class Load:
    """Who sends what for so many seconds, and which figure of the answers counts."""

    group: Callable[[float], Group]
    value: Callable[[Answers], float]


LOADS = {
    "live": Load(groups.live, Answers.even_rate),
    "draining": Load(groups.drain, Answers.even_rate),
    "lone": Load(lambda seconds: groups.live(seconds, tills=1), lambda answers: answers.percentile(50)),
    "stock": Load(groups.asked, Answers.even_rate),
}


@dataclass(frozen=True, slots=True)
class Arena:
    """Two sides that take turns; `programs` are their load generators, `seconds` how long each piece of a load is."""

    sides: Mapping[str, Side]
    programs: Mapping[str, Path | None]
    seconds: float

    def sample(self, name: str, turns: Sequence[str]) -> dict[str, float]:
        """Of each side the mean of its pieces of the workload `name`, on a new copy of its shop."""
        load = LOADS[name]
        found: dict[str, list[float]] = {side: [] for side in self.sides}
        with contextlib.ExitStack() as running:
            servers = {name: running.enter_context(side.serving_opened_shop()) for name, side in self.sides.items()}
            for side in servers:
                self._drive(servers, side, WARM_UP, WARM_UP_SECONDS_MAX)
                self._drive(servers, side, load.group(TRIAL_SECONDS), TRIAL_SECONDS)
            for side in turns:
                answers = self._drive(servers, side, load.group(self.seconds), self.seconds)
                found[side].append(load.value(answers))
        return {side: statistics.mean(values) for side, values in found.items()}

    def _drive(self, servers: Mapping[str, Server], side: str, group: Group, seconds: float) -> Answers:
        """Drive one side, while the other one is paused: its work in the background would disturb."""
        with contextlib.ExitStack() as paused:
            for name, server in servers.items():
                if name != side:
                    paused.enter_context(server.paused())
            run = drive(servers[side].port, seconds, group, may_run_out=group is WARM_UP, program=self.programs[side])
        return run.groups[group.name]
