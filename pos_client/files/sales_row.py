"""One row of a sales file, and the mapper that reads it from cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pos_client.files.cells import (
    CellError,
    cell_reader,
    moment_reader,
    read_currency,
    read_lane,
    read_location,
    read_quantity,
    read_sku,
    type_reader,
)
from pos_client.files.csv_reader import no_column
from pos_client.files.mapping import MappingError, SalesMapping, names
from pos_client.protocol.fields import PostingType
from pos_client.protocol.printable import is_unicode
from pos_client.protocol.units import Quantity


@dataclass(slots=True)
class SalesRow:
    """One mapped row of a sales file. `occurred_at` is in µs since 1970, `offset_minutes` its UTC offset."""

    basket: tuple[str, ...]
    order: tuple[str, ...]
    location: str
    lane: str
    type: PostingType
    occurred_at: int
    offset_minutes: int
    sku: str
    quantity: Quantity
    unit_price: Quantity | None
    currency: str | None


class RowMapper:
    """Maps the rows of files with one header. Each distinct cell text is parsed once, as columns repeat values."""

    def __init__(self, mapping: SalesMapping, header: Sequence[str], file: str) -> None:
        columns = mapping.columns
        places = {name: at for at, name in enumerate(header)}

        def at(name: str) -> int:
            if name in places:
                return places[name]
            raise MappingError(no_column(file, name, header))

        def reader(name: str | None, read: Callable[[str], Any], constant: Any) -> Callable[[Sequence[str]], Any]:
            return (lambda _: constant) if name is None else cell_reader(at(name), name, read)

        self._width = len(header)
        self._basket = [at(name) for name in names(columns.basket)]
        self._basket_names = "+".join(names(columns.basket))
        self._order = [at(name) for name in names(columns.order)]
        self._timestamp = [at(name) for name in names(columns.timestamp)]
        self._timestamp_names = "+".join(names(columns.timestamp))
        self._moments: dict[str, tuple[int, int]] = {}
        self._read_moment = moment_reader(mapping.time)
        self._location = reader(columns.location, read_location, mapping.constants.location)
        self._lane = reader(columns.lane, read_lane, mapping.constants.lane)
        self._type = reader(columns.type, type_reader(mapping.types), mapping.constants.type)
        self._sku = reader(columns.sku, read_sku, None)
        self._quantity = reader(columns.quantity, read_quantity, None)
        self._unit_price = reader(columns.unit_price, read_quantity, None)
        self._currency = reader(columns.currency, read_currency, mapping.constants.currency)

    def basket_of(self, cells: Sequence[str]) -> tuple[str, ...] | None:
        """The natural key of a row, even if nothing else of it maps; None if it has none."""
        if len(cells) != self._width:
            return None
        key = tuple([cells[at] for at in self._basket])
        return key if all(key) and is_unicode(*key) else None

    def row(self, cells: Sequence[str]) -> SalesRow:
        """The mapped row of `cells`; CellError if it does not map."""
        if len(cells) != self._width:
            raise CellError("row", f"{self._width} cells as in the header", str(len(cells)))
        basket = self.basket_of(cells)
        if basket is None:
            raise CellError(self._basket_names, "the key of a basket", "/".join(cells[at] for at in self._basket))
        occurred_at, offset_minutes = self._moment(" ".join([cells[at] for at in self._timestamp]))
        price = self._unit_price(cells)
        return SalesRow(
            basket,
            tuple([cells[at] for at in self._order]),
            self._location(cells),
            self._lane(cells),
            self._type(cells),
            occurred_at,
            offset_minutes,
            self._sku(cells),
            self._quantity(cells),
            price,
            None if price is None else self._currency(cells),
        )

    def _moment(self, text: str) -> tuple[int, int]:
        known = self._moments.get(text)
        if known is None:
            try:
                known = self._moments[text] = self._read_moment(text)
            except ValueError as error:
                raise CellError(self._timestamp_names, str(error), text) from error
        return known
