"""What a comparison prints: a table for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.compare.verdict import BASE, HEAD, RATIO_MIN, Series, Verdict

_HEADINGS = ("workload", "base", "head", "ratio", "quartiles", "verdict")
_NOTE = (
    "Medians; rounds: {rounds}. The ratio is the median of the rounds' ratios, head : base (for answer times base : "
    "head):\nabove 1, head is better; at least {least} passes."
)


def as_text(verdicts: Sequence[Verdict]) -> str:
    """One row for each workload, and one more below it for its repetition."""
    rows = [row for verdict in verdicts for row in _rows(verdict)]
    widths = [max(len(row[column]) for row in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))]
    note = _NOTE.format(rounds=len(verdicts[0].first.ratios), least=RATIO_MIN)
    return "\n".join([*(_line(row, widths) for row in (_HEADINGS, *rows)), "", note, *_warning(verdicts)])


def _warning(verdicts: Sequence[Verdict]) -> Iterable[str]:
    noisy = [verdict.first.measure.name for verdict in verdicts if verdict.last.is_noisy]
    if noisy:
        yield f"Too noisy to tell a loss from chance: {', '.join(noisy)}. Stop other work here, or raise ROUNDS."


def _rows(verdict: Verdict) -> Iterable[tuple[str, ...]]:
    if verdict.again is None:
        yield (*_cells(verdict.first, verdict.first.measure.name), verdict.text)
    else:
        yield (*_cells(verdict.first, verdict.first.measure.name), "repeated")
        yield (*_cells(verdict.again, "  repeated"), verdict.text)


def _cells(series: Series, name: str) -> tuple[str, ...]:
    base, head = (series.measure.shown(series.median(side)) for side in (BASE, HEAD))
    lower, upper = series.quartiles
    return name, base, head, f"{series.ratio:.3f}", f"{lower:.3f} – {upper:.3f}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *figures, verdict = row
    middle = [cell.rjust(width) for cell, width in zip(figures, widths[1:-1], strict=True)]
    return "  ".join([name.ljust(widths[0]), *middle, verdict])


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Of each workload the verdict, the medians and every value; `passes` holds the repetition as its second."""
    return [
        {
            "workload": verdict.first.measure.name,
            "title": verdict.first.measure.title,
            "unit": verdict.first.measure.unit,
            "is_loss": verdict.is_loss,
            "verdict": verdict.text,
            "passes": [_series(series) for series in (verdict.first, verdict.again) if series is not None],
        }
        for verdict in verdicts
    ]


def _series(series: Series) -> dict[str, Any]:
    return {
        "base": series.median(BASE),
        "head": series.median(HEAD),
        "ratio": series.ratio,
        "quartiles": series.quartiles,
        "is_noisy": series.is_noisy,
        "ratios": series.ratios,
        "values": series.values,
    }
