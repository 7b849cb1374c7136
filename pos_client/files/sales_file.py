"""Reads sales files into receipts, and receipts into postings whose ids are the same in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pos_client.files.moments import choose_formats
from pos_client.files.problems import Problem
from pos_client.files.reading import FileReading
from pos_client.files.receipts import Receipts
from pos_client.files.sales_row import RowMapper
from pos_client.files.settings import SalesMapping, formats_of, mapped
from pos_client.files.table import Table, open_table


class SalesFiles(Receipts):
    """Reads sales files into tills. `report` receives every problem, `progress` the compressed bytes read so far.

    `now` (µs since 1970) is by when the sales must have been; None: whenever.
    """

    def __init__(
        self,
        mapping: SalesMapping,
        report: Callable[[Problem], None],
        progress: Callable[[int], None] = lambda _: None,
        now: int | None = None,
    ) -> None:
        super().__init__(mapping, report)
        self._now = now
        self._progress = progress

    def read(self, path: Path) -> None:
        """Add the rows of one file; FileError if it cannot be read or lacks a column."""
        self.files.append(str(path))
        form, wanted = self.mapping.form(), self._wanted()
        formats = formats_of(self.mapping.time)
        if len(formats) > 1:
            with open_table(path, form, wanted) as (table, _):
                formats = self._formats(path, table)
        with open_table(path, form, wanted) as (table, read_bytes):
            if table.is_workbook:
                formats = ("iso", *formats)
            mapper = RowMapper(self.mapping, table.header, str(path), formats, self._now)
            FileReading(self, mapper, table, len(self.files) - 1).read(lambda: self._progress(read_bytes()))

    @contextmanager
    def again(self, file: int) -> Iterator[tuple[Table, FileReading]]:
        """The file of that number, opened once more, and what tells which of its rows are held back."""
        path = Path(self.files[file])
        with open_table(path, self.mapping.form(), self._wanted()) as (table, _):
            mapper = RowMapper(self.mapping, table.header, str(path), formats_of(self.mapping.time))
            yield table, FileReading(self, mapper, table, file)

    def _wanted(self) -> list[str]:
        """The columns that a file must have."""
        used = [str(name) for _, name in mapped(self.mapping)]
        return list(dict.fromkeys([*used, *self.mapping.skip, *self.mapping.fill_down]))

    def _formats(self, path: Path, table: Table) -> tuple[str, ...]:
        mapper = RowMapper(self.mapping, table.header, str(path), ())
        texts = {mapper.timestamp_of(cells): None for _, cells in table.rows() if isinstance(cells, list)}
        return choose_formats(self.mapping.time, texts, lambda question: self.ask(path, question))
