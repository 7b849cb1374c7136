"""Measures everything side by side and writes `results/NAME.json`, `.md` and `.png`: `python -m benchmarks.measure`."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import ledgers, machine, report
from benchmarks.bench import Bench
from benchmarks.scenarios import SCENARIOS, Sample, Skipped, batch_curve, tills_curve

RESULTS = Path(__file__).with_name("results")
FULL = {"rounds": 5, "seconds": 3.0, "past": 20_000_000, "sales_on_till": 1_000}
QUICK = {"rounds": 1, "seconds": 1.0, "past": 2_000_000, "sales_on_till": 300}
TILLS_CURVE = (1, 4, 16, 64, 256, 1_000)
BATCH_CURVE = (1, 5, 25, 100, 250, 500)
LEDGER_CURVE = (0, 2_000_000, 7_000_000, 20_000_000)
CURVE_ROUNDS = 3
QUICK_REPLAY_ROWS = 20_000
NOT_QUICK = {"rush_paced", "load_limit", "on_postgresql"}


def say(text: str) -> None:
    """Report progress to standard error."""
    print(text, file=sys.stderr, flush=True)


def in_rounds(bench: Bench, names: list[str], rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Sample every scenario once per round, rotating the order; return the values and the skipped scenarios."""
    values: dict[str, list[float]] = {}
    skipped: dict[str, str] = {}
    for number in range(rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            if name in skipped:
                continue
            began = time.monotonic()
            try:
                sample = side_by_side(bench, name)
            except Skipped as reason:
                skipped[name] = str(reason)
                say(f"skipped {name}: {reason}")
                continue
            for measure, value in sample.items():
                values.setdefault(measure, []).append(value)
            shown = "  ".join(f"{measure} {value:,.4g}" for measure, value in sample.items())
            say(f"round {number + 1}/{rounds}  {name} ({time.monotonic() - began:.0f} s)  {shown}")
    return values, skipped


def side_by_side(bench: Bench, name: str) -> Sample:
    """One sample of a scenario, followed at once by one of the tree to compare with, if any."""
    sample = SCENARIOS[name](bench)
    if bench.tree is not None:
        before = SCENARIOS[name](replace(bench, tree=None))
        sample |= {f"{measure} here": value for measure, value in before.items()}
        sample |= {f"{measure} ratio": here / sample[measure] for measure, here in before.items() if sample[measure]}
    return sample


def curves(bench: Bench) -> dict[str, list[dict[str, Any]]]:
    """The figures by number of tills, sales a frame and ledger size; each point measured several times."""
    found: dict[str, list[dict[str, Any]]] = {"tills": [], "batch": [], "ledger": []}
    for _ in range(CURVE_ROUNDS):
        for tills in TILLS_CURVE:
            found["tills"].append({"x": tills, **tills_curve(bench, tills)})
            say(f"tills {found['tills'][-1]}")
        for batch in BATCH_CURVE:
            found["batch"].append({"x": batch, **batch_curve(bench, batch)})
            say(f"batch {found['batch'][-1]}")
    for movements in LEDGER_CURVE:
        ledger = ledgers.copy(ledgers.prepared(movements), bench.file("grown.db"))
        with bench.tillwire(ledger) as server:
            for _ in range(CURVE_ROUNDS):
                point = {"x": movements, "drain": bench.drain(server).rate(), "live": bench.live(server).rate()}
                found["ledger"].append(point)
                say(f"ledger {point}")
    bench.file("grown.db")
    return found


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="one short round, no curves: under 90 seconds")
    options.add_argument("--only", nargs="+", choices=sorted(SCENARIOS), help="only these scenarios, no curves")
    options.add_argument("--rounds", type=int)
    options.add_argument("--seconds", type=float, help="length of each load")
    options.add_argument("--name", help="of the results; bench or quick if not given")
    options.add_argument("--folder", type=Path, help="where the databases lie; a temporary folder if not given")
    options.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of sales to replay")
    options.add_argument("--before", type=Path, help="another checkout to compare with in the same rounds, with --only")
    return options.parse_args()


def main() -> None:
    """Measure, judge the goals, write the report."""
    chosen = read_options()
    plan = QUICK if chosen.quick else FULL
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_192)), hard))
    folder = Path(tempfile.mkdtemp(prefix="tillwire-bench-run-", dir=chosen.folder))
    seconds = chosen.seconds or plan["seconds"]
    replay_rows = QUICK_REPLAY_ROWS if chosen.quick else None
    bench = Bench(
        folder, seconds, int(plan["past"]), int(plan["sales_on_till"]), chosen.data, replay_rows, chosen.before
    )
    began = time.monotonic()
    try:
        described = machine.describe(folder)
        rounds = chosen.rounds or int(plan["rounds"])
        names = chosen.only or [name for name in SCENARIOS if not (chosen.quick and name in NOT_QUICK)]
        values, skipped = in_rounds(bench, names, rounds)
        grown = {} if chosen.quick or chosen.only else curves(bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "machine": described,
        "rounds": rounds,
        "seconds": seconds,
        "past": bench.past_movements,
        "values": values,
        "skipped": skipped,
        "curves": grown,
    }
    name = chosen.name or ("quick" if chosen.quick else "bench")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + os.linesep)
    print(report.write(RESULTS, name, result))


if __name__ == "__main__":
    main()
