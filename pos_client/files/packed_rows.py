"""Keeps the rows of all receipts as numbers: a tenth of the memory that they take as objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from pos_client.files.limits import ORDER_DIGITS_MAX
from pos_client.protocol.messages import Line

OrderKey = tuple[tuple[int, int, str], ...]
RowEntry = tuple[OrderKey, Line, int]
"""A line of a receipt, what it is sorted by, and when it was made, in µs since 1970."""


@dataclass(slots=True)
class RowPlaces:
    """Where the rows of a receipt are kept: `count` from `start` on, and further stretches (start, count)."""

    start: int = 0
    count: int = 0
    further: list[tuple[int, int]] | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.count + sum(count for _, count in self.further or ())

    def add(self, at: int) -> None:
        """Add a row at a place, the last of all."""
        if not self.count:
            self.start, self.count = at, 1
        elif self.further is None and self.start + self.count == at:
            self.count += 1
        elif self.further is not None and sum(self.further[-1]) == at:
            start, count = self.further[-1]
            self.further[-1] = (start, count + 1)
        else:
            self.further = [*(self.further or ()), (at, 1)]

    def __iter__(self) -> Iterator[int]:
        """The places, in the order in which they were added."""
        yield from range(self.start, self.start + self.count)
        for start, count in self.further or ():
            yield from range(start, start + count)


class PackedRows:
    """Packs rows into arrays of numbers, and unpacks them. Equal lines and equal orders are kept once."""

    def __init__(self) -> None:
        self._line_of = array("L")
        self._order_of = array("q")
        self._micros_of = array("q")
        self._lines: list[Line] = []
        self._line_numbers: dict[int, int] = {}
        self._orders: list[OrderKey] = []
        self._order_numbers: dict[tuple[str, ...], int] = {}

    def add(self, places: RowPlaces, order: tuple[str, ...], line: Line, micros: int) -> None:
        """Add a row to those at `places`."""
        number = self._line_numbers.get(id(line))
        if number is None:
            number = self._line_numbers[id(line)] = len(self._lines)  # the list keeps it alive, so its id stays its own
            self._lines.append(line)
        places.add(len(self._line_of))
        self._line_of.append(number)
        self._micros_of.append(micros)
        if len(order) == 1 and (text := order[0]).isascii() and text.isdigit() and len(text) <= ORDER_DIGITS_MAX:
            self._order_of.append(int(text))
        else:
            self._order_of.append(self._order(order))

    def _order(self, order: tuple[str, ...]) -> int:
        """A number below 0 for what is not simply a number."""
        number = self._order_numbers.get(order)
        if number is None:
            self._orders.append(tuple([_part(text) for text in order]))
            number = self._order_numbers[order] = -len(self._orders)
        return number

    def has_sku(self, places: RowPlaces, line: Line) -> bool:
        """True if a row at `places` is of the same product as `line`."""
        return any(self._lines[self._line_of[at]].sku == line.sku for at in places)

    def entries(self, places: RowPlaces) -> list[RowEntry]:
        """The rows at `places`, as they were added."""
        lines, orders = self._lines, self._orders
        return [
            (((0, order, ""),) if order >= 0 else orders[-order - 1], lines[line], micros)
            for start, count in ((places.start, places.count), *(places.further or ()))
            for order, line, micros in zip(
                self._order_of[start : start + count],
                self._line_of[start : start + count],
                self._micros_of[start : start + count],
                strict=True,
            )
        ]


def _part(text: str) -> tuple[int, int, str]:
    """A sort key: numbers by value, before text."""
    return (0, int(text), "") if text.isascii() and text.isdigit() else (1, 0, text)
