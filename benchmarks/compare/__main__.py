"""Compares this checkout (head) with another commit (base): `python -m benchmarks.compare --base COMMIT`.

Exit code 1 says that head is slower, confirmed by a repetition; 2 that it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.compare import table, trees
from benchmarks.compare.rounds import PIECES, compare
from benchmarks.compare.sides import Side
from benchmarks.compare.verdict import BASE, HEAD, MEASURES, Verdict
from benchmarks.compare.workloads import Arena
from benchmarks.load import LoadError, build
from benchmarks.servers import ServerError

ROUNDS = 7
SECONDS = 2.0
LOSS, NOT_MEASURED, INTERRUPTED = 1, 2, 130


def say(text: str) -> None:
    """Show progress to the person who waits."""
    print(text, file=sys.stderr, flush=True)


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the person wants."""
    options = argparse.ArgumentParser(prog="bench-compare", description=__doc__.partition("\n")[0])
    options.add_argument("--base", default="", metavar="COMMIT", help="the commit to compare with")
    options.add_argument("--only", nargs="+", choices=[measure.name for measure in MEASURES], help="these workloads")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="default %(default)s")
    options.add_argument(
        "--seconds", type=float, default=SECONDS, help="of load for each side in a round; default %(default)s"
    )
    options.add_argument("--folder", type=Path, help="where the databases lie; a temporary folder if not given")
    options.add_argument("--own-load", action="store_true", help="compile each side's own load generator")
    options.add_argument("--json", action="store_true", help="print JSON for programs")
    chosen = options.parse_args(arguments)
    if chosen.rounds < 1 or chosen.seconds <= 0:
        options.error("at least one round of more than 0 seconds is needed")
    return chosen


def run(chosen: argparse.Namespace, folder: Path) -> int:
    """Compare in `folder`, print what came of it; return the exit code."""
    commit = trees.commit_named(chosen.base)
    named = {BASE: trees.described(commit), HEAD: trees.checkout_described()}
    for side, description in named.items():
        say(f"{side}: {description}")
    arena = set_up(commit, folder, chosen)
    measures = [measure for measure in MEASURES if not chosen.only or measure.name in chosen.only]
    before = os.getloadavg()[0]
    verdicts = compare(measures, chosen.rounds, lambda measure, turns: arena.sample(measure.name, turns), say)
    show(verdicts, named, before, chosen)
    return LOSS if any(verdict.is_loss for verdict in verdicts) else 0


def set_up(commit: str, folder: Path, chosen: argparse.Namespace) -> Arena:
    """Both source trees in `folder`, each with a shop that its own code has opened."""
    source = {BASE: trees.unpack_commit(commit, folder / "base"), HEAD: trees.copy_checkout(folder / "head")}
    sides = {name: Side(tree, folder / f"{name}-run") for name, tree in source.items()}
    for side in sides.values():
        side.prepare()
    own = chosen.own_load
    programs = {name: build(folder=tree / "benchmarks" / "load") if own else None for name, tree in source.items()}
    return Arena(sides, programs, chosen.seconds / PIECES)


def show(verdicts: Sequence[Verdict], named: dict[str, str], load_before: float, chosen: argparse.Namespace) -> None:
    """Print the table, or JSON."""
    if not chosen.json:
        print(f"\nbase: {named[BASE]}\nhead: {named[HEAD]}\n\n{table.as_text(verdicts)}")
        print(f"Load average before the first round: {load_before:.2f}.")
        return
    found = {
        "commits": named,
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "load_before": load_before,
        "workloads": table.as_json(verdicts),
    }
    print(json.dumps(found, indent=1, ensure_ascii=False))


def main() -> int:
    """Compare; whatever happens, the temporary folder is removed."""
    chosen = read_options()
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="tillwire-compare-", dir=chosen.folder) as folder:
            return run(chosen, Path(folder))
    except (trees.UsageError, ServerError, LoadError, OSError, subprocess.SubprocessError) as error:
        say(f"bench-compare: {error}")
        return NOT_MEASURED
    except KeyboardInterrupt:
        say("bench-compare: interrupted; the temporary folder is removed.")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
