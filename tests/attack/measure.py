"""What is measured: what the server's process holds, and how long honest clients waited."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.25
"""Time between two looks at the server's process."""
_PSS = re.compile(r"^Pss:\s+(\d+)", re.M)
_THREADS = re.compile(r"^Threads:\s+(\d+)", re.M)


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    pss_mib: float
    descriptors: int
    threads: int


def held_by(pid: int) -> Held | None:
    """What it holds now; None where it is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        pss, threads = (
            _PSS.search((folder / "smaps_rollup").read_text()),
            _THREADS.search((folder / "status").read_text()),
        )
        if pss is None or threads is None:
            return None
        return Held(int(pss[1]) / 1_024, len(list((folder / "fd").iterdir())), int(threads[1]))
    except OSError:
        return None


class Watch:
    """Looks at a process again and again, in a `with` block; `most` is the most of each that it held."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.most = Held(0, 0, 0)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            if (held := held_by(self._pid)) is not None:
                most = self.most
                self.most = Held(
                    max(most.pss_mib, held.pss_mib),
                    max(most.descriptors, held.descriptors),
                    max(most.threads, held.threads),
                )


@dataclass(frozen=True)
class Wait:
    """How long honest clients waited in one phase, in ms; `samples` is how many there were."""

    p50: float
    p99: float
    samples: int


@dataclass(frozen=True)
class Sample:
    """A line of the honest clients' log."""

    began: float
    kind: str
    ms: float
    outcome: str
    till: str = ""
    id: str = ""

    @property
    def ended(self) -> float:
        return self.began + self.ms / 1_000


def samples_of(log: Path) -> list[Sample]:
    """All that the honest clients have logged so far."""
    return [Sample(*json.loads(line)) for line in log.read_text().splitlines() if line.endswith("]")]


def waited(samples: list[Sample], since: float, until: float, kinds: tuple[str, ...] = ("post",)) -> Wait:
    """How long those waited that began between two instants."""
    times = sorted(each.ms for each in samples if each.kind in kinds and since <= each.began < until)
    if not times:
        return Wait(float("nan"), float("nan"), 0)
    return Wait(times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)], len(times))


def troubles(samples: list[Sample], since: float, until: float) -> dict[str, int]:
    """What honest clients were told, or suffered, but for what they asked for."""
    within = [each for each in samples if since <= each.began < until]
    fine = ("ok", "posted", "duplicate")
    return dict(Counter(f"{each.kind}: {each.outcome}" for each in within if each.outcome not in fine))
