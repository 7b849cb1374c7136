"""`make soak`: every kind of fault in a loop, for so many minutes, and a table of what it did to the postings.

First every positive control is played: a variant that is broken on purpose has to be caught, or nothing that follows
means anything. Kinds that this machine cannot play are named with the reason. Exit code 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pos_client.commands.console import print_table
from tests.faults.harness.catalogue import KINDS
from tests.faults.harness.checker import Verdict
from tests.faults.harness.farm import Farm
from tests.faults.harness.stage import SOUND, Kind, Mutants, Stage, episode

CONTROL_TRIES = 4
"""A broken variant breaks its promise only where the fault hits the right moment: it gets several chances."""
OTHERS_MAX = 20


@dataclass
class Row:
    """What has been found out about one kind. `control` is True where the broken variant was caught."""

    kind: str
    on_copies: bool = False
    episodes: int = 0
    injected: int = 0
    control: bool | None = None
    verdict: Verdict = field(default_factory=Verdict)


class Soak:
    """Plays episodes one after another; the seed decides which, and all that is random within them."""

    def __init__(self, kinds: Sequence[Kind], seed: int, strikes: int, folder: Path) -> None:
        self.rows = {kind.name: Row(kind.name, kind.on_copies) for kind in kinds}
        self._kinds = kinds
        self._random = random.Random(seed)
        self._strikes = strikes
        self._folder = folder
        self._farm = Farm()

    def play_controls(self) -> None:
        """Have every broken variant caught."""
        for kind in self._kinds:
            row = self.rows[kind.name]
            row.control = any(self._is_caught(kind) for _ in range(CONTROL_TRIES))
            _say(f"control of {kind.name}: {'caught' if row.control else 'NOT CAUGHT'}")

    def _is_caught(self, kind: Kind) -> bool:
        return not self._play(kind, kind.control).verdict.is_clean

    def play(self, until: float) -> None:
        """Play all kinds in ever new order until the monotonic clock shows `until`, each at least once."""
        is_first = True
        while is_first or time.monotonic() < until:
            for kind in self._random.sample(self._kinds, len(self._kinds)):
                if not is_first and time.monotonic() >= until:
                    return
                self._add(kind, self._play(kind, SOUND))
            is_first = False

    def _add(self, kind: Kind, stage: Stage) -> None:
        row = self.rows[kind.name]
        row.episodes += 1
        row.injected += stage.injected
        row.verdict.add(stage.verdict)
        del row.verdict.others[OTHERS_MAX:]
        if not stage.verdict.is_clean:
            _say(f"{kind.name}: {stage.verdict}; its files are in {stage.folder}")

    def _play(self, kind: Kind, mutants: Mutants) -> Stage:
        seed = self._random.getrandbits(32)
        folder = self._folder / f"{kind.name}-{seed}"
        try:
            return episode(kind, self._farm, random.Random(seed), folder, self._strikes, mutants)
        except Exception as error:  # noqa: BLE001 (one episode that cannot be played must not end the night)
            traceback.print_exc()
            stage = Stage(self._farm, random.Random(seed), folder, self._strikes)
            stage.verdict.others.append(f"could not be played: {error!r}")
            return stage

    def close(self) -> None:
        """End all processes."""
        self._farm.close()

    @property
    def is_clean(self) -> bool:
        """True where every promise was kept and every control was caught."""
        return all(row.verdict.is_clean and row.control is not False for row in self.rows.values())


def show(rows: Sequence[Row], skipped: Mapping[str, str]) -> None:
    """The table, and why some kinds are not in it."""
    names = {"fault": False} | dict.fromkeys(
        ("injected", "acknowledged", "lost", "doubled", "unbalanced", "other"), True
    )
    lines = [_line(row.kind, row.injected, row.verdict, row.control) for row in rows]
    for name, on_copies in (("all real faults", False), ("all on made-up disks", True)):
        alike = [row for row in rows if row.on_copies == on_copies]
        total = Verdict()
        for row in alike:
            total.add(row.verdict)
        lines.append(_line(name, sum(row.injected for row in alike), total, None))
    print_table(names | {"control": False}, lines)
    for name, reason in skipped.items():
        print(f"not played: {name}: {reason}")
    for row in rows:
        for other in row.verdict.others:
            print(f"{row.kind}: {other}")


def _line(name: str, injected: int, verdict: Verdict, control: bool | None) -> list[str]:
    figures = (injected, verdict.acknowledged, verdict.lost, verdict.doubled, verdict.unbalanced, len(verdict.others))
    caught = "" if control is None else "caught" if control else "NOT CAUGHT"
    return [name, *(f"{figure:,}" for figure in figures), caught]


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; return the exit code."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, the controls not counted")
    parser.add_argument("--seed", type=int, default=None, help="repeats the order of things (default: a new one)")
    parser.add_argument("--strikes", type=int, default=5, help="faults an episode, roughly")
    parser.add_argument("--kinds", default="", help="comma-separated; default: all")
    parser.add_argument("--no-controls", action="store_true", help="play no broken variants first")
    parser.add_argument("--json", dest="json_path", type=Path, help="write the result there, too")
    chosen = parser.parse_args(arguments)
    names = chosen.kinds.split(",") if chosen.kinds else list(KINDS)
    skipped = {name: reason for name in names if (reason := KINDS[name].missing()) is not None}
    kinds = [KINDS[name] for name in names if name not in skipped]
    seed = random.SystemRandom().getrandbits(32) if chosen.seed is None else chosen.seed
    folder = Path(tempfile.mkdtemp(prefix="tillwire-soak-"))
    _say(f"{len(kinds)} kinds, seed {seed}, {chosen.minutes:g} minutes, files in {folder}")
    soak = Soak(kinds, seed, chosen.strikes, folder)
    try:
        if not chosen.no_controls:
            soak.play_controls()
        soak.play(time.monotonic() + chosen.minutes * 60)
    finally:
        soak.close()
        if not any(folder.iterdir()):
            folder.rmdir()
    rows = list(soak.rows.values())
    show(rows, skipped)
    if chosen.json_path is not None:
        result = {"seed": seed, "rows": [asdict(row) for row in rows], "skipped": skipped, "clean": soak.is_clean}
        chosen.json_path.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if soak.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
