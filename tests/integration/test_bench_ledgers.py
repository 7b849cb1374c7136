"""The ledgers that the benchmarks start from are what the server itself would have written."""

from pathlib import Path

import pytest

from benchmarks import ledgers, trade
from benchmarks.goals import GOALS, judge
from tests.support.maintenance import verified


@pytest.mark.long
def test_a_prepared_ledger_proves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLWIRE_BENCH_CACHE", str(tmp_path))
    prepared = ledgers.prepared(3 * 5_000)
    assert ledgers.prepared(3 * 5_000) == prepared
    ledger = ledgers.copy(prepared, tmp_path / "copy.db")
    proof = verified(f"sqlite:///{ledger}")
    assert (proof.mismatches, proof.findings) == (0, [])
    assert proof.movements == len(trade.LOCATIONS) * len(trade.SKUS) + 3 * 5_000


def test_a_goal_is_judged_by_the_median_of_the_ratios_of_each_round() -> None:
    verdict = judge(GOALS[0], {"live": [100.0, 90.0, 400.0], "R1": [2.0, 3.0, 4.0]})
    assert verdict is not None
    assert (verdict.least, verdict.median, verdict.greatest, verdict.is_met) == (30, 50, 100, True)


def test_a_goal_whose_measures_are_missing_has_no_verdict() -> None:
    assert judge(GOALS[0], {"live": [100.0]}) is None
