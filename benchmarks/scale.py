"""Extrapolation from measured service times: `python -m benchmarks.scale` fills `docs/scale.md`.

It reads `results/scale.json`, has the model reproduce the measured curve and, only if that succeeds, extrapolates, adds
the result to the file, and writes the tables and the picture of the page.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import chain
from benchmarks.model import Costs, Curve, Site, simulate

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
PAGE = ROOT / "docs" / "scale.md"
PICTURE = ROOT / "docs" / "scale.png"
DEVIATION_MAX = 0.15
HERE = Site(processors=2)
"""Where the curve was measured: servers and tills shared two processors."""
TILLS = (16, 64, 256, 1_000, 4_000)
FAST_DISK = 0.1
NEAR_SECONDS, FAR_SECONDS = 0.0005, 0.005
"""A standby in the same building, and one in another town."""


class Case(NamedTuple):
    """A site to compute: its title, the database whose costs apply, its machines, and a factor for the disk's time."""

    title: str
    database: str
    site: Site
    disk: float = 1.0


def _apart(servers: int = 1, round_trip: float = 0.0) -> Site:
    return Site(servers=servers, round_trip=round_trip, clients_apart=True)


CASES = (
    Case("SQLite, this machine", "sqlite", HERE),
    Case("SQLite, processors for all, tills elsewhere", "sqlite", _apart()),
    Case("SQLite, the same with a disk ten times as fast", "sqlite", _apart(), FAST_DISK),
    Case("PostgreSQL, 1 server process", "postgresql", _apart()),
    Case("PostgreSQL, 4 server processes", "postgresql", _apart(4)),
    Case("PostgreSQL, 16 server processes", "postgresql", _apart(16)),
    Case("PostgreSQL, 4, a disk ten times as fast", "postgresql", _apart(4), FAST_DISK),
    Case("PostgreSQL, 4, a standby 0.5 ms away", "postgresql", _apart(4, NEAR_SECONDS)),
    Case("PostgreSQL, 4, a standby 5 ms away", "postgresql", _apart(4, FAR_SECONDS)),
)


def costs_of(measured: dict[str, Any]) -> Costs:
    """The model's costs, from the results of `calibrate`."""
    values: dict[str, Any] = {name: Curve(each) if isinstance(each, list) else each for name, each in measured.items()}
    return Costs(**values)


def reproduced(result: dict[str, Any]) -> list[dict[str, float]]:
    """Each measured point beside the model's figure; `off` is the model's relative deviation."""
    found: dict[int, list[float]] = defaultdict(list)
    for point in result["curve"]:
        found[int(point["tills"])].append(point["live"])
    costs = costs_of(result["costs"]["sqlite"])
    return [
        _beside(tills, rates, simulate(costs, HERE, tills).sales_a_second) for tills, rates in sorted(found.items())
    ]


def workers_beside(result: dict[str, Any]) -> list[dict[str, float]]:
    """The same for server processes on PostgreSQL, all on the two processors."""
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for point in result["workers"]:
        found[int(point["workers"]), int(point["tills"])].append(point["live"])
    costs = costs_of(result["costs"]["postgresql"])
    points = []
    for (workers, tills), rates in found.items():
        model = simulate(costs, replace(HERE, servers=workers), tills).sales_a_second
        points.append({"workers": workers, **_beside(tills, rates, model)})
    return points


def _beside(tills: int, rates: Sequence[float], model: float) -> dict[str, float]:
    measured = statistics.median(rates)
    point = {"tills": tills, "measured": measured, "least": min(rates), "greatest": max(rates)}
    return {**point, "model": model, "off": model / measured - 1}


def extrapolated(result: dict[str, Any], cases: Sequence[Case] = CASES) -> list[dict[str, Any]]:
    """Sales per second of each case by number of tills, and the p99 at the last but one."""
    found = []
    for case in cases:
        costs = costs_of(result["costs"][case.database])
        costs = replace(costs, disk=costs.disk.times(case.disk))
        runs = [simulate(costs, case.site, tills) for tills in TILLS]
        rates = [run.sales_a_second for run in runs]
        found.append({"title": case.title, "rates": rates, "p99": runs[-2].answer_p99})
    return found


# ------------------------------------------------------------------------------------------ the page


def _table(sides: Sequence[str], head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    marks = ["--:" if side == "r" else "---" for side in sides]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, marks, *rows))


DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_BESIDE = ("measured, sales/s", "model", "off")


