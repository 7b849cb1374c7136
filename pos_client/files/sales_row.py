"""One row of a sales file becomes a `Row`, or a `CellError` that says what was expected and what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from pos_client.files.cells import _NUMBER, read_quantity
from pos_client.files.csv_reader import no_column
from pos_client.files.mapping import MappingError, SalesMapping, Time, names, zone_of
from pos_client.protocol.errors import TillwireError
from pos_client.protocol.messages import Currency, Location, PostingType, Sku
from pos_client.protocol.units import Quantity, micros, utc_offset_minutes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_UNITS = {"epoch": 1_000_000, "epoch_ms": 1_000}


class CellError(TillwireError):
    """One cell that does not map: what was expected, what came."""

    def __init__(self, column: str, expected: str, came: str) -> None:
        super().__init__(f"{column}: expected {expected}, got {came[:60]!r}")


@dataclass(slots=True)
class Row:
    """One line of a sales file, mapped. `occurred_at` is in microseconds since 1970, shown at `offset_minutes`."""

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
    """Maps the rows of files with one header. Every distinct cell text is read once: columns repeat themselves."""

    def __init__(self, mapping: SalesMapping, header: Sequence[str], file: str) -> None:
        columns = mapping.columns
        places = {name: at for at, name in enumerate(header)}

        def at(name: str) -> int:
            if name in places:
                return places[name]
            raise MappingError(no_column(file, name, header))

        def reader(name: str | None, read: Callable[[str], Any], constant: Any) -> Callable[[Sequence[str]], Any]:
            return (lambda _: constant) if name is None else _cell_reader(at(name), name, read)

        self._width = len(header)
        self._basket = [at(name) for name in names(columns.basket)]
        self._basket_names = "+".join(names(columns.basket))
        self._order = [at(name) for name in names(columns.order)]
        self._timestamp = [at(name) for name in names(columns.timestamp)]
        self._timestamp_names = "+".join(names(columns.timestamp))
        self._moments: dict[str, tuple[int, int]] = {}
        self._read_moment = moment_reader(mapping.time)
        self._location = reader(columns.location, _location, mapping.constants.location)
        self._lane = reader(columns.lane, _lane, mapping.constants.lane)
        self._type = reader(columns.type, _type_reader(mapping.types), mapping.constants.type)
        self._sku = reader(columns.sku, _sku, None)
        self._quantity = reader(columns.quantity, read_quantity, None)
        self._unit_price = reader(columns.unit_price, read_quantity, None)
        self._currency = reader(columns.currency, _currency, mapping.constants.currency)

    def basket_of(self, cells: Sequence[str]) -> tuple[str, ...] | None:
        """The natural key of a row even where nothing else of it maps; None where it has none."""
        if len(cells) != self._width:
            return None
        key = tuple([cells[at] for at in self._basket])
        return key if all(key) and _is_unicode(*key) else None

    def row(self, cells: Sequence[str]) -> Row:
        """The row of `cells`; CellError where it does not map."""
        if len(cells) != self._width:
            raise CellError("row", f"{self._width} cells as in the header", str(len(cells)))
        basket = self.basket_of(cells)
        if basket is None:
            raise CellError(self._basket_names, "the key of a basket", "/".join(cells[at] for at in self._basket))
        occurred_at, offset_minutes = self._moment(" ".join([cells[at] for at in self._timestamp]))
        price = self._unit_price(cells)
        return Row(
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


def _cell_reader(at: int, name: str, read: Callable[[str], Any]) -> Callable[[Sequence[str]], Any]:
    known: dict[str, Any] = {}

    def value(cells: Sequence[str]) -> Any:
        text = cells[at]
        if text not in known:
            try:
                known[text] = read(text)
            except ValueError as error:
                raise CellError(name, str(error), text) from error
        return known[text]

    return value


def moment_reader(time: Time) -> Callable[[str], tuple[int, int]]:
    """A function from a timestamp's text to (microseconds since 1970, offset in minutes)."""
    zone = zone_of(time.zone)
    expected = f"a timestamp like {' or '.join(time.formats)}"

    def read(text: str) -> tuple[int, int]:
        for form in time.formats:
            try:
                moment = _parse(text, form)
            except (ValueError, OverflowError):
                continue
            if moment.tzinfo is None and zone is None:
                raise ValueError("a timestamp with an offset (or set time.zone in the mapping)")
            aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
            return micros(aware), utc_offset_minutes(aware)
        raise ValueError(expected)

    return read


def _parse(text: str, form: str) -> datetime:
    if form == "iso":
        return datetime.fromisoformat(text)
    if form not in _EPOCH_UNITS:
        return datetime.strptime(text, form)  # noqa: DTZ007 - moment_reader adds the zone
    if not _NUMBER.match(text):
        raise ValueError(form)
    return _EPOCH + int(Decimal(text) * _EPOCH_UNITS[form]) * timedelta(microseconds=1)


def _type_reader(types: Mapping[str, PostingType]) -> Callable[[str], PostingType]:
    def read(text: str) -> PostingType:
        if text not in types:
            raise ValueError(f"one of {', '.join(types)} (the [types] of the mapping)")
        return types[text]

    return read


def _checked(kind: Any, expected: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            return str(msgspec.convert(text, kind)) if _is_unicode(text) else _refuse(expected)
        except msgspec.ValidationError as error:
            raise ValueError(expected) from error

    return read


def _refuse(expected: str) -> str:
    raise ValueError(expected)


def _is_unicode(*texts: str) -> bool:
    return all(text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text) for text in texts)


_sku = _checked(Sku, "a sku of 1 to 64 characters, UTF-8, without control characters")
_location = _checked(Location, "a location of 1 to 64 characters, UTF-8, without control characters")
_currency = _checked(Currency, "an ISO 4217 currency like EUR")
_lane = _checked(Location, "a lane of 1 to 64 characters, UTF-8, without control characters")
