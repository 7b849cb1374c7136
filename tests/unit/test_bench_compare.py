"""Comparing two commits: ratios by round, in turns, and no loss is believed before it has been repeated."""

import random
from collections.abc import Sequence

import msgspec
import pytest

from benchmarks import trade
from benchmarks.compare import opening, table, trees
from benchmarks.compare.rounds import PIECES, compare, turns
from benchmarks.compare.verdict import BASE, HEAD, Measure, Series, Verdict
from pos_client.protocol.messages import PostParams

RATE = Measure("live", "many tills", "sales/s")
TIME = Measure("lone", "one till", "ms", less_is_better=True)


def series(*ratios: float, measure: Measure = RATE) -> Series:
    """Base always has the value 100."""
    head = [100 / ratio if measure.less_is_better else 100 * ratio for ratio in ratios]
    return Series(measure, {BASE: [100.0] * len(ratios), HEAD: head})


class Machine:
    """Stands in for the servers: base has the value 100, head the next one of its workload's."""

    def __init__(self, **heads: Sequence[float]) -> None:
        self._heads = {name: list(values) for name, values in heads.items()}
        self.sampled: list[str] = []
        self.told: list[str] = []

    def sample(self, measure: Measure, order: Sequence[str]) -> dict[str, float]:
        assert order == turns(self.sampled.count(measure.name) % 2)
        self.sampled.append(measure.name)
        return {BASE: 100.0, HEAD: self._heads[measure.name].pop(0)}


@pytest.mark.parametrize(
    ("measure", "base", "head", "ratio"),
    [
        (RATE, 100.0, 110.0, 1.1),
        (RATE, 100.0, 90.0, 0.9),
        (TIME, 0.5, 0.4, 1.25),
        (TIME, 0.4, 0.5, 0.8),
    ],
)
def test_above_one_head_is_better(measure: Measure, base: float, head: float, ratio: float) -> None:
    assert Series(measure, {BASE: [base], HEAD: [head]}).ratios == pytest.approx([ratio])


def test_the_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    """Not the ratio of the medians, which would be 1: a round in which the machine is slow is slow for both."""
    found = Series(RATE, {BASE: [100.0, 50.0, 200.0], HEAD: [90.0, 100.0, 100.0]})
    assert found.ratios == [0.9, 2.0, 0.5]
    assert found.ratio == 0.9
    assert (found.median(BASE), found.median(HEAD)) == (100, 100)


@pytest.mark.parametrize(
    ("ratios", "quartiles"),
    [
        ([1.0], (1.0, 1.0)),
        ([1.0, 2.0], (1.25, 1.75)),
        ([5.0, 1.0, 3.0, 2.0, 4.0], (2.0, 4.0)),
        ([7.0, 1.0, 6.0, 2.0, 5.0, 3.0, 4.0], (2.5, 5.5)),
    ],
)
def test_quartiles(ratios: list[float], quartiles: tuple[float, float]) -> None:
    assert series(*ratios).quartiles == pytest.approx(quartiles)


@pytest.mark.parametrize(
    ("first", "again", "is_loss", "text"),
    [
        (0.95, None, False, "passed"),
        (1.30, None, False, "passed"),
        (0.94, 0.95, False, "passed when repeated, below 0.95 at first"),
        (0.94, 0.94, True, "slower: below 0.95 twice"),
    ],
)
def test_a_loss_is_one_only_when_it_was_repeated(first: float, again: float | None, is_loss: bool, text: str) -> None:
    verdict = Verdict(series(first), None if again is None else series(again))
    assert (verdict.is_loss, verdict.text) == (is_loss, text)


@pytest.mark.parametrize("number", [0, 1])
def test_each_side_has_its_turn_as_often_and_on_average_as_late(number: int) -> None:
    """So that a machine that gets slower steadily slows down both alike."""
    order = turns(number)
    places = {side: [place for place, each in enumerate(order) if each == side] for side in (BASE, HEAD)}
    assert len(places[BASE]) == len(places[HEAD]) == PIECES
    assert sum(places[BASE]) == sum(places[HEAD])


