"""A short round of `make attack`: every attack is survived and loses, doubles and unbalances nothing; its judgement."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attack import __main__ as attack
from tests.attack import stage
from tests.attack.catalogue import ATTACKS
from tests.attack.measure import Held, Sample, Wait, troubles, waited
from tests.attack.stage import Outcome, Played, outcome_of, served
from tests.support.sites import Site

SHORT_SECONDS = 1.0
"""Enough for an attack to begin; how long honest tills wait is for `make attack` to judge."""


OF_DATABASES = ("guesses", "void_bomb", "overflow_level", "refused_bodies", "new_names", "listings", "hang_ups")
"""Attacks that meet the database: on PostgreSQL the others do what they do on SQLite."""
QUIET = Wait(4.0, 10.0, 1_200)
HELD = Held(50.0, 60, 8)
SOUND = Outcome(1_200, 0, 0, True)
PLAYED = Played(QUIET, QUIET, QUIET, QUIET, QUIET, 0.0, HELD, HELD, HELD, True, 0, {}, "3 done")
ROW = attack.Row("idle", "sqlite", "tls", PLAYED, QUIET, SOUND)


def slow(milliseconds: float) -> Wait:
    return Wait(5.0, milliseconds, 1_200)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("_all_sites", "is_tls", "names"),
    [("sqlite", True, ATTACKS), ("postgresql", False, OF_DATABASES)],
    indirect=["_all_sites"],
    ids=["tls", "plain"],
)
def test_every_attack_is_survived(site: Site, tmp_path: Path, is_tls: bool, names: Iterable[str]) -> None:
    url, incidents, found = site.new(), 0, {}
    with served(url, is_tls, tmp_path) as attacked:
        for name in names:
            attacked.attack(name, SHORT_SECONDS)
            if (now := attacked.incidents()) > incidents:
                found[name], incidents = now - incidents, now
    outcome = outcome_of(url, attacked.samples())
    assert found == {}, "incidents"
    assert (outcome.lost, outcome.doubled, outcome.holds) == (0, 0, True)


@pytest.mark.long
def test_the_command_prints_a_row_for_each_attack_and_writes_all_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "QUIET_SECONDS_MAX", 5.0)  # a busy machine may never be quiet
    path = tmp_path / "attack.json"
    options = ["--seconds", "1", "--only", "idle", "--databases", "sqlite", "--streams", "tls"]
    options += ["--json", str(path)]
    assert attack.main(options) == 0
    assert "idle" in capsys.readouterr().out
    [row] = json.loads(path.read_text())
    assert (row["attack"], row["database"], row["stream"]) == ("idle", "sqlite", "tls")
    assert row["played"]["during"]["samples"] > 0
    assert row["control"]["samples"] > 0
    assert row["outcome"]["sales"] > 0


@pytest.mark.parametrize(
    ("during", "after", "control", "is_in_time"),
    [
        (30.0, 30.0, None, True),  # 20 ms more than in quiet times
        (30.1, 10.0, None, False),
        (10.0, 30.1, None, False),
        (30.1, 10.0, slow(25.0), False),
        (60.0, 10.0, slow(40.0), True),  # the machine alone takes longer than the bound
        (60.1, 10.0, slow(40.0), False),
        (10.0, 30.1, slow(40.0), False),
    ],
)
def test_tills_may_wait_twice_as_long_or_a_little_longer_or_as_the_control(
    during: float, after: float, control: Wait | None, is_in_time: bool
) -> None:
    played = replace(PLAYED, during=slow(during), after=slow(after))
    assert replace(ROW, played=played, control=control).is_in_time is is_in_time


@pytest.mark.parametrize(
    "row",
    [
        replace(ROW, played=replace(PLAYED, survived=False)),
        replace(ROW, played=replace(PLAYED, incidents=1)),
        replace(ROW, outcome=replace(SOUND, lost=1)),
        replace(ROW, outcome=replace(SOUND, doubled=1)),
        replace(ROW, outcome=replace(SOUND, holds=False)),
    ],
)
def test_whatever_goes_wrong_is_seen(row: attack.Row) -> None:
    assert ROW.is_sound
    assert not row.is_sound
    assert "NO" in attack.shown(row)


def test_waits_are_those_of_sales_that_began_in_the_phase() -> None:
    samples = [Sample(float(at), "post", float(at), "posted", "honest-1", "id") for at in range(100)]
    samples += [
        Sample(50.0, "fresh", 9_000.0, "ok"),
        Sample(51.0, "ask", 9.0, "busy"),
        Sample(52.0, "lost", 1.0, "Reset"),
    ]
    assert waited(samples, 0.0, 100.0) == Wait(50.0, 99.0, 100)
    assert waited(samples, 0.0, 50.0) == Wait(25.0, 49.0, 50)
    assert waited(samples, 0.0, 100.0, ("fresh",)) == Wait(9_000.0, 9_000.0, 1)
    assert waited(samples, 200.0, 300.0).samples == 0
    assert troubles(samples, 0.0, 100.0) == {"ask: busy": 1, "lost: Reset": 1}
