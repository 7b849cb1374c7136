"""A kind of fault, and the stage on which one episode of it is played."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.harness import checker
from tests.faults.harness.checker import Verdict
from tests.faults.harness.disk import Disk
from tests.faults.harness.farm import Farm
from tests.faults.harness.link import SERVER_HOST, LossyLink
from tests.faults.harness.world import Broken, Plan, World


@dataclass(frozen=True)
class Mutants:
    """What is broken on purpose: variants of the server, of the till, or of the procedure itself."""

    server: tuple[str, ...] = ()
    till: tuple[str, ...] = ()
    procedure: bool = False


SOUND = Mutants()
CONTROL_PATIENCE_SECONDS = 5.0
"""How long a world that is broken on purpose is waited for."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault: how it is done, which broken variant the same check must catch, what the machine must offer."""

    name: str
    play: Callable[[Stage], None]
    control: Mutants
    needs: tuple[Callable[[], str | None], ...] = ()
    on_copies: bool = False
    """True where nothing real breaks: disks are made up from what was recorded or copied."""

    def missing(self) -> str | None:
        """Why this kind cannot be played here; None where it can."""
        return next((reason for need in self.needs if (reason := need()) is not None), None)


@dataclass
class Stage:
    """One episode: its randomness, its folder, what is broken on purpose, and what has happened so far."""

    farm: Farm
    rng: random.Random
    folder: Path
    strikes: int
    mutants: Mutants = SOUND
    injected: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    @contextmanager
    def world(self, plan: Plan | None = None) -> Iterator[World]:
        """A world, judged at the end; a promise that breaks on the way ends the episode."""
        plan = plan or Plan()
        server = {**plan.server, "mutants": [*plan.server.get("mutants", ()), *self.mutants.server]}
        till = {**plan.till, "mutants": [*plan.till.get("mutants", ()), *self.mutants.till]}
        patience = plan.patience_seconds if self.mutants == SOUND else CONTROL_PATIENCE_SECONDS
        plan = replace(plan, server=server, till=till, patience_seconds=patience)
        world = World(self.farm, self.rng, self.folder / "world", plan)
        try:
            yield world
            world.settle()
        except Broken as error:
            world.verdict.others.append(str(error))
            world.verdict.unbalanced += len(checker.unbalanced_levels(world.db, checker.ledger_rows(world.db)))
        finally:
            world.close()
            self.verdict.add(world.verdict)

    @contextmanager
    def disk(self) -> Iterator[Disk]:
        """A disk of the episode's own."""
        disk = Disk(self.folder / "hardware")
        try:
            yield disk
        finally:
            disk.close()

    @contextmanager
    def link(self, plan: Plan) -> Iterator[tuple[LossyLink, Plan]]:
        """A lossy cable, and `plan` with the server at one end of it and the tills at the other."""
        link = LossyLink(self.rng)
        server = {**plan.server, "host": SERVER_HOST, "netns": str(link.server_namespace)}
        till = {**plan.till, "netns": str(link.till_namespace)}
        try:
            yield link, replace(plan, server=server, till=till)
        finally:
            link.close()


def under_load(strike: Callable[[World], int], plan: Plan | None = None) -> Callable[[Stage], None]:
    """An episode that strikes again and again while the tills sell; `strike` returns how many faults it injected."""

    def play(stage: Stage) -> None:
        with stage.world(plan) as world:
            world.start()
            for _ in range(stage.strikes):
                stage.injected += strike(world)
                world.breathe()

    return play


def episode(kind: Kind, farm: Farm, rng: random.Random, folder: Path, strikes: int, mutants: Mutants = SOUND) -> Stage:
    """Play one episode of `kind`; its folder is kept only where something was wrong."""
    with ExitStack() as cleaning:
        stage = Stage(farm, rng, folder, strikes, mutants)
        kind.play(stage)
        if stage.verdict.is_clean or mutants != SOUND:
            cleaning.callback(shutil.rmtree, folder, ignore_errors=True)
    return stage
