"""Reads the rows of one sales file: leaves out what is no sale, and holds back receipts that cannot be read whole."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from pos_client.files.doubts import Doubts
from pos_client.files.left_out import LeftOut
from pos_client.files.problems import CellError
from pos_client.files.receipts import Receipts
from pos_client.files.records import Unread
from pos_client.files.sales_row import NaturalKey, RowMapper
from pos_client.files.table import Table, WrongWidth, places


class FileReading:
    """The reading of one file. `file` is its number among the files of `receipts`.

    A row that cannot be assigned to a receipt may belong to that of the row before or after it: both are held back.
    """

    def __init__(self, receipts: Receipts, mapper: RowMapper, table: Table, file: int) -> None:
        self._receipts = receipts
        self._mapper = mapper
        self._table = table
        self._file = file
        mapping, header = receipts.mapping, table.header
        self._doubts = Doubts(mapping, header, list(mapper.places))
        name = receipts.files[file]
        self._left_out = LeftOut(mapping, header, name, mapper.basket_of)
        self._skipped: Counter[str] = Counter()
        filled = places(name, header, mapping.fill_down)
        self._filled = [at for column, at in filled.items() if column not in mapping.skip]
        # What marks a receipt as left out says nothing of the next one, whose own cell may well be blank.
        self._filled_within = [at for column, at in filled.items() if column in mapping.skip]
        self._above: list[str] | None = None
        self._previous: NaturalKey | None = None
        self._holds_next = False

    def read(self, progress: Callable[[], None]) -> None:
        """Read all rows; `progress` is called now and then."""
        receipts, add, file = self._receipts, self._receipts.add, self._file
        receipts.interrupt()
        is_plain = not (self._left_out.columns or self._filled or self._filled_within)
        read_row, watches = self._mapper.row, self._doubts.is_watching
        if self._table.header_line > 1:
            self._skipped["lines before the header"] += self._table.header_line - 1
        for line, cells in self._table.rows():
            receipts.rows += 1
            if receipts.rows % 4096 == 0:
                progress()
            if not isinstance(cells, list):
                self._cannot_read(line, cells)
                continue
            if not (is_plain or self._prepared(line, cells)):
                continue
            try:
                row = read_row(cells)
            except CellError as error:
                self._refuse(line, cells, error)
                continue
            if watches:
                self._doubts.look(cells)
            if self._holds_next:
                receipts.hold(row.basket, file, line)
                self._holds_next = False
            add(row, file, line)
            self._previous = row.basket
        progress()
        self._finish()

    def is_held(self, line: int, cells: list[str]) -> bool:
        """True if a row belongs to a receipt that is held back; its blank cells are filled from the row above."""
        kept = self._prepared(line, cells)
        return kept and self._mapper.basket_of(cells) in self._receipts.held

    def forget_above(self) -> None:
        """Note that the next row must not be filled: what is above it could not be read."""
        self._above = None

    def is_whole(self, cells: list[str]) -> bool:
        """True if no cell of a row, as `is_held` left it, needs those of the row above."""
        return all(cells[at].strip() for at in self._filled)

    def is_row(self, cells: list[str]) -> bool:
        """False for a blank row or the header once more."""
        return self._no_row(cells) is None

    def _prepared(self, line: int, cells: list[str]) -> bool:
        """Fill the blank cells of `cells` from the row above; False if the row is to be left out."""
        if self._filled or self._filled_within:
            if self._is_no_row(cells):
                return False
            self._fill(cells)
        reason = self._left_out.reason(line, cells)
        if reason is None:
            return True
        self._skipped[reason] += 1
        if self._mapper.basket_of(cells) != self._previous:
            self._receipts.interrupt()
        return False

    def _fill(self, cells: list[str]) -> None:
        above = self._above
        if above is not None:
            for at in self._filled:
                if not cells[at].strip():
                    cells[at] = above[at]
            if self._filled_within and self._mapper.basket_of(cells) == self._mapper.basket_of(above):
                for at in self._filled_within:
                    if not cells[at].strip():
                        cells[at] = above[at]
        self._above = cells

    def _is_no_row(self, cells: list[str]) -> bool:
        """True for a blank row or the header once more; it is counted as left out."""
        reason = self._no_row(cells)
        if reason is not None:
            self._skipped[reason] += 1
            self._receipts.interrupt()
        return reason is not None

    def _no_row(self, cells: list[str]) -> str | None:
        texts = [cell.strip() for cell in cells]
        if not any(texts):
            return "blank rows"
        is_header = texts == [name.strip() for name in self._table.header] and self._receipts.mapping.has_header
        return "repeated headers" if is_header else None

    def _refuse(self, line: int, cells: list[str], error: CellError) -> None:
        if self._is_no_row(cells):
            return
        self._receipts.refuse(self._file, line, str(error), error.kind)
        self._receipts.interrupt()
        key = self._mapper.basket_of(cells)
        self._receipts.hold(key, self._file, line)
        # A wrong row of several lines may have swallowed others.
        swallowed = self._table.lines_of(line)
        self._hold_inside(swallowed, line)
        if key is None or swallowed:
            self._hold_neighbours(line)
        else:
            self._previous, self._holds_next = key, False

    def _cannot_read(self, line: int, row: Unread | WrongWidth) -> None:
        self.forget_above()
        self._receipts.interrupt()
        if isinstance(row, WrongWidth):
            if (reason := self._left_out.reason_by_place(row.cells)) is not None:
                self._skipped[reason] += 1
                return
            advice = "if blank cells at the end may be missing, set short_rows = true"
            error = CellError(
                "row",
                f"{row.expected} cells as in the header",
                str(len(row.cells)),
                advice if len(row.cells) < row.expected else "",
            )
            self._receipts.refuse(self._file, line, str(error), error.kind)
            self._receipts.hold(self._mapper.basket_of(row.cells), self._file, line)
        else:
            self._receipts.refuse(self._file, line, row.reason, row.reason)
            self._hold_inside(row.lines, line)
        self._hold_neighbours(line)

    def _hold_inside(self, lines: Sequence[str], line: int) -> None:
        """Hold back the receipts of what may be the rows within `lines`, which were not read as such."""
        for text in lines:
            for cells in (text.rstrip("\r\n").split(self._table.delimiter), *self._as_csv(text)):
                self._receipts.hold(self._mapper.basket_of(cells), self._file, line)

    def _as_csv(self, text: str) -> Iterator[list[str]]:
        return csv.reader([text], delimiter=self._table.delimiter)

    def _hold_neighbours(self, line: int) -> None:
        self._receipts.hold(self._previous, self._file, line)
        self._holds_next = True

    def _finish(self) -> None:
        receipts, name = self._receipts, self._receipts.files[self._file]
        receipts.skipped += self._skipped
        for question in (*self._mapper.questions(), *self._doubts.questions(), *self._left_out.questions()):
            receipts.ask(name, question)
        for column in self._left_out.columns:
            receipts.kept_values.setdefault(column.name, {}).update(column.kept)
        receipts.ignored.update(dict.fromkeys(self._doubts.unused))
        receipts.prices_left_out += self._mapper.prices_left_out
