"""Reads sales files into baskets, and baskets into postings whose ids are the same in every run.

The files of one run are read as one: rows with the same natural key form one basket, wherever they are. All baskets
stay in memory until the last row is read, about 500 bytes per row: a million rows take half a gigabyte. Replay larger
files in parts that do not split a basket.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from msgspec import UNSET

from pos_client.files.cells import CellError
from pos_client.files.csv_reader import Problem, numbered, open_text
from pos_client.files.mapping import MappingError, SalesMapping
from pos_client.files.sales_row import RowMapper, SalesRow
from pos_client.protocol.fields import PostingType
from pos_client.protocol.limits import TEXT_LENGTH_MAX
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import instant, scaled
from pos_client.protocol.uuid7 import uuid7
from pos_client.protocol.wire import encode_body

OrderKey = tuple[tuple[int, int, str], ...]


@dataclass(slots=True)
class FileBasket:
    """The rows of one natural key. It is `held` back if one of its rows does not map: half a basket is wrong."""

    key: tuple[str, ...]
    file: str
    line: int
    location: str = ""
    lane: str = ""
    type: PostingType = "sale"
    occurred_at: int = 0
    offset_minutes: int = 0
    lines: list[tuple[OrderKey, Line]] = field(default_factory=list)
    held: bool = False


@dataclass(frozen=True, slots=True)
class FilePosting:
    """One posting, ready to send. `occurred_at` is in microseconds since 1970."""

    id: UUID
    occurred_at: int
    body: bytes
    basket: str
    lines: int


@dataclass(slots=True)
class FileTill:
    """The postings of one (location, lane), in the order they occurred; a simulated till sends them."""

    location: str
    lane: str
    postings: list[FilePosting] = field(default_factory=list)


class SalesFiles:
    """Reads sales files into tills. `report` receives every problem, `progress` the compressed bytes read so far."""

    def __init__(
        self,
        mapping: SalesMapping,
        report: Callable[[Problem], None],
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._mapping = mapping
        self._report = report
        self._progress = progress
        self._baskets: dict[tuple[str, ...], FileBasket] = {}
        self.rows = 0
        self.rows_not_mapped = 0
        self.rows_held = 0

    def read(self, path: Path) -> None:
        """Add the rows of one CSV file (`.gz`: compressed); MappingError if it cannot be read or lacks a column."""
        try:
            with open_text(path) as (text, read_bytes):
                self._read_rows(path, csv.reader(text, delimiter=self._mapping.delimiter), read_bytes)
        except OSError as error:
            raise MappingError(f"{path} cannot be read: {error.strerror or error}.") from error
        except (EOFError, zlib.error) as error:
            raise MappingError(f"{path} is truncated or corrupt: {error}.") from error

    def _read_rows(self, path: Path, reader: Iterator[list[str]], read_bytes: Callable[[], int]) -> None:
        header = next(reader, None)
        if header is None:
            raise MappingError(f"{path} is empty: expected a header row.")
        mapper = RowMapper(self._mapping, header, str(path))
        for line, cells in numbered(reader):
            if isinstance(cells, csv.Error):
                self._refuse(path, line, f"row: not valid CSV: {cells}")
            elif cells:
                self._add(path, line, cells, mapper)
            if self.rows % 4096 == 0:
                self._progress(read_bytes())
        self._progress(read_bytes())

    def _add(self, path: Path, line: int, cells: Sequence[str], mapper: RowMapper) -> None:
        self.rows += 1
        try:
            row = mapper.row(cells)
        except CellError as error:
            key = mapper.basket_of(cells)
            if key is not None:
                self._basket(key, path, line).held = True
            self._refuse(path, line, str(error))
            return
        basket = self._basket(row.basket, path, line)
        if not basket.lines:
            basket.location, basket.lane, basket.type = row.location, row.lane, row.type
            basket.occurred_at, basket.offset_minutes = row.occurred_at, row.offset_minutes
        elif (basket.location, basket.lane, basket.type) != (row.location, row.lane, row.type):
            basket.held = True
            expected = f"{basket.type} at {basket.location} lane {basket.lane} as in line {basket.line}"
            came = f"{row.type} at {row.location} lane {row.lane}"
            self._refuse(path, line, f"basket {_name(row.basket)}: expected {expected}, got {came}")
            return
        if row.occurred_at < basket.occurred_at:
            basket.occurred_at, basket.offset_minutes = row.occurred_at, row.offset_minutes
        basket.lines.append((tuple([_order(text) for text in row.order]), _line(row)))

    def _basket(self, key: tuple[str, ...], path: Path, line: int) -> FileBasket:
        basket = self._baskets.get(key)
        if basket is None:
            basket = self._baskets[key] = FileBasket(key, str(path), line)
        return basket

    def _refuse(self, path: Path, line: int, reason: str) -> None:
        self.rows_not_mapped += 1
        self._report(Problem(str(path), line, reason))

    def tills(self, lanes: int | None = None) -> list[FileTill]:
        """All postings, by till; with `lanes`, each location's baskets are distributed over that many tills.

        The baskets are handed over: this object holds none afterwards.
        """
        tills: dict[tuple[str, str], FileTill] = {}
        while self._baskets:
            _, basket = self._baskets.popitem()
            if basket.held:
                self._report_held(basket)
                continue
            postings = list(self._postings(basket))
            lane = basket.lane if lanes is None else str(postings[0].id.int % lanes + 1)
            till = tills.setdefault((basket.location, lane), FileTill(basket.location, lane))
            till.postings += postings
        for till in tills.values():
            till.postings.sort(key=lambda posting: (posting.occurred_at, posting.id.int))
        return [tills[key] for key in sorted(tills)]

    def _report_held(self, basket: FileBasket) -> None:
        if basket.lines:
            self.rows_held += len(basket.lines)
            reason = f"basket {_name(basket.key)} is held back: {len(basket.lines)} of its rows map, not all of them"
            self._report(Problem(basket.file, basket.line, reason))

    def _postings(self, basket: FileBasket) -> Iterator[FilePosting]:
        """One posting, or several with their own ids if the basket has more than `max_lines` lines."""
        # Sorted, so that the same sales exported in another order give the same bytes.
        basket.lines.sort(key=lambda entry: (entry[0], entry[1].sku, scaled(entry[1].quantity), _price(entry[1])))
        lines = [line for _, line in basket.lines]
        for part, first in enumerate(range(0, len(lines), self._mapping.max_lines)):
            chosen = lines[first : first + self._mapping.max_lines]
            body = Body(
                type=basket.type,
                occurred_at=instant(basket.occurred_at, basket.offset_minutes),
                lines=chosen,
                reference=_name(basket.key)[:TEXT_LENGTH_MAX],
            )
            yield FilePosting(
                id=posting_id(self._mapping.source, basket.key, basket.occurred_at, part),
                occurred_at=basket.occurred_at,
                body=encode_body(body),
                basket=_name(basket.key),
                lines=len(chosen),
            )


def posting_id(source: str, key: Sequence[str], occurred_at: int, part: int = 0) -> UUID:
    """The UUID of a basket or of a part of one: the milliseconds as in version 7, then a hash of its natural key.

    Such ids reach HQ's index nearly in order. The content of a basket is not part of its id: two baskets with the same
    goods are two sales, and a basket read twice is one.
    """
    name = json.dumps([source, *key, part] if part else [source, *key], ensure_ascii=False).encode()
    digest = hashlib.sha256(name).digest()
    tail = int.from_bytes(digest[:2]) >> 4 << 62 | int.from_bytes(digest[2:10]) & ((1 << 62) - 1)
    return uuid7(min(max(occurred_at // 1000, 0), (1 << 48) - 1), tail)


def _line(row: SalesRow) -> Line:
    return Line(
        quantity=row.quantity,
        sku=row.sku,
        unit_price=UNSET if row.unit_price is None else row.unit_price,
        currency=UNSET if row.currency is None else row.currency,
    )


def _price(line: Line) -> int:
    return 0 if line.unit_price is UNSET else scaled(line.unit_price)


def _order(text: str) -> tuple[int, int, str]:
    """A sort key: numbers by value, before text."""
    return (0, int(text), "") if text.isascii() and text.isdigit() else (1, 0, text)


def _name(key: Sequence[str]) -> str:
    return "/".join(key)
