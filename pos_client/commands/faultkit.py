"""`pos-client faultkit`: tests how a till program survives faults."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

from pos_client.commands import console
from pos_client.commands.options import json_option
from pos_client.faultkit.cases import CASES
from pos_client.faultkit.harness import Tally, run_case

_NAMES = [case.name for case in CASES]


@click.command("faultkit", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--case", "chosen", multiple=True, type=click.Choice(_NAMES), help="Run only this case; repeatable.")
@click.option("--minutes", type=click.FloatRange(0), help="Repeat the cases for this many minutes.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    help="How long the faults of a case last.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0.1),
    default=60.0,
    show_default=True,
    help="Seconds the program has to deliver once HQ is reliable again.",
)
@click.option("--seed", type=int, help="Random seed, to repeat a run.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the program's files and log; default: a new temporary folder.",
)
@json_option
def faultkit(
    command: Sequence[str],
    chosen: Sequence[str],
    minutes: float | None,
    seconds: float,
    patience: float,
    seed: int | None,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Run a till program, COMMAND, against an unreliable HQ, and report lost and doubled sales.

    HQ drops, delays and duplicates messages; the program is killed with -9 and restarted. The program reads HQ's
    address from TILLWIRE_SERVER (or {hq} in COMMAND), its name from TILLWIRE_TERMINAL and the folder for its files from
    TILLWIRE_FOLDER ({folder}). It prints SOLD <id> <reference> for each sale once it is stored. Exit code 1 if a sale
    was lost, doubled or refused. Use `--` before COMMAND.
    """
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    rng = random.Random(seed)
    base = Path(tempfile.mkdtemp(prefix="faultkit-")) if folder is None else folder
    cases = [case for case in CASES if not chosen or case.name in chosen]
    until = time.monotonic() + (minutes or 0) * 60
    tallies: list[Tally] = []
    with console.progress_bar("cases", len(cases), shown=not as_json) as progress:
        while not tallies or time.monotonic() < until:
            for case in cases:
                place = base.resolve() / f"{len(tallies) + 1:03}-{case.name}"
                tallies.append(run_case(case, command, place, rng, trouble_seconds=seconds, patience_seconds=patience))
                progress(len(tallies), max(len(tallies), len(cases)))
    is_good = all(tally.is_good for tally in tallies)
    if as_json:
        console.print_json({"seed": seed, "folder": str(base), "good": is_good, "cases": tallies})
    else:
        _show(tallies, seed, base)
    return console.OK if is_good else console.FOUND_PROBLEMS


def _show(tallies: Sequence[Tally], seed: int, folder: Path) -> None:
    names = {"case": False} | dict.fromkeys(("faults", "kills", "sold", "arrived", "lost", "doubled", "refused"), True)
    rows = [[tally.case, *(f"{getattr(tally, name):,}" for name in list(names)[1:])] for tally in tallies]
    console.print_table(names, rows)
    for tally in tallies:
        for note in tally.notes:
            console.say(f"{tally.case}: {note}")
    if all(tally.is_good for tally in tallies):
        console.say("Every sale arrived exactly once.")
    else:
        console.say(f"Sales were lost, doubled or refused. Seed {seed}; the program's files and log are in {folder}.")
