"""One row of a sales file, and the mapper that reads it from cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from pos_client.files.cells import (
    KEEP_CODES,
    cell_reader,
    code_reader,
    read_currency,
    read_gtin,
    read_lane,
    read_location,
    read_sku,
    type_reader,
)
from pos_client.files.limits import LINES_KEPT_MAX, TEXTS_KEPT_MAX
from pos_client.files.moments import MomentReader, ZonedInstant
from pos_client.files.numbers import NumberReader
from pos_client.files.problems import CellError, TextError
from pos_client.files.settings import TRANSFERS, SalesMapping, TypeInFile, mapped, names
from pos_client.files.table import places
from pos_client.protocol.messages import Line
from pos_client.protocol.printable import is_unicode
from pos_client.protocol.units import Quantity

SIGNED = ("sale", "adjustment")
"""What may have a negative quantity."""

NaturalKey = tuple[str, ...]
Cells = Sequence[str]


@dataclass(slots=True)
class SalesRow:
    """One mapped row of a sales file."""

    basket: NaturalKey
    order: tuple[str, ...]
    location: str
    other_location: str | None
    lane: str
    kind: TypeInFile
    moment: ZonedInstant
    line: Line


class RowMapper:
    """Maps the rows of one file. Each distinct cell text is parsed once, as columns repeat values.

    Times later than `now` (µs since 1970) by a day are refused, unless it is None.
    """

    def __init__(
        self, mapping: SalesMapping, header: Sequence[str], file: str, formats: Sequence[str], now: int | None = None
    ) -> None:
        columns, constants = mapping.columns, mapping.constants
        self.places = places(file, header, dict.fromkeys(str(name) for _, name in mapped(mapping)))
        self._mapping = mapping
        self._trim = mapping.trim
        keep = mapping.spreadsheet_codes == "keep"
        self._check_code = code_reader(str, keep, KEEP_CODES)
        self._basket = self._at(columns.basket)
        self._checked: NaturalKey = ()
        self._basket_names = "+".join(names(columns.basket))
        self._constant_key = None if constants.basket is None or self._basket else (constants.basket,)
        self._order = self._at(columns.order)
        self._timestamp = self._at(columns.timestamp)
        self._timestamp_names = "+".join(names(columns.timestamp)) or "constants.timestamp"
        self._read_moment = MomentReader(mapping.time, formats, now)
        self._moments: dict[tuple[str, str, str | None] | str, ZonedInstant] = {}
        self._is_one_zone = not mapping.time.zones and columns.zone is None
        self._zone = self._reader(columns.zone, str, None)
        self._location = self._reader(
            columns.location, code_reader(read_location, keep, KEEP_CODES), constants.location
        )
        self._other = self._reader(
            columns.other_location, code_reader(read_location, keep, KEEP_CODES), constants.other_location
        )
        self._lane = self._reader(columns.lane, read_lane, constants.lane)
        self._kind = self._joined(columns.type, type_reader(mapping.types), TypeInFile(constants.type))
        self._numbers = {
            str(name): NumberReader(mapping.decimal, mapping.thousands, mapping.strip)
            for name in (columns.quantity, columns.unit_price)
            if name is not None
        }
        self._quantity = self._number(columns.quantity, constants.quantity)
        self._price = self._number(columns.unit_price, None)
        self._currency = self._reader(columns.currency, read_currency, constants.currency)
        self._sku = self._joined(columns.sku, code_reader(read_sku, keep, KEEP_CODES), UNSET, mapping.join)
        self._gtin = self._reader(columns.gtin, code_reader(read_gtin, keep, KEEP_CODES), UNSET)
        self._either = self._at(columns.sku) if columns.gtin is not None else []
        self._lines: dict[tuple[Any, ...], Line] = {}
        self.prices_left_out = 0
        """Rows without a price because it could not be read."""

    def _at(self, columns: Any) -> list[int]:
        return [self.places[name] for name in names(columns)]

    def _reader(self, column: Any, read: Callable[[str], Any], constant: Any) -> Callable[[Cells], Any]:
        if column is None:
            return lambda _: constant
        return cell_reader(self.places[str(column)], str(column), read, self._trim)

    def _number(self, column: Any, constant: Any) -> Callable[[Cells], Any]:
        if column is not None:
            return self._reader(column, self._numbers[str(column)], None)
        value = None if constant is None else NumberReader(".", None, ())(str(constant))
        return lambda _: value

    def _joined(
        self, columns: Any, read: Callable[[str], Any], constant: Any, join: str = " "
    ) -> Callable[[Cells], Any]:
        """A reader of several columns, joined by `join`; two rows of other cells must not come to the same text."""
        at = self._at(columns)
        if len(at) < 2:
            return self._reader(names(columns)[0] if at else None, read, constant)
        known: dict[NaturalKey, Any] = {}
        made: dict[str, NaturalKey] = {}
        column = "+".join(names(columns))

        def value(cells: Cells) -> Any:
            parts = tuple([cells[each].strip() if self._trim else cells[each] for each in at])
            if parts not in known:
                text = join.join(filter(None, parts))
                try:
                    if made.setdefault(text, parts) != parts:
                        raise TextError(
                            f"parts that together are unlike {made[text]}", "join them with another sign: join"
                        )
                    known[parts] = read(text)
                except ValueError as error:
                    raise CellError(column, str(error), text, getattr(error, "advice", "")) from error
            return known[parts]

        return value

    def basket_of(self, cells: Cells) -> NaturalKey | None:
        """The natural key of a row, even if nothing else of it maps; None if it has none."""
        if self._constant_key is not None:
            return self._constant_key
        try:
            key = tuple(
                [cells[at].strip() for at in self._basket] if self._trim else [cells[at] for at in self._basket]
            )
        except IndexError:
            return None
        if self._trim:
            key = tuple([part.strip() for part in key])
        return key if all(key) else None

    def row(self, cells: Cells) -> SalesRow:
        """The mapped row of `cells`; CellError if it does not map."""
        basket = self.basket_of(cells)
        if basket is None:
            raise CellError(self._basket_names, "the key of a basket", "/".join(cells[at] for at in self._basket))
        if basket != self._checked:
            self._check_key(basket)
            self._checked = basket
        location = self._location(cells)
        moment = self._moment(cells, location)
        kind = self._kind(cells)
        quantity = self._signed(cells, kind)
        price = self._price_of(cells)
        sku = self._product(cells)
        return SalesRow(
            basket,
            tuple([cells[at] for at in self._order]),
            location,
            self._other_location(cells, location) if kind.type in TRANSFERS else None,
            self._lane(cells),
            kind,
            moment,
            self._line(quantity, sku, self._gtin(cells) if sku is UNSET else UNSET, price),
        )

    def _line(self, quantity: Quantity, sku: Any, gtin: Any, price: tuple[Quantity, Any] | None) -> Line:
        """A line; equal ones are one object, because a shop sells the same again and again."""
        key = (quantity, sku, gtin, price)
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= LINES_KEPT_MAX:
                self._lines.clear()
            unit_price, currency = (UNSET, UNSET) if price is None else price
            line = self._lines[key] = Line(quantity, sku, gtin, unit_price, currency)
        return line

    def _other_location(self, cells: Cells, location: str) -> str:
        """Where a transfer goes to, or comes from."""
        other: str = self._other(cells)
        if other == location:
            name = str(self._mapping.columns.other_location or "constants.other_location")
            raise CellError(name, "another location than that of the row", other)
        return other

    def _check_key(self, basket: NaturalKey) -> None:
        """Check a key that may hold bytes of another encoding, or a number where there was a code."""
        for part, column in zip(basket, names(self._mapping.columns.basket), strict=False):
            if part.isascii() and part.isdecimal():
                continue
            if not is_unicode(part):
                raise CellError(column, "the key of a basket in UTF-8", part, 'set encoding = "cp1252"?')
            try:
                self._check_code(part)
            except TextError as error:
                raise CellError(column, str(error), part, error.advice) from error

    def _product(self, cells: Cells) -> Any:
        if self._either and not any(cells[at].strip() for at in self._either):
            return UNSET
        return self._sku(cells)

    def _signed(self, cells: Cells, kind: TypeInFile) -> Quantity:
        quantity: Quantity = self._quantity(cells)
        if kind.quantity == "negative":
            quantity = -quantity
        if quantity < 0 and kind.type not in SIGNED:
            name = str(self._mapping.columns.quantity or "constants.quantity")
            came = cells[self.places[name]] if name in self.places else str(quantity)
            sign = "0 or less" if kind.quantity == "negative" else "0 or more"
            advice = (
                f'if the file writes them so, set {{type = "{kind.type}", quantity = "negative"}} in [types]'
                if kind.quantity == "positive"
                else ""
            )
            raise CellError(name, f"{sign} on a {kind.type}", came, advice)
        return quantity

    def _price_of(self, cells: Cells) -> tuple[Quantity, Any] | None:
        """The price and its currency; None if there is none that can be read: a price never holds back a sale."""
        try:
            price = self._price(cells)
            return None if price is None else (price, self._currency(cells) or UNSET)
        except CellError:
            self.prices_left_out += 1
            return None

    def _moment(self, cells: Cells, location: str) -> ZonedInstant:
        text = self.timestamp_of(cells)
        key = text if self._is_one_zone else (text, location, self._zone(cells))
        known = self._moments.get(key)
        if known is None:
            try:
                if len(self._moments) >= TEXTS_KEPT_MAX:
                    self._moments.clear()
                known = self._moments[key] = self._read_moment(text, location, self._zone(cells))
            except ValueError as error:
                raise CellError(self._timestamp_names, str(error), text, getattr(error, "advice", "")) from error
        return known

    def timestamp_of(self, cells: Cells) -> str:
        """The text of a row's timestamp: its columns, joined by a space."""
        if not self._timestamp:
            return str(self._mapping.constants.timestamp)
        if len(self._timestamp) == 1:
            text = cells[self._timestamp[0]]
            return text.strip() if self._trim else text
        return " ".join([cells[at].strip() for at in self._timestamp])

    def questions(self) -> Iterator[str]:
        """What the numbers of the file leave open."""
        for name, numbers in self._numbers.items():
            yield from (f"{name}: {question}" for question in numbers.questions())
