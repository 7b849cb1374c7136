"""`make attack`: each attack against a live server beside twenty honest tills, and a table of what it did to them.

Phases of `--seconds` each: quiet, the attack, and until it is quiet again. Beside each row is its control: the same
attack against a bare listener. Exit code 1 where a server died or had an incident, a sale was lost or doubled, a proof
failed, or honest tills waited too long (the latter only with phases of a minute, shorter ones have too few sales).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pos_client.commands.console import print_table
from tests.attack.catalogue import ATTACKS
from tests.attack.measure import Wait
from tests.attack.stage import Outcome, Played, bare, outcome_of, served
from tests.support.postgres import Cluster, binaries
from tests.support.sites import PostgresSite, Site, SqliteSite

DATABASES = ("sqlite", "postgresql")
STREAMS = ("plain", "tls")
JUDGED_SECONDS = 60.0
"""Shortest phases by which waiting is judged: 1,200 sales."""
CONTROL_FACTOR = 1.5
"""How much longer than at a bare listener honest tills may wait where that alone is beyond the bound."""


@dataclass(frozen=True)
class Row:
    """One attack on one database over one kind of stream."""

    attack: str
    database: str
    stream: str
    played: Played
    control: Wait | None
    outcome: Outcome

    @property
    def is_sound(self) -> bool:
        """True where nothing went wrong but, perhaps, that tills waited."""
        outcome = self.outcome
        found = (self.played.incidents, outcome.lost, outcome.doubled)
        return self.played.survived and outcome.holds and found == (0, 0, 0)

    @property
    def is_in_time(self) -> bool:
        """True where honest tills waited no longer than they may, during the attack and afterwards."""
        bound = self.played.bound_ms
        during = bound
        if self.control is not None and self.control.p99 > bound:
            during = CONTROL_FACTOR * self.control.p99
        return self.played.during.p99 <= during and self.played.after.p99 <= bound


def play(name: str, database: str, site: Site, is_tls: bool, seconds: float, control: Wait | None) -> Row:
    """One attack, on a server of its own."""
    url = site.new()
    with tempfile.TemporaryDirectory() as folder:
        with served(url, is_tls, Path(folder)) as stage:
            played = stage.play(name, seconds, seconds)
        outcome = outcome_of(url, stage.samples())
    return Row(name, database, "tls" if is_tls else "plain", played, control, outcome)


def control_of(name: str, is_tls: bool, seconds: float) -> Wait:
    """How long honest clients of a bare listener wait during the attack."""
    with tempfile.TemporaryDirectory() as folder, bare(is_tls, Path(folder)) as stage:
        return stage.play(name, seconds, 1.0).during


@contextmanager
def sites(names: Sequence[str]) -> Iterator[dict[str, Site]]:
    """Where the ledgers are made."""
    found: dict[str, Site] = {}
    with ExitStack() as opened:
        if "sqlite" in names:
            found["sqlite"] = SqliteSite(Path(opened.enter_context(tempfile.TemporaryDirectory())))
        if "postgresql" in names:
            if binaries() is None:
                raise SystemExit("There is no PostgreSQL on this machine: leave it out with --databases sqlite.")
            found["postgresql"] = PostgresSite(opened.enter_context(Cluster(durable=True)))
        yield found


def shown(row: Row) -> list[str]:
    """The cells of a row."""
    played, outcome = row.played, row.outcome
    waits = [f"{each.p50:.1f}/{each.p99:.1f}" for each in (played.before, played.during, played.after)]
    before = played.held_before
    control = "-" if row.control is None else f"{row.control.p50:.1f}/{row.control.p99:.1f}"
    most, after = played.held_most, played.held_after
    return [
        row.attack,
        f"{row.database} {row.stream}",
        "yes" if row.is_sound else "NO",
        *waits,
        control,
        f"{played.quiet_after_seconds:.0f}",
        f"{before.pss_mib:.0f}/{most.pss_mib:.0f}/{after.pss_mib:.0f}" if before and after else "-",
        f"{most.descriptors}",
        f"{most.threads}",
        f"{played.incidents}",
        f"{outcome.lost}/{outcome.doubled} of {outcome.sales}",
        "holds" if outcome.holds else "FAILS",
        "yes" if row.is_in_time else "no",
    ]


COLUMNS = {
    "attack": False,
    "server": False,
    "sound": False,
    "before ms": True,
    "during ms": True,
    "after ms": True,
    "control ms": True,
    "quiet after s": True,
    "PSS MiB": True,
    "files": True,
    "threads": True,
    "incidents": True,
    "lost/doubled": True,
    "proof": False,
    "in time": False,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what the command line names, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make attack", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each phase (default: 60)")
    parser.add_argument("--only", nargs="+", choices=sorted(ATTACKS), default=list(ATTACKS), metavar="ATTACK")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--streams", nargs="+", choices=STREAMS, default=list(STREAMS))
    parser.add_argument("--no-control", action="store_true", help="leave out the bare listener")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE, too")
    chosen = parser.parse_args(arguments)
    rows: list[Row] = []
    with sites(chosen.databases) as found:
        for name in chosen.only:
            for stream in chosen.streams:
                is_tls = stream == "tls"
                control = None if chosen.no_control else control_of(name, is_tls, chosen.seconds)
                for database, site in found.items():
                    row = play(name, database, site, is_tls, chosen.seconds, control)
                    rows.append(row)
                    print(" | ".join([*shown(row), row.played.did, str(row.played.troubles or "")]), flush=True)
    print_table(COLUMNS, [shown(row) for row in rows])
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    is_judged = chosen.seconds >= JUDGED_SECONDS
    return 0 if all(row.is_sound and (row.is_in_time or not is_judged) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
