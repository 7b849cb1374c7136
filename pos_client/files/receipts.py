"""Gathers the rows of sales files into receipts, and tells which of them can be posted.

The files of one run are read as one: rows with the same natural key form one basket, wherever they are. All baskets
stay in memory until the last row is read, as numbers: a million rows take less than 200 MB. Replay larger files in
parts that do not split a basket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pos_client.files.baskets import Differs, FileBasket, Untold, told_once
from pos_client.files.body_spool import BodySpool
from pos_client.files.limits import TEXTS_KEPT_MAX
from pos_client.files.moments import start_of
from pos_client.files.packed_rows import PackedRows
from pos_client.files.postings import FileTill, postings_of
from pos_client.files.problems import Problem
from pos_client.files.sales_row import NaturalKey, SalesRow
from pos_client.files.settings import MappingError, SalesMapping, names


class Undecided(MappingError):
    """Files that can be read in two ways; `questions` says what has to be decided before anything is posted."""

    def __init__(self, questions: Sequence[str]) -> None:
        super().__init__("; ".join(questions))
        self.questions = questions


class Receipts:
    """The receipts of several files. `report` receives every problem."""

    def __init__(
        self,
        mapping: SalesMapping,
        report: Callable[[Problem], None],
    ) -> None:
        self.mapping = mapping
        self._report = report
        self.files: list[str] = []
        self._baskets: dict[NaturalKey, FileBasket] = {}
        self._last: NaturalKey | None = None
        self._packed = PackedRows()
        self._parts: dict[str, str] = {}
        self.held: dict[NaturalKey, tuple[int, int]] = {}
        """The receipts that are held back, and the file and line of the row because of which they are."""
        self.refused: set[tuple[int, int]] = set()
        """The file and line of each row that does not map."""
        self._has_order = bool(names(mapping.columns.order))
        self._has_types = mapping.columns.type is not None
        self.rows = 0
        self.rows_not_mapped = 0
        self.rows_held = 0
        self.skipped: Counter[str] = Counter()
        """Rows that are left out on purpose, by reason."""
        self.kept_values: dict[str, dict[str, None]] = {}
        """The first values of each column of [skip] that rows have which are not left out by it."""
        self.receipts_repeated = 0
        self.prices_left_out = 0
        self.ignored: dict[str, None] = {}
        """Columns that the mapping does not use."""
        self.questions: list[str] = []
        """What has two readings and must be decided before anything is posted."""

    def ask(self, file: object, question: str) -> None:
        """Note what has to be decided before anything of `file` is posted."""
        self.questions.append(f"{file}: {question}")

    def hold(self, key: NaturalKey | None, file: int, line: int) -> None:
        """Hold back the receipt `key`."""
        if key is not None:
            self.held.setdefault(key, (file, line))

    def refuse(self, file: int, line: int, reason: str, kind: str = "") -> None:
        """Report a row that does not map."""
        self.rows_not_mapped += 1
        self.refused.add((file, line))
        self._report(Problem(self.files[file], line, reason, kind))

    def interrupt(self) -> None:
        """Note that the next row does not follow the last one that was added: something lies between them."""
        self._last = None

    def add(self, row: SalesRow, file: int, line: int) -> None:
        """Add a row to its basket."""
        key = self._identity(row)
        basket = self._baskets.get(key)
        is_next, self._last = key == self._last, key
        if basket is None:
            name = self._kept(row.basket)
            key = name if key is row.basket else (*name, *key[len(name) :])
            basket = self._baskets[key] = FileBasket(
                key=name,
                file=file,
                line=line,
                location=row.location,
                other_location=row.other_location,
                lane=row.lane,
                type=row.kind.type,
                first=row.moment,
                latest=row.moment,
            )
        elif basket.location != row.location or basket.lane != row.lane:
            self.hold(row.basket, file, line)
            where = f"{basket.location} lane {basket.lane}"
            self.refuse(
                file,
                line,
                f"basket {basket.name}: expected {where} as in line {basket.line}, got {row.location} lane {row.lane}; "
                "if each has receipt numbers of its own, add their columns to columns.basket",
            )
            return
        elif basket.other_location != row.other_location:
            self.hold(row.basket, file, line)
            self.refuse(
                file,
                line,
                f"basket {basket.name}: expected a transfer with {basket.other_location!r} as in line {basket.line}, "
                f"got one with {row.other_location!r}; if they are two, add the column to columns.basket",
            )
            return
        else:
            if row.moment < basket.first:
                basket.first = row.moment
            elif row.moment > basket.latest:
                basket.latest = row.moment
            if not is_next:
                basket.more = [*(basket.more or ()), (basket.rows, file)]
        if row.kind.type == "count" and self._packed.has_sku(basket, row.line):
            self._refuse_count(row, basket, file, line)
        self._packed.add(basket, row.order, row.line, row.moment.micros)

    def _refuse_count(self, row: SalesRow, basket: FileBasket, file: int, line: int) -> None:
        self.hold(row.basket, file, line)
        self.refuse(
            file,
            line,
            f"basket {basket.name}: expected each product once in a count, got {row.line.sku!r} again; "
            "add up what was counted in several places",
        )

    def _kept(self, key: NaturalKey) -> NaturalKey:
        """`key`, whose parts but the last (a store, a till) are kept once for all receipts."""
        if len(self._parts) >= TEXTS_KEPT_MAX:
            self._parts.clear()
        return (*[self._parts.setdefault(part, part) for part in key[:-1]], key[-1])

    def _identity(self, row: SalesRow) -> NaturalKey:
        """What identifies a posting: the key, its day where numbers restart daily, its type if it is no sale."""
        key = row.basket
        if self.mapping.restarts == "daily":
            key = (*key, row.moment.business_day(self.mapping.time.day_ends).isoformat())
        return (*key, row.kind.type) if self._has_types and row.kind.type != "sale" else key

    def _named(self, basket: FileBasket) -> tuple[NaturalKey, int]:
        """What identifies the postings of a receipt, and the start of its day in µs since 1970.

        Its time is no part of that: an export in which it was corrected holds the same receipt. The day is, because
        numbers may restart on another one, unless they never do.
        """
        kind = (basket.type,) if self._has_types and basket.type != "sale" else ()
        if self.mapping.restarts == "never":
            return (*basket.key, *kind), 0
        day = basket.first.business_day(self.mapping.time.day_ends)
        return (*basket.key, day.isoformat(), *kind), start_of(day)

    def tills(self, lanes: int | None = None) -> list[FileTill]:
        """All postings, by till; with `lanes`, each location's baskets are distributed over that many tills.

        The baskets are handed over: this object holds none afterwards. MappingError if something has two readings.
        """
        tills: dict[tuple[str, str], FileTill] = {}
        spool = BodySpool()
        while self._baskets:
            _, basket = self._baskets.popitem()
            basket.lines = self._packed.entries(basket)
            if basket.key in self.held or not self._is_clear(basket):
                self._report_held(basket)
                continue
            postings = list(postings_of(basket, self.mapping.source, *self._named(basket), spool))
            lane = basket.lane if lanes is None else str(postings[0].id.int % lanes + 1)
            till = tills.setdefault((basket.location, lane), FileTill(basket.location, lane))
            till.postings += postings
        if self.questions:
            raise Undecided(self.questions)
        for till in tills.values():
            till.postings.sort(key=lambda posting: (posting.occurred_at, posting.key))
        return [tills[key] for key in sorted(tills)]

    def _is_clear(self, basket: FileBasket) -> bool:
        """True if `basket` is one receipt; else what is wrong with it is held, or asked for."""
        file = self.files[basket.file]
        if self.mapping.restarts is None and basket.latest is not basket.first:
            first, last = (each.business_day(self.mapping.time.day_ends) for each in (basket.first, basket.latest))
            if first != last:
                self._ask_once(
                    "restarts",
                    f"{file}: basket {basket.name} has rows of {first} and of {last}: "
                    'do receipt numbers restart every day? Set restarts = "daily", or "never" if it is one receipt',
                )
        try:
            self.receipts_repeated += told_once(basket, self.mapping.repeats, self._has_order)
        except Untold:
            self._ask_once(
                "repeats",
                f"{file}: basket {basket.name}, line {basket.line}, has rows that are there twice: "
                'set repeats = "rows" if such rows are goods of their own, or "receipts" if the receipt is there twice',
            )
        except Differs as differs:
            others = sorted({self.files[at] for at, _ in basket.runs()})
            reason = f"basket {basket.name} is not the same in {' and '.join(others)}"
            if len(others) == 1:
                reason = f"basket {basket.name} has line number {differs} more than once, and not the same"
            advice = 'leave out the rows that do not count, or set repeats = "rows" if all of them do'
            self._report(Problem(file, basket.line, f"{reason}; {advice}", reason))
            self.hold(basket.key, basket.file, basket.line)
            return False
        return True

    def _ask_once(self, setting: str, question: str) -> None:
        if not any(f"{setting} = " in asked for asked in self.questions):
            self.questions.append(question)

    def _report_held(self, basket: FileBasket) -> None:
        self.rows_held += basket.rows
        file, line = self.held.get(basket.key, (basket.file, basket.line))
        rows = "1 row that maps" if basket.rows == 1 else f"{basket.rows} rows that map"
        reason = f"basket {basket.name} is held back with {rows}: see line {line}"
        if file != basket.file:
            reason += f" of {self.files[file]}"
        self._report(Problem(self.files[basket.file], basket.line, reason, "held back"))
