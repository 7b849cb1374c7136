"""The order of the measurements: base and head in turns, round by round, and losses once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.compare.verdict import BASE, HEAD, Measure, Series, Verdict

PIECES = 4
"""Into so many short loads each side's load of a round is split: what else the machine does then hits both alike."""

Sample = Callable[[Measure, Sequence[str]], Mapping[str, float]]
"""Measures one workload once, piece by piece on the side whose turn it is; returns the value of each side."""
Tell = Callable[[str], None]
"""Shows the progress."""


def compare(measures: Sequence[Measure], rounds: int, sample: Sample, tell: Tell) -> list[Verdict]:
    """Measure all in `rounds` rounds, and in as many further rounds those in which head was slower."""
    first = in_turns(measures, rounds, sample, tell)
    losses = [series.measure for series in first if series.is_loss]
    if losses:
        tell(f"Repeating what was slower than base: {', '.join(measure.name for measure in losses)}.")
    again = {series.measure: series for series in in_turns(losses, rounds, sample, tell)}
    return [Verdict(series, again.get(series.measure)) for series in first]


def in_turns(measures: Sequence[Measure], rounds: int, sample: Sample, tell: Tell) -> list[Series]:
    """Every workload on both sides in each round."""
    found = [Series(measure) for measure in measures]
    for number in range(rounds):
        for series in found:
            sampled = sample(series.measure, turns(number))
            for side, values in series.values.items():
                values.append(sampled[side])
            tell(f"round {number + 1}/{rounds}  {_latest(series)}")
    return found


def turns(number: int) -> list[str]:
    """The sides in the order of their pieces in round `number`: base, head, head, base and so on; then head first."""
    first, second = (BASE, HEAD) if number % 2 == 0 else (HEAD, BASE)
    return [first, second, second, first] * (PIECES // 2)


def _latest(series: Series) -> str:
    base, head = (series.measure.shown(series.values[side][-1]) for side in (BASE, HEAD))
    return f"{series.measure.name:8}  base {base:>16}  head {head:>16}  ratio {series.ratios[-1]:.3f}"
