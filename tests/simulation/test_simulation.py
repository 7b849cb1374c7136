"""Shops in which everything goes wrong, and in which nothing may be lost, doubled or miscounted.

When a seed fails: `python -m tests.simulation --seed N --trace`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pos_client.till.sender import Sender
from tests.simulation import world
from tests.simulation.mutants import MUTANTS
from tests.simulation.planting import Mutant, replaced
from tests.simulation.run import simulate
from tests.simulation.sweep import named, run_seeds, sweep

SEEDS, MANY_SEEDS = 40, 2_000
RED_WITHIN_SEEDS = 1_500
"""The rarest planted bug turned red within 1,020 seeds when this was written; a change of the world shifts that."""


def command_line(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_in_forty_worlds_every_promise_is_kept() -> None:
    report = run_seeds(0, SEEDS)
    assert [f"seed {broken.seed}: {broken.violation}" for broken in report.violations] == []


@pytest.mark.long
@pytest.mark.timeout(2_000)
def test_in_two_thousand_worlds_every_promise_is_kept_and_every_situation_comes_up() -> None:
    report = sweep(0, MANY_SEEDS, jobs=2)
    assert [f"seed {broken.seed}: {broken.violation}" for broken in report.violations] == []
    assert report.never == []
    assert report.seeds == MANY_SEEDS


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_turns_red(mutant: Mutant) -> None:
    report = run_seeds(0, RED_WITHIN_SEEDS, mutant.name, stop_at_red=True)
    assert report.violations, f"{mutant.fault}: not found within {RED_WITHIN_SEEDS} seeds"
    assert report.violations[0].rule != "P10", "a bug that crashes finds itself: it is not planted well"


def test_the_unique_index_that_some_planted_bugs_do_without_is_a_second_defence_only() -> None:
    """So what turns red without it is the bug, not the missing index."""
    assert [seed for seed in range(10) if simulate(seed, unique_ids=False).violation] == []


def test_a_planted_bug_is_gone_when_it_is_pulled_out() -> None:
    with named("stock-by-duplicate").plant():
        assert any(simulate(seed).violation for seed in range(10))
    assert not any(simulate(seed).violation for seed in range(10))


def test_a_seed_reproduces_its_run_exactly_whatever_ran_before_and_in_another_process() -> None:
    first = simulate(5)
    simulate(6)
    elsewhere = json.loads(command_line("--seed", "5", "--json", hash_seed="1").stdout)
    assert simulate(5).trace_hash == first.trace_hash == elsewhere["trace_hash"]
    assert simulate(6).trace_hash != first.trace_hash


def test_a_run_that_does_not_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "EVENTS_MAX", 50)
    assert simulate(0).rule == "quiescence"


def test_an_error_that_would_end_a_process_is_a_failure() -> None:
    with replaced(Sender, "on_post", lambda _: lambda _sender, _result: 1 / 0):
        assert simulate(0).rule == "P10"


def test_an_unknown_mutant_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="done-when-sent"):
        named("no-such-bug")


def test_the_command_prints_a_table_and_fails_where_a_promise_is_broken() -> None:
    clean = command_line("--seeds", "2", "--jobs", "1")
    assert (clean.returncode, clean.stderr) == (0, "")
    assert "promises broken" in clean.stdout
    red = command_line("--seed", "0", "--mutant", "parked-when-unanswered", "--trace")
    assert "P5" in red.stdout.splitlines()[-1]


def test_the_command_speaks_json() -> None:
    found = json.loads(command_line("--seeds", "2", "--from", "100", "--jobs", "1", "--json").stdout)
    assert (found["seeds"], found["violations"]) == (2, [])
    assert found["sometimes"]["posted"] > 0
