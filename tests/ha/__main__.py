"""`make test-ha`: kill the primary under load, again and again, and compare what tills were told with the ledger.

First the control: with asynchronous replication the same checks must find postings lost, or nothing that follows means
anything. Exit code 1 where a posting was lost or doubled, something did not come back, or the control found nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from examples.ha.layout import ClusterError
from pos_client.commands.console import print_table
from tests.faults.harness.checker import Verdict
from tests.faults.harness.farm import Farm
from tests.ha.chain import Chain
from tests.ha.events import MACHINE_AHEAD, Event, sequence

LAST_WORDS_SECONDS = 5.0
"""Service may go on until answers on their way are read and HAProxy has seen two checks fail: only what is answered
later shows that it is back."""
LOAD_SECONDS = 2.0
"""How long the tills sell between one event and the next."""


@dataclass
class Happened:
    """One event: how long no till and how long the unluckiest till got no answer, and until all was as before."""

    event: str
    kills_primary: bool
    without_service_seconds: float
    one_till_seconds: float
    healthy_seconds: float
    acknowledged: int
    lost: int
    doubled: int


@dataclass
class Run:
    """Everything that happened to one chain."""

    events: list[Happened] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def kills(self) -> int:
        """How many times the primary has been killed."""
        return sum(happened.kills_primary for happened in self.events)


@contextmanager
def running(farm: Farm, tills: int, synchronous: bool) -> Iterator[Chain]:
    """A chain in a folder of its own, which stays only where something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="tillwire-ha-"))
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    chain = Chain(farm, folder, tills, synchronous)
    try:
        chain.start()
        yield chain
    except BaseException:
        _say(f"its files are in {folder}")
        chain.close(keep_folder=True)
        raise
    chain.close()
    shutil.rmtree(folder)


def happen(chain: Chain, event: Event, before: Sequence[Happened]) -> Happened:
    """Have one event happen under load, and see that all comes back by itself but what was killed from outside."""
    time.sleep(LOAD_SECONDS)
    acknowledged_before = len(chain.watch.acknowledged())
    begun = time.monotonic()
    mend = event.strike(chain)
    told = chain.watch.acknowledged()
    try:
        chain.wait_for_every_till(time.monotonic() + LAST_WORDS_SECONDS)
        without_service, one_till = chain.watch.silences(begun)
    finally:
        mend()  # also where it failed: what stands still could not be ended
    chain.cluster.wait()
    healthy = time.monotonic() - begun
    acknowledged = len(chain.watch.acknowledged()) - acknowledged_before
    lost = chain.lost(told) - sum(happened.lost for happened in before)
    doubled = chain.doubled() - sum(happened.doubled for happened in before)
    happened = Happened(
        event.name, event.kills_primary, without_service, one_till, healthy, acknowledged, lost, doubled
    )
    _say(f"{event.name}: {without_service:.1f} s without service, healthy after {healthy:.1f} s, lost {lost}")
    return happened


def play(farm: Farm, tills: int, events: Iterable[Event], synchronous: bool = True) -> Run:
    """One chain, all events, and the verdict."""
    run = Run()
    with running(farm, tills, synchronous) as chain:
        for event in events:
            run.events.append(happen(chain, event, run.events))
        run.verdict = chain.settle()
    return run


def show(run: Run) -> None:
    """The table. All times in seconds."""
    columns = {"event": False} | dict.fromkeys(
        ("times", "no service: median", "max", "one till: max", "healthy: max", "acknowledged", "lost", "doubled"), True
    )
    lines = []
    for name in dict.fromkeys(happened.event for happened in run.events):
        alike = [happened for happened in run.events if happened.event == name]
        silences = [happened.without_service_seconds for happened in alike]
        times = (
            statistics.median(silences),
            max(silences),
            max(happened.one_till_seconds for happened in alike),
            max(happened.healthy_seconds for happened in alike),
        )
        counts = (sum(getattr(happened, what) for happened in alike) for what in ("acknowledged", "lost", "doubled"))
        lines.append([name, str(len(alike)), *(f"{t:.1f}" for t in times), *(f"{n:,}" for n in counts)])
    verdict = run.verdict
    totals = (verdict.acknowledged, verdict.lost, verdict.doubled)
    lines.append(["the whole ledger, drained", "", "", "", "", "", *(f"{n:,}" for n in totals)])
    print_table(columns, lines)
    print(f"The primary was killed {run.kills} times; {verdict.unbalanced} levels unbalanced.")
    print("Lost is also what HQ had lost until a till noticed and sent it again.")
    for other in verdict.others:
        print(f"also: {other}")


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the test; return the exit code."""
    parser = argparse.ArgumentParser(prog="test-ha", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how many times the primary is killed")
    parser.add_argument("--tills", type=int, default=12, help="processes that sell")
    parser.add_argument("--no-control", action="store_true", help="leave the control with asynchronous replication out")
    parser.add_argument("--json", dest="json_path", type=Path, help="write the result there, too")
    chosen = parser.parse_args(arguments)
    farm = Farm()
    control = None
    try:
        if not chosen.no_control:
            _say("the control: asynchronous replication")
            control = play(farm, chosen.tills, [MACHINE_AHEAD], synchronous=False)
        _say("synchronous replication")
        run = play(farm, chosen.tills, sequence(chosen.kills))
    except ClusterError as error:
        print(f"test-ha: {error}", file=sys.stderr)
        return 1
    finally:
        farm.close()
    show(run)
    if control is not None:
        caught = "as it should" if control.verdict.lost else "NOT CAUGHT"
        print(f"Control, asynchronous: {control.verdict.lost:,} of {control.verdict.acknowledged:,} lost, {caught}.")
    is_clean = run.verdict.is_clean and not any(happened.lost or happened.doubled for happened in run.events)
    is_good = is_clean and (control is None or control.verdict.lost > 0)
    if chosen.json_path is not None:
        result = {"run": asdict(run), "control": None if control is None else asdict(control), "good": is_good}
        chosen.json_path.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
