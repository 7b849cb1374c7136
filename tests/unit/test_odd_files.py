"""Files with all the oddities: what is posted and what is named is what is in them, in whatever way they come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pos_client.files.rejects import write_rejects
from tests.support.bring_in import Came, bring_in
from tests.support.odd_files import BROKEN, Oddities, Receipt, mend_widths, oddities, receipts, write

Posted = dict[Any, bytes]
MANY = 5_000
"""Files in the long test."""


def came_of(paths: Sequence[Path], odd: Oddities, **changes: Any) -> Came:
    return bring_in(paths, None, {**odd.mapping(), **changes})


def by_id(came: Came) -> Posted:
    return {posting.id: posting.body for posting in came.postings}


def stock_in(sold: Sequence[Receipt]) -> dict[str, str]:
    """The change of stock that receipts mean."""
    net: Counter[str] = Counter()
    for receipt in sold:
        for row in receipt.rows:
            net[row.sku] += row.quantity if receipt.is_return else -row.quantity
    return {sku: str(_plain(quantity)) for sku, quantity in net.items()}


def _plain(thousandths: int) -> str:
    whole, rest = divmod(abs(thousandths), 1000)
    sign = "-" if thousandths < 0 else ""
    return f"{sign}{whole}" + (f".{rest:03}".rstrip("0") if rest else "")


def name_of(receipt: Receipt) -> str:
    return f"{receipt.store}/{receipt.till}/{receipt.number}"


def the_whole_file_is_posted(sold: list[Receipt], odd: Oddities, folder: Path) -> Posted:
    """All of a file without mistakes is posted, and nothing else."""
    path = folder / "whole"
    write(path, odd, sold)
    came = came_of([path], odd)
    assert came.said == []
    assert came.stock == stock_in(sold)
    assert came.read is not None
    lines, skipped = sum(posting.lines for posting in came.postings), sum(came.read.skipped.values())
    assert lines == sum(len(receipt.rows) for receipt in sold)
    assert came.read.rows + odd_lines_before(came) == lines + skipped
    return by_id(came)


def odd_lines_before(came: Came) -> int:
    """Lines before the header, which are left out and are no rows."""
    assert came.read is not None
    return came.read.skipped.get("lines before the header", 0)


def however_it_comes(sold: list[Receipt], odd: Oddities, whole: Posted, folder: Path, dice: random.Random) -> None:
    """The order of receipts and of files, files split, files twice and `max_lines` change nothing."""
    shuffled = dice.sample(sold, len(sold))
    cut = dice.randint(0, len(shuffled))
    paths = [folder / name for name in ("one", "two", "three")]
    for path, part in zip(paths, (shuffled[:cut], shuffled[cut:], shuffled), strict=True):
        write(path, odd, part)
    for chosen in (paths[:2], paths[1::-1], paths[2:]):
        came = came_of(chosen, odd, max_lines=dice.choice([1, 7, 1000]))
        assert (came.said, by_id(came)) == ([], whole)
    if odd.has_order:
        came = came_of([*paths, paths[2]], odd)
        assert (came.said, by_id(came)) == ([], whole)
        came = came_of(split_inside(sold, odd, folder, dice), odd)
        assert (came.said, by_id(came)) == ([], whole)
    receipts_that_come_again(sold, odd, whole, folder, dice)


def receipts_that_come_again(
    sold: list[Receipt], odd: Oddities, whole: Posted, folder: Path, dice: random.Random
) -> None:
    """A receipt that is in a file twice, at once or later: line numbers tell, or it is asked for."""
    again = dice.choice(sold)
    paths = [folder / "at once", folder / "later"]
    for path, at in zip(paths, (sold.index(again) + 1, len(sold)), strict=True):
        write(path, odd, [*sold[:at], again, *sold[at:]])
        if odd.has_order:
            came = came_of([path], odd)
            assert (came.said, by_id(came)) == ([], whole)
        elif len({(row.sku, row.quantity) for row in again.rows}) > 1:
            assert 'repeats = "rows"' in "".join(came_of([path], odd, repeats=None).said)
            doubled = by_id(came_of([path], odd))
            assert doubled.keys() >= whole.keys()
            assert doubled != whole


def split_inside(sold: list[Receipt], odd: Oddities, folder: Path, dice: random.Random) -> list[Path]:
    """Two files that were cut within a receipt, whose lines are numbered."""
    *others, last = sold
    at = dice.randint(0, len(last.rows))
    begun, rest = replace(last, rows=last.rows[:at]), replace(last, rows=last.rows[at:], first=last.first + at)
    paths = [folder / "begun", folder / "rest"]
    for path, part in zip(paths, ([*others, begun], [rest]), strict=True):
        write(path, odd, [each for each in part if each.rows])
    return paths


def what_is_wrong_is_named(
    sold: list[Receipt], odd: Oddities, whole: Posted, broken: dict[int, str], folder: Path
) -> None:
    """A receipt is posted as it is or named; the file mended, exactly the rest is posted."""
    path, mended = folder / "hurt", folder / "mended"
    hurt = write(path, odd, sold, broken)
    came = came_of([path], odd)
    if came.stopped:
        assert came.postings == []
        assert came.said
        return
    posted = by_id(came)
    assert posted.items() <= whole.items()
    names = {posting.basket for posting in came.postings}
    assert names.isdisjoint(name_of(receipt) for receipt in sold if receipt.number in hurt)
    if len(names) < len(sold):
        assert came.said
    write(mended, odd, sold)
    assert posted | by_id(came_of([mended], odd)) == whole
    if set(broken.values()) == {"width"}:
        the_rejects_are_mended(came, odd, posted, whole, folder)


def the_rejects_are_mended(came: Came, odd: Oddities, posted: Posted, whole: Posted, folder: Path) -> None:
    """The file of rejects, its rows put right, holds exactly the rest, each row in the receipt that it was in."""
    assert came.read is not None
    rest = folder / "rest"
    write_rejects(rest, came.read)
    mend_widths(rest, odd)
    again = came_of([rest], odd)
    assert again.said == []
    assert posted.keys().isdisjoint(by_id(again))
    assert posted | by_id(again) == whole


def check(sold: list[Receipt], odd: Oddities, broken: dict[int, str], seed: int, folder: Path) -> None:
    whole = the_whole_file_is_posted(sold, odd, folder)
    however_it_comes(sold, odd, whole, folder, random.Random(seed))
    count = sum(len(receipt.rows) for receipt in sold)
    wrong = {at % count: what for at, what in broken.items()}
    if odd.packing == "xlsx" or odd.line_end == "\r":
        wrong = {at: what for at, what in wrong.items() if what not in ("quote", "width")}
    if wrong and not (odd.fill_down and "key" in wrong.values()):
        what_is_wrong_is_named(sold, odd, whole, wrong, folder)


mistakes = st.dictionaries(st.integers(0, 30), st.sampled_from(BROKEN), max_size=2)
quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=30, deadline=None, suppress_health_check=quiet)
@given(receipts(), oddities(), mistakes, st.integers(0, 1 << 30))
def test_what_is_posted_and_named_is_what_is_in_the_file(
    tmp_path: Path, sold: list[Receipt], odd: Oddities, broken: dict[int, str], seed: int
) -> None:
    check(sold, odd, broken, seed, tmp_path)


@settings(max_examples=25, deadline=None, suppress_health_check=quiet)
@given(receipts(), oddities(), st.integers(0, 30))
def test_rejects_of_rows_that_are_filled_down_are_mended(
    tmp_path: Path, sold: list[Receipt], odd: Oddities, at: int
) -> None:
    odd = replace(odd, fill_down=True, packing="plain", line_end="\n", left_out=())
    write(tmp_path / "whole", odd, sold)
    whole = by_id(came_of([tmp_path / "whole"], odd))
    what_is_wrong_is_named(sold, odd, whole, {at % sum(len(each.rows) for each in sold): "width"}, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@settings(max_examples=MANY, deadline=None, suppress_health_check=quiet)
@given(receipts(), oddities(), mistakes, st.integers(0, 1 << 30))
def test_it_is_so_for_thousands_of_files(
    tmp_path: Path, sold: list[Receipt], odd: Oddities, broken: dict[int, str], seed: int
) -> None:
    check(sold, odd, broken, seed, tmp_path)
