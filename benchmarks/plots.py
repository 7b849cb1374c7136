"""The plots of a run: sales per second of each contender, how close each goal is, how the figures scale."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.contenders import SHORT
from benchmarks.goals import GOALS, judge

matplotlib.use("Agg")
from matplotlib import pyplot

_OURS, _PEER, _LIMIT = "#1f9d63", "#c8643c", "#9a9a9a"


def draw(path: Path, result: dict[str, Any]) -> None:
    """Plot everything in `result` into the PNG at `path`."""
    grown = result["curves"]
    rows, height = (3, 13) if grown else (1, 4.6)
    figure, axes = pyplot.subplots(rows, 2, figsize=(13, height), squeeze=False)
    _contenders(axes[0][0], result["values"])
    _goals(axes[0][1], result["values"])
    if grown:
        _lines(
            axes[1][0], grown["tills"], {"live": "Tillwire", "L2": "bare echo"}, "tills, one sale in flight each", True
        )
        _lines(
            axes[1][1], grown["tills"], {"p50_ms": "median", "p99_ms": "p99"}, "tills, one sale in flight each", True
        )
        axes[1][1].set_ylabel("answer time, ms")
        _lines(
            axes[2][0], grown["batch"], {"drain": "Tillwire, 8 tills", "L1": "sqlite3 by hand"}, "sales a frame", True
        )
        _lines(
            axes[2][1],
            grown["ledger"],
            {"drain": "8 tills draining", "live": "64 live tills"},
            "movements in the ledger",
        )
    figure.suptitle(f"{result['machine']['processor']} · {result['at'][:10]}", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _contenders(axis: Any, values: dict[str, list[float]]) -> None:
    names = [name for name in SHORT if name in values][::-1]
    medians = [statistics.median(values[name]) for name in names]
    below = [median - min(values[name]) for name, median in zip(names, medians, strict=True)]
    above = [max(values[name]) - median for name, median in zip(names, medians, strict=True)]
    colours = [_PEER if name[0] == "R" else _LIMIT if name[0] == "L" else _OURS for name in names]
    bars = axis.barh([SHORT[name] for name in names], medians, xerr=[below, above], color=colours)
    axis.bar_label(bars, [f"{median:,.0f}" for median in medians], padding=4, fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(right=max(medians, default=1) * 5)
    axis.set_title("sales a second, all durable (logarithmic; echo: frames)", fontsize=10)


def _goals(axis: Any, values: dict[str, list[float]]) -> None:
    """All goals on one scale: the factor by which each exceeds its bound; 1 is just met."""
    shown = [verdict for goal in GOALS if (verdict := judge(goal, values)) is not None][::-1]
    better = [
        verdict.median / verdict.goal.bound if verdict.goal.sign == "≥" else verdict.goal.bound / verdict.median
        for verdict in shown
    ]
    labels = [verdict.goal.label for verdict in shown]
    bars = axis.barh(labels, better, color=[_OURS if verdict.is_met else _PEER for verdict in shown])
    axis.bar_label(bars, [f"{verdict.median:.3g}{verdict.goal.unit}" for verdict in shown], padding=4, fontsize=8)
    axis.set_xlim(min([*better, 1]) / 3, max([*better, 1]) * 3)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_title("goals: measured against the bound (right of the line: met)", fontsize=10)


def _lines(axis: Any, points: Sequence[dict[str, float]], names: dict[str, str], title: str, log: bool = False) -> None:
    for name, label in names.items():
        found: dict[float, list[float]] = defaultdict(list)
        for point in points:
            found[point["x"]].append(point[name])
        at = sorted(found)
        axis.plot(at, [statistics.median(found[x]) for x in at], marker="o", label=label)
        axis.fill_between(at, [min(found[x]) for x in at], [max(found[x]) for x in at], alpha=0.15)
    if log:
        axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.set_xlabel(title)
    axis.set_ylabel("a second")
    axis.grid(alpha=0.3)
    axis.legend()


def draw_scale(path: Path, result: dict[str, Any], tills: Sequence[int]) -> None:
    """Plot the model's results and the measured points into the PNG at `path`."""
    figure, axis = pyplot.subplots(figsize=(8, 4.8))
    for case in result["extrapolated"]:
        style = "-" if case["title"].startswith("SQLite") else "--"
        axis.plot(tills, case["rates"], style, marker=".", label=case["title"])
    measured = result["reproduced"]
    axis.plot([point["tills"] for point in measured], [point["measured"] for point in measured], "k^", label="measured")
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("tills waiting for an answer")
    axis.set_ylabel("sales a second")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
