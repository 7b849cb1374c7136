"""The rows of one receipt, and whether rows that are there twice are two rows or the receipt a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pos_client.files.moments import ZonedInstant
from pos_client.files.packed_rows import OrderKey, RowEntry, RowPlaces
from pos_client.files.sales_row import NaturalKey
from pos_client.protocol.fields import PostingType
from pos_client.protocol.limits import TEXT_LENGTH_MAX
from pos_client.protocol.messages import Line
from pos_client.protocol.units import SECOND_MICROS, scaled


@dataclass(slots=True, kw_only=True)
class FileBasket(RowPlaces):
    """The rows of one natural key and type. `more` says where further runs of its rows begin, and in which file.

    Its rows are kept by `PackedRows` until `lines` are made of them.
    """

    key: NaturalKey
    file: int
    line: int
    location: str
    other_location: str | None
    lane: str
    type: PostingType
    first: ZonedInstant
    latest: ZonedInstant
    lines: list[RowEntry] = field(init=False)
    more: list[tuple[int, int]] | None = None

    @property
    def name(self) -> str:
        """The key as people read it."""
        return "/".join(self.key)

    @property
    def reference(self) -> str:
        """The reference of its postings."""
        return self.name[:TEXT_LENGTH_MAX]

    def runs(self) -> Iterator[tuple[int, list[RowEntry]]]:
        """Rows that follow each other, with the number of their file."""
        starts = [(0, self.file), *(self.more or ())]
        ends = [start for start, _ in starts[1:]] + [len(self.lines)]
        for (start, file), end in zip(starts, ends, strict=True):
            yield file, self.lines[start:end]


class Untold(Exception):
    """Nothing in the files tells whether rows or a receipt are there twice."""


class Differs(Exception):
    """A receipt is there twice, and not the same; the message says which of its line numbers shows it, if one does."""


def sort_key(entry: RowEntry) -> tuple[OrderKey, str, str, int, int]:
    """What the lines of a receipt are sorted by, so that the same sales in another order give the same bytes."""
    order, line, _ = entry
    price = 0 if line.unit_price is _UNSET else scaled(line.unit_price)  # type: ignore[arg-type]
    return order, str(line.sku), str(line.gtin), scaled(line.quantity), price


_UNSET = Line(0).unit_price
_NO_NUMBER = (1, 0, "")
_DAY_MICROS = 24 * 60 * 60 * SECOND_MICROS


def told_once(basket: FileBasket, repeats: str | None, has_order: bool) -> bool:
    """Leave the rows in `basket` that count; True if it was there more than once.

    `repeats` says what is there twice: `rows` or `receipts`; None: what the files and the line numbers (`has_order`)
    tell. Raises Untold if they do not, and Differs if a receipt comes in two versions.
    """
    if repeats == "rows" or len(basket.lines) == 1:
        return False
    orders = {order for order, _, _ in basket.lines} if has_order else set()
    if len(orders) == len(basket.lines):
        return False
    is_numbered = has_order and not any(set(order) == {_NO_NUMBER} for order in orders)
    kept = _by_number(basket.lines) if is_numbered else _by_place(basket, repeats)
    is_repeated = len(kept) < len(basket.lines)
    basket.lines, basket.more = kept, None
    return is_repeated


def _by_number(entries: Sequence[RowEntry]) -> list[RowEntry]:
    """Each line once; whatever has one line number must be the same line."""
    lines: dict[OrderKey, RowEntry] = {}
    for entry in entries:
        first = lines.setdefault(entry[0], entry)
        if first is not entry and _row(first) != _row(entry):
            raise Differs("/".join(text or str(number) for _, number, text in entry[0]))
    return list(lines.values())


def _by_place(basket: FileBasket, repeats: str | None) -> list[RowEntry]:
    files: dict[int, list[list[RowEntry]]] = {}
    for file, entries in basket.runs():
        files.setdefault(file, []).append(_once(entries, repeats))
    return _in_files([_in_one_file(runs, repeats) for runs in files.values()], repeats)


def _once(run: list[RowEntry], repeats: str | None) -> list[RowEntry]:
    """Of rows that follow each other, those of one receipt: all, unless the same goods come again and again.

    The same row again and again is no receipt that comes again, but so many pieces.
    """
    if 2 * len({(line.sku, line.gtin, line.quantity) for _, line, _ in run}) > len(run):
        return run
    goods = list(map(_on_its_day, run))
    if len(set(goods)) == 1:
        return run
    for size in range(2, len(run) // 2 + 1):
        if len(run) % size == 0 and _is_repeated(goods, size):
            if repeats is None:
                raise Untold
            return run[:size]
    return run


def _is_repeated(goods: Sequence[tuple[object, ...]], size: int) -> bool:
    """True if each `size` of the goods are the same, in whatever order."""
    first = Counter(goods[:size])
    return all(Counter(goods[at : at + size]) == first for at in range(size, len(goods), size))


def _in_one_file(runs: Sequence[list[RowEntry]], repeats: str | None) -> list[RowEntry]:
    if len(runs) == 1:
        return runs[0]
    rows = [entry for run in runs for entry in run]
    most: Counter[tuple[object, ...]] = Counter()
    for run in runs:
        most |= Counter(map(_on_its_day, run))
    if len(rows) == most.total():
        return rows  # no row is in two of the runs
    if repeats is None:
        raise Untold
    kept = []
    for entry in rows:
        if most[_on_its_day(entry)] > 0:
            most[_on_its_day(entry)] -= 1
            kept.append(entry)
    return kept


def _in_files(files: Sequence[list[RowEntry]], repeats: str | None) -> list[RowEntry]:
    if len(files) == 1:
        return files[0]
    first = Counter(map(_row, files[0]))
    if any(Counter(map(_row, rows)) != first for rows in files[1:]):
        raise Differs if repeats == "receipts" else Untold
    return files[0]


def _on_its_day(entry: RowEntry) -> tuple[object, ...]:
    """What makes a row the same although an export has another time for it."""
    return *sort_key(entry), entry[2] // _DAY_MICROS


def _row(entry: RowEntry) -> tuple[object, ...]:
    return *sort_key(entry), entry[2]