def tables(result: dict[str, Any]) -> dict[str, str]:
    """The computed parts of the page, by the names in its markers."""
    of_a_sale, of_a_level = (result["bytes"]["postgresql"][name] for name in ("sale", "level"))
    sizes = {
        "chain": _table(["", "", "r"], ["what", "derivation", "how much"], chain.rows(of_a_sale, of_a_level)),
        "bytes": _table(["", *"rr"], ["bytes, indexes included", *DATABASES.values()], list(_byte_rows(result))),
    }
    workers = zip(result["beside"], _curve_rows(result["beside"]), strict=True)
    return {
        **sizes,
        "costs": _table(["", *"rr"], ["µs a sale", *DATABASES.values()], list(_cost_rows(result))),
        "curve": _table([*"rrrr"], ["tills", *_BESIDE], list(_curve_rows(result["reproduced"]))),
        "workers": _table(
            [*"rrrrr"],
            ["server processes", "tills", *_BESIDE],
            [[f"{point['workers']}", *row] for point, row in workers],
        ),
        "cases": _table(
            ["", *"r" * (len(TILLS) + 2)],
            ["sales/s, by tills waiting for an answer", *(f"{tills:,}" for tills in TILLS), "p99", "books"],
            list(_case_rows(result)),
        ),
        "picture": f"![sales a second against tills]({PICTURE.name})",
    }


def _byte_rows(result: dict[str, Any]) -> Iterator[list[str]]:
    for name, title in {"sale": "a sale of 3 lines, its movements included", "level": "a level"}.items():
        yield [title, *(f"{result['bytes'][database][name]:,.0f}" for database in DATABASES)]


_BY_TILLS = {
    "client": "load generator, with {}",
    "front": "server excluding the commit, with {}",
}
_BY_SALES = {
    "judge": "commit of {}: the writer, under the interpreter lock",
    "store": "commit of {}: the database",
    "disk": "commit of {}: the disk",
}
SHOWN_SALES = (1, 10, 50, 200)


def _cost_rows(result: dict[str, Any]) -> Iterator[list[str]]:
    costs = [costs_of(result["costs"][database]) for database in DATABASES]
    yield ["thread wake-up latency", *(_microseconds(each.wake) for each in costs)]
    for name, title in _BY_TILLS.items():
        curves: list[Curve] = [getattr(each, name) for each in costs]
        for number, _ in curves[0].points:
            tills = f"{number:,.0f} till{'s'[: number > 1]}"
            yield [title.format(tills), *(_microseconds(curve.at(number)) for curve in curves)]
    for name, title in _BY_SALES.items():
        curves = [getattr(each, name) for each in costs]
        for number in SHOWN_SALES:
            yield [title.format(f"{number:,}"), *(_microseconds(curve.at(number)) for curve in curves)]


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}"


def _curve_rows(points: Sequence[dict[str, float]]) -> Iterator[list[str]]:
    for point in points:
        measured = f"{point['measured']:,.0f} ({point['least']:,.0f} – {point['greatest']:,.0f})"
        off = f"{round(point['off'] * 100):+d} %".replace("-", "−")
        yield [f"{point['tills']:,.0f}", measured, f"{point['model']:,.0f}", off]


def _case_rows(result: dict[str, Any]) -> Iterator[list[str]]:
    for case in result["extrapolated"]:
        rates = [f"{rate:,.0f}" for rate in case["rates"]]
        yield [case["title"], *rates, f"{case['p99'] * 1e3:,.0f} ms", str(books(max(case["rates"])))]


def books(sales_a_second: float) -> int:
    """Books the chain needs if one carries `sales_a_second` and is loaded to `chain.LOADED` at peak."""
    return ceil(chain.SALES_A_SECOND / (chain.LOADED * sales_a_second))


def filled(page: str, computed: dict[str, str]) -> str:
    """`page` with each table or picture under `<!-- computed: NAME -->` replaced."""
    for name, text in computed.items():
        marker = f"<!-- computed: {name} -->"
        page, count = re.subn(rf"{re.escape(marker)}\n([|!].*\n)*", f"{marker}\n{text}".rstrip() + "\n", page)
        if count != 1:
            raise ValueError(f"The page has {count} places for {name!r}, not one.")
    return page


def main(results: Path = RESULTS, page: Path = PAGE, picture: Path = PICTURE) -> int:
    """Reproduce the curve, then refuse or extrapolate and write; return the exit code."""
    result = json.loads(results.read_text())
    result["reproduced"] = reproduced(result)
    worst = max(result["reproduced"], key=lambda point: abs(point["off"]))
    for row in _curve_rows(result["reproduced"]):
        print(*row, sep="\t")
    if abs(worst["off"]) > DEVIATION_MAX:
        print(
            f"Off by more than {DEVIATION_MAX:.0%} at {worst['tills']} tills: nothing is extrapolated.", file=sys.stderr
        )
        return 1
    result |= {"beside": workers_beside(result), "extrapolated": extrapolated(result)}
    results.write_text(json.dumps(result, indent=1, ensure_ascii=False) + os.linesep)
    page.write_text(filled(page.read_text(), tables(result)))
    from benchmarks import plots  # not installed for the tests, which only read the tables

    plots.draw_scale(picture, result, TILLS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
