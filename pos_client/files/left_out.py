"""Which rows a mapping leaves out by [skip], and what that leaves open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pos_client.files.limits import TEXTS_KEPT_MAX, VALUES_MAX
from pos_client.files.marks import is_flag, is_no_sale, is_yes
from pos_client.files.sales_row import NaturalKey
from pos_client.files.settings import SalesMapping, names
from pos_client.files.table import places

ANYTHING = "*"
"""Stands in [skip] for whatever is in a cell that is not blank."""


class SkipColumn:
    """One column of [skip]. The case of letters counts only in columns of codes.

    `open_values` are values that it does not name although they look as if their rows were to be left out.
    """

    def __init__(self, name: str, at: int, wanted: Sequence[str], has_codes: bool, is_settled: bool) -> None:
        self.name = name
        self.at = at
        self.is_settled = is_settled
        self._folded = str if has_codes else str.casefold
        self._wanted = {self._folded(value) for value in wanted}
        self._is_flag = is_flag(name)
        self._known: dict[str, bool] = {}
        self.kept: dict[str, None] = {}
        self.open_values: dict[str, None] = {}

    def leaves_out(self, text: str) -> bool:
        """True if rows with `text` are left out."""
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= TEXTS_KEPT_MAX:
                self._known.clear()
            known = self._known[text] = self._decided(text)
        return known

    def _decided(self, text: str) -> bool:
        if text == self.name:
            return False  # the header once more
        if self._folded(text) in self._wanted or (text != "" and ANYTHING in self._wanted):
            return True
        if len(self.kept) < VALUES_MAX:
            self.kept[text] = None
        looks_so = is_no_sale(text) or (self._is_flag and is_yes(text))
        if not self.is_settled and looks_so and len(self.open_values) < VALUES_MAX:
            self.open_values[text] = None
        return False


class LeftOut:
    """Tells of each row of one file whether [skip] leaves it out. `key_of` gives the receipt that a row names."""

    def __init__(
        self,
        mapping: SalesMapping,
        header: Sequence[str],
        file: str,
        key_of: Callable[[Sequence[str]], NaturalKey | None],
    ) -> None:
        columns = mapping.columns
        codes = {*names(columns.sku), *names(columns.gtin), *names(columns.basket), *names(columns.location)}
        self.columns = [
            SkipColumn(name, at, mapping.skip[name], name in codes, name in mapping.ignore)
            for name, at in places(file, header, mapping.skip).items()
        ]
        self._key_of = key_of
        self._keys: dict[str, tuple[NaturalKey | None, str]] = {}
        self._halves: dict[str, str] = {}

    def reason(self, line: int, cells: Sequence[str]) -> str | None:
        """Why the row is left out, such as `Status = Void`; None if it is not."""
        for column in self.columns:
            text = cells[column.at].strip()
            if column.leaves_out(text):
                if text:
                    self._keys[column.name] = (self._key_of(cells), f"{column.name} = {text}")
                return f"{column.name} = {text}"
        for name in self._keys:
            self._look(name, line, cells)
        return None

    def reason_by_place(self, cells: Sequence[str]) -> str | None:
        """The same of a row of another width, if it has a value to leave out where it should be."""
        for column in self.columns:
            if column.at < len(cells) and (text := cells[column.at].strip()) and column.leaves_out(text):
                return f"{column.name} = {text}"
        return None

    def _look(self, name: str, line: int, cells: Sequence[str]) -> None:
        """Notice a row that says nothing where the row before it, of the same receipt, says that it is left out."""
        column = next(each for each in self.columns if each.name == name)
        if column.is_settled or name in self._halves or cells[column.at].strip():
            return
        key, reason = self._keys[name]
        if key is not None and key == self._key_of(cells):
            self._halves[name] = f"line {line} is of receipt {'/'.join(key)}, of which a row is left out ({reason})"

    def questions(self) -> Iterator[str]:
        """What has to be said about values that [skip] does not name, and about receipts that it leaves out in part."""
        for column in self.columns:
            if column.open_values:
                listed = ", ".join(map(repr, column.open_values))
                yield (
                    f"the column {column.name!r} has values that may mark rows to leave out, too ({listed}): "
                    f'name them in [skip] "{column.name}" = [...], or set ignore = ["{column.name}"] if they do not'
                )
        for name, half in self._halves.items():
            yield (
                f"{half}, and leaves {name!r} blank: add {name!r} to fill_down if all of the receipt is left out, "
                f'or set ignore = ["{name}"] if only that row is'
            )