def test_who_begins_alternates() -> None:
    assert [turns(number)[0] for number in range(4)] == [BASE, HEAD, BASE, HEAD]


def test_what_passes_is_measured_once() -> None:
    machine = Machine(live=[100, 96, 90], lone=[100, 100, 100])
    verdicts = compare([RATE, TIME], 3, machine.sample, machine.told.append)
    assert [verdict.text for verdict in verdicts] == ["passed", "passed"]
    assert machine.sampled == ["live", "lone"] * 3


def test_a_loss_alone_is_repeated_with_as_many_rounds_and_those_decide() -> None:
    machine = Machine(live=[80, 80, 100, 100], lone=[100, 100])
    live, lone = compare([RATE, TIME], 2, machine.sample, machine.told.append)
    assert machine.sampled == ["live", "lone", "live", "lone", "live", "live"]
    assert live.again is not None
    assert (live.first.ratio, live.again.ratio, live.is_loss) == (0.8, 1.0, False)
    assert (lone.again, lone.is_loss) == (None, False)
    assert "Repeating what was slower than base: live." in machine.told


def test_a_loss_that_repeats_is_believed() -> None:
    machine = Machine(lone=[200, 200, 125, 125])
    (lone,) = compare([TIME], 2, machine.sample, machine.told.append)
    assert lone.again is not None
    assert (lone.first.ratio, lone.again.ratio, lone.is_loss) == (0.5, 0.8, True)


def test_the_table_shows_a_repetition_below_its_workload() -> None:
    text = table.as_text([Verdict(series(0.5, measure=TIME), series(1.25, measure=TIME)), Verdict(series(1.0))])
    rows = [line.split("  ") for line in text.splitlines()]
    shown = [[cell.strip() for cell in row if cell] for row in rows[1:4]]
    assert shown == [
        ["lone", "100.000 ms", "200.000 ms", "0.500", "0.500 – 0.500", "repeated"],
        ["repeated", "100.000 ms", "80.000 ms", "1.250", "1.250 – 1.250", "passed when repeated, below 0.95 at first"],
        ["live", "100 sales/s", "100 sales/s", "1.000", "1.000 – 1.000", "passed"],
    ]


@pytest.mark.parametrize(
    ("first", "again", "is_told"),
    [
        (series(0.96, 1.0, 1.04), None, False),
        (series(0.8, 1.0, 1.2), None, True),
        (series(0.5, 0.9, 1.3), series(1.0, 1.0, 1.0), False),
        (series(0.9, 0.9, 0.9), series(0.5, 1.0, 1.5), True),
    ],
)
def test_ratios_that_scatter_are_told_of_the_rounds_that_decided(
    first: Series, again: Series | None, is_told: bool
) -> None:
    text = table.as_text([Verdict(first, again)])
    assert ("Too noisy to tell a loss from chance: live." in text) is is_told


def test_json_holds_every_value_and_the_repetition_as_the_second_pass() -> None:
    (told,) = table.as_json([Verdict(series(0.5, 0.7), series(0.9, 0.9))])
    assert (told["workload"], told["unit"], told["is_loss"]) == ("live", "sales/s", True)
    assert [each["ratio"] for each in told["passes"]] == pytest.approx([0.6, 0.9])
    assert told["passes"][0]["values"] == {"base": [100.0, 100.0], "head": [50.0, 70.0]}


def test_without_a_commit_one_sentence_says_how_to_name_one() -> None:
    with pytest.raises(trees.UsageError, match=r"^Name the commit .*: make bench-compare BASE=<commit>\.$"):
        trees.commit_named("")


def test_the_deliveries_of_a_location_bring_every_product_once() -> None:
    frames = opening.deliveries(1_700_000_000_000_000, random.Random(1))
    items = [item for frame in frames for item in msgspec.json.decode(frame, type=PostParams).postings]
    lines = [line for item in items for line in msgspec.json.decode(item.body)["lines"]]
    assert len({item.id for item in items}) == len(items)
    assert [line["sku"] for line in lines] == trade.SKUS
