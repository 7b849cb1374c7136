"""`python -m tests.simulation`: run seeds, show what came up, and say which promise was broken, if any."""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.simulation.mutants import MUTANTS
from tests.simulation.run import Result, simulate
from tests.simulation.sweep import Report, named, run_seeds, sweep
from tests.simulation.world import DAY


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many runs (default %(default)s)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="SEED", help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default %(default)s)")
    parser.add_argument("--mutant", choices=[mutant.name for mutant in MUTANTS], help="plant this bug")
    parser.add_argument("--mutants", action="store_true", help="plant every bug in turn until it is found")
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--trace", action="store_true", help="with --seed: print every event")
    parser.add_argument("--json", action="store_true", help="print the result for programs")
    return parser.parse_args()


def main() -> int:
    """The exit code: 0 where all is well, 1 where a promise was broken or a planted bug was not found."""
    arguments = _arguments()
    if arguments.seed is not None:
        return _one(arguments)
    if arguments.mutants:
        return _all_mutants(arguments)
    started = time.perf_counter()

    def progress(done: int) -> None:
        if sys.stderr.isatty():
            rate = done / (time.perf_counter() - started)
            print(f"\r{done:,} of {arguments.seeds:,} seeds, {rate:.0f}/s ", end="", file=sys.stderr, flush=True)

    report = sweep(arguments.first, arguments.seeds, arguments.jobs, arguments.mutant, progress)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(json.dumps(report.summary(), indent=2) if arguments.json else _table(report))
    return int(bool(report.violations) != bool(arguments.mutant))


def _one(arguments: argparse.Namespace) -> int:
    trace = print if arguments.trace else None
    if arguments.mutant is None:
        result = simulate(arguments.seed, trace, thoroughly=True)
    else:
        mutant = named(arguments.mutant)
        with mutant.plant():
            result = simulate(arguments.seed, trace, unique_ids=mutant.unique_ids, thoroughly=True)
    print(json.dumps(_facts(result), indent=2) if arguments.json else _sentence(result))
    return int(bool(result.violation) != bool(arguments.mutant))


def _facts(result: Result) -> dict[str, object]:
    return {
        "seed": result.seed,
        "events": result.events,
        "virtual_days": result.virtual_micros / DAY,
        "trace_hash": result.trace_hash,
        "sometimes": result.sometimes,
        "violation": result.violation,
    }


def _sentence(result: Result) -> str:
    verdict = result.violation or "every promise was kept"
    return f"seed {result.seed}: {result.events} events, trace {result.trace_hash}: {verdict}"


def _all_mutants(arguments: argparse.Namespace) -> int:
    missed = 0
    for mutant in MUTANTS:
        report = run_seeds(arguments.first, arguments.seeds, mutant.name, stop_at_red=True)
        missed += not report.violations
        found = f"seed {report.seeds:5} {report.violations[0].rule:10}" if report.violations else "NOT FOUND"
        print(f"{mutant.name:26} {found}  {mutant.fault}", flush=True)
    return int(missed > 0)


def _table(report: Report) -> str:
    facts = report.summary()
    lines = [
        f"{'seeds':42}{facts['seeds']:>12,}",
        f"{'events':42}{facts['events']:>12,}",
        f"{'virtual days':42}{facts['virtual_days']:>12,}",
        f"{'seeds/s':42}{facts['seeds_per_second']:>12,}",
        f"{'seeds/s of processor time':42}{facts['seeds_per_core_second']:>12,}",
        *(f"  {situation:40}{times:>12,}" for situation, times in facts["sometimes"].items()),
        f"{'promises broken':42}{len(report.violations):>12,}",
        *(f"  seed {each.seed}: {each.violation}" for each in report.violations[:20]),
    ]
    if report.never:
        lines.append(f"never came up: {', '.join(report.never)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
