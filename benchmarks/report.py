"""Reports the measures of a run as a Markdown table and a plot.

`python -m benchmarks.report BEFORE AFTER` compares two results, given by name or by path of their JSON files.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.contenders import CONTENDERS
from benchmarks.goals import GOALS, judge

RESULTS = Path(__file__).with_name("results")


def write(folder: Path, name: str, result: dict[str, Any]) -> str:
    """Write `name`.md and `name`.png; return the Markdown."""
    plots.draw(folder / f"{name}.png", result)
    text = _markdown(name, result)
    (folder / f"{name}.md").write_text(text)
    return text


def _markdown(name: str, result: dict[str, Any]) -> str:
    values = result["values"]
    method = (
        f"Medians of {result['rounds']} rounds, everything side by side in each; loads of {result['seconds']:g} s; "
        f"in brackets the least and the greatest of the rounds. The whole run took {result['minutes']} minutes."
    )
    parts = [
        f"# Measured {result['at']}",
        method,
        _table(("", "goal", "measured", "", ""), "lrrll", _goal_rows(result)),
        f"![plots]({name}.png)",
        "## Sales a second, all durable (WAL, synchronous=FULL)",
        _table(("", "sales/s", "", "median", "p99"), "lrlrr", _contender_rows(values)),
        "## Everything that was measured",
        _table(("measure", "median", ""), "lrl", [[each, *_spread(found)] for each, found in sorted(values.items())]),
        "## The machine",
        _table(("", ""), "ll", [[each, found] for each, found in result["machine"].items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _goal_rows(result: dict[str, Any]) -> list[list[str]]:
    rows = []
    for goal in GOALS:
        title = goal.title.format(past=f"{result['past'] / 1e6:g} million")
        bound = f"{goal.sign} {goal.bound:g}{goal.unit}"
        verdict = judge(goal, result["values"])
        if verdict is None:
            reason = "; ".join(result["skipped"].values()) if "replay_s" in goal.needs else ""
            rows.append([title, bound, "–", "", f"not measured {reason}".strip()])
            continue
        spread = f"({_short(verdict.least)} – {_short(verdict.greatest)})"
        met = "met" if verdict.is_met else "**not met**"
        rows.append([title, bound, f"{_short(verdict.median)}{goal.unit}", spread, met])
    return rows


def _contender_rows(values: dict[str, list[float]]) -> list[list[str]]:
    rows = []
    for name, title in CONTENDERS.items():
        if name in values:
            times = [_spread(values[key])[0] if (key := f"{name}_{q}_ms") in values else "" for q in ("p50", "p99")]
            rows.append([title, *_spread(values[name]), *(f"{time} ms" if time else "" for time in times)])
    return rows


def _spread(found: Sequence[float]) -> list[str]:
    return [_short(statistics.median(found)), f"({_short(min(found))} – {_short(max(found))})"]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], align: str, rows: Sequence[Sequence[str]]) -> str:
    marks = ["--:" if side == "r" else "---" for side in align]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, marks, *rows))


def compare(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Two runs side by side: the measures that both have, and the ratio of the second to the first."""
    rows = []
    for name in sorted(before["values"].keys() & after["values"].keys()):
        first, second = (statistics.median(each["values"][name]) for each in (before, after))
        rows.append([name, _short(first), _short(second), f"{second / first:.2f}" if first else "–"])
    return _table(("measure", "before", "after", "after : before"), "lrrr", rows)


def _read(name: str) -> dict[str, Any]:
    path = Path(name) if name.endswith(".json") else RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    print(compare(_read(sys.argv[1]), _read(sys.argv[2])))
