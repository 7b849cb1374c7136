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
from pos_client.protocol.units import scaled


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
    """A receipt is there twice, and not the same."""


def sort_key(entry: RowEntry) -> tuple[OrderKey, str, str, int, int]:
    """What the lines of a receipt are sorted by, so that the same sales in another order give the same bytes."""
    order, line, _ = entry
    price = 0 if line.unit_price is _UNSET else scaled(line.unit_price)  # type: ignore[arg-type]
    return order, str(line.sku), str(line.gtin), scaled(line.quantity), price


_UNSET = Line(0).unit_price


def told_once(basket: FileBasket, repeats: str | None, has_order: bool) -> bool:
    """Leave the rows in `basket` that count; True if it was there more than once.

    `repeats` says what is there twice: `rows` or `receipts`; None: what the files and the line numbers (`has_order`)
    tell. Raises Untold if they do not, and Differs if a receipt comes in two versions.
    """
    if basket.more is None or repeats == "rows":
        return False
    files: dict[int, list[list[RowEntry]]] = {}
    for file, entries in basket.runs():
        files.setdefault(file, []).append(entries)
    whole = [_in_one_file(runs, repeats, has_order) for runs in files.values()]
    kept = _in_files(whole, repeats, has_order)
    is_repeated = len(kept) < len(basket.lines)
    basket.lines, basket.more = kept, None
    return is_repeated


def _in_one_file(runs: Sequence[list[RowEntry]], repeats: str | None, has_order: bool) -> list[RowEntry]:
    rows = [entry for run in runs for entry in run]
    if len(runs) == 1 or _largest(runs) == Counter(map(_row, rows)):
        return rows  # no row is in two of the runs
    if repeats is None and not has_order:
        raise Untold
    return _kept(rows, _largest(runs))


def _in_files(files: Sequence[list[RowEntry]], repeats: str | None, has_order: bool) -> list[RowEntry]:
    counted = [Counter(map(_row, rows)) for rows in files]
    if all(each == counted[0] for each in counted):
        return files[0]
    if not has_order:
        raise Differs if repeats == "receipts" else Untold
    rows = [entry for each in files for entry in each]
    kept = _kept(rows, _largest(files))
    _check_versions(files)
    return kept


def _check_versions(files: Sequence[list[RowEntry]]) -> None:
    """A line number that two files have must stand for the same rows in both."""
    said: dict[OrderKey, Counter[tuple[object, ...]]] = {}
    for rows in files:
        here: dict[OrderKey, Counter[tuple[object, ...]]] = {}
        for entry in rows:
            here.setdefault(entry[0], Counter())[_row(entry)] += 1
        if any(said.setdefault(order, counted) != counted for order, counted in here.items()):
            raise Differs


def _largest(groups: Sequence[list[RowEntry]]) -> Counter[tuple[object, ...]]:
    """How often each row is in the group that has it most often."""
    most: Counter[tuple[object, ...]] = Counter()
    for entries in groups:
        most |= Counter(map(_row, entries))
    return most


def _row(entry: RowEntry) -> tuple[object, ...]:
    return *sort_key(entry), entry[2]


def _kept(rows: Sequence[RowEntry], wanted: Counter[tuple[object, ...]]) -> list[RowEntry]:
    left = Counter(wanted)
    kept = []
    for entry in rows:
        if left[_row(entry)] > 0:
            left[_row(entry)] -= 1
            kept.append(entry)
    return kept
