"""A step plot as a drawing: figures at the end of days become a path, with round numbers beside it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from pos_client.protocol.units import Quantity

WIDTH, HEIGHT = 900, 240
_LINES = 5
_STEPS = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))


@dataclass(frozen=True, slots=True)
class Drawing:
    """The paths of a plot in a box of `WIDTH` × `HEIGHT`, and the figures of its lines from the top down."""

    now: str
    then: str
    area: str
    reorder: str
    lines: list[str]
    figures: list[Decimal]
    counted: list[str]


def drawing(
    now: Sequence[Quantity], then: Sequence[Quantity], reorder: Quantity | None, counted: Sequence[int]
) -> Drawing:
    """The plot of `now` and `then`, one figure for each day; `counted` are the days of counts."""
    shown = [Decimal(each) for each in (*now, *then, 0, *([] if reorder is None else [reorder]))]
    step = _step(max(shown) - min(shown), is_whole=all(each == int(each) for each in shown))
    bottom = (min(shown) / step).to_integral_value(ROUND_FLOOR) * step
    top = max((max(shown) / step).to_integral_value(ROUND_CEILING) * step, bottom + step)
    count = int((top - bottom) / step)
    figures = [top - step * line for line in range(count + 1)]

    def y(value: Quantity) -> str:
        return f"{float((top - Decimal(value)) / (top - bottom)) * HEIGHT:.1f}"

    path = _stepped(now, y)
    return Drawing(
        now=path,
        then=_differing(now, then, y),
        area=f"{path}V{y(max(bottom, Decimal(0)))}H0Z",
        reorder="" if reorder is None else f"M0 {y(reorder)}H{WIDTH}",
        lines=[f"M0 {y(each)}H{WIDTH}" for each in figures],
        figures=figures,
        counted=[f"M{_x(day + 1, len(now))} {y(now[day])}h0" for day in counted],
    )


def _step(span: Decimal, is_whole: bool) -> Decimal:
    """A round number of which about `_LINES` cover `span`; a whole one if all figures are."""
    rough = (span or Decimal(1)) / _LINES
    unit = Decimal(10) ** rough.adjusted()
    step = next(unit * each for each in _STEPS if unit * each >= rough)
    return max(step, Decimal(1)) if is_whole else step


def _x(day: int, days: int) -> str:
    return f"{day * WIDTH / days:.1f}"


def _stepped(values: Sequence[Quantity], y: Callable[[Quantity], str]) -> str:
    steps = [f"H{_x(day, len(values))}V{y(value)}" for day, value in enumerate(values) if day]
    return f"M0 {y(values[0])}{''.join(steps)}H{WIDTH}"


def _differing(now: Sequence[Quantity], then: Sequence[Quantity], y: Callable[[Quantity], str]) -> str:
    """The stretches of `then` that differ from `now`."""
    days = len(now)
    return "".join(
        f"M{_x(day, days)} {y(then[day])}H{_x(day + 1, days)}" for day in range(days) if then[day] != now[day]
    )
