"""Files with all the oddities of real exports, made up: what they say, how they are written, and their mapping."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.support.workbooks import Cell, write_workbook

FIELDS = ("Store", "Till", "No", "Pos", "Date", "Kind", "Item", "Qty", "Price", "State", "Note")
BROKEN = ("quantity", "key", "width", "quote", "sku")
"""What may be wrong with a row."""


@dataclass(frozen=True)
class Row:
    """A row of a receipt; `quantity` in thousandths."""

    sku: str
    quantity: int
    price: str = ""
    note: str = ""


@dataclass(frozen=True)
class Receipt:
    """A receipt: its kind is a sale or a return. Its rows are numbered from `first`, if this is not all of it."""

    store: str
    till: str
    number: str
    minute: int
    is_return: bool
    rows: tuple[Row, ...]
    first: int = 1


@dataclass(frozen=True)
class Oddities:
    """How a file is written."""

    packing: str = "plain"
    encoding: str = "utf-8"
    delimiter: str = ","
    line_end: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    time_format: str = "%Y-%m-%dT%H:%M:%S"
    title_lines: int = 0
    separator_line: bool = False
    header_blanks: bool = False
    trailing: bool = False
    fill_down: bool = False
    left_out: tuple[tuple[int, str], ...] = ()
    has_order: bool = True
    columns: tuple[str, ...] = FIELDS

    @property
    def head(self) -> list[str]:
        """The names of the columns as they are written."""
        names = [name for name in self.columns if name != "Pos" or self.has_order]
        return [f" {name}\u00a0" if self.header_blanks else name for name in names]

    def mapping(self) -> dict[str, Any]:
        """The mapping of such a file."""
        columns = {"location": "Store", "lane": "Till", "basket": ["Store", "Till", "No"], "sku": "Item"}
        columns |= {"quantity": "Qty", "timestamp": "Date", "type": "Kind", "unit_price": "Price"}
        changes: dict[str, Any] = {
            "source": "odd",
            "columns": columns | ({"order": "Pos"} if self.has_order else {}),
            "constants": {"currency": "EUR"},
            "types": {"Sale": "sale", "Back": {"type": "return", "quantity": "negative"}},
            "time": {"formats": ["iso" if "T" in self.time_format else self.time_format], "zone": "Europe/Berlin"},
            "skip": {"State": ["Void", "Training"], "Item": ["Total"]},
            "decimal": self.decimal,
            "strip": [self.unit] if self.unit else [],
            "fill_down": ["Store", "Till", "No", "Date"] if self.fill_down else [],
            "restarts": "never",
        }
        if self.thousands:
            changes["thousands"] = self.thousands
        if self.encoding == "cp1252":
            changes["encoding"] = "cp1252"
        if not self.has_order:
            changes["repeats"] = "rows"
        return changes

    def number(self, thousandths: int) -> str:
        """A quantity as the file writes it."""
        text = f"{Decimal(thousandths).scaleb(-3):,f}"
        whole, _, rest = text.partition(".")
        whole = whole.replace(",", self.thousands)
        return f"{whole}{self.decimal}{rest}{self.unit}"

    def cells(self, receipt: Receipt, at: int, row: Row) -> list[str]:
        """A row as it is written."""
        day, minutes = divmod(receipt.minute, 600)
        said = {
            "Store": receipt.store,
            "Till": receipt.till,
            "No": receipt.number,
            "Pos": str(receipt.first + at),
            "Date": _time(self.time_format, 10 + day, 8 + minutes // 60, minutes % 60),
            "Kind": "Back" if receipt.is_return else "Sale",
            "Item": row.sku,
            "Qty": self.number(-row.quantity if receipt.is_return else row.quantity),
            "Price": row.price,
            "State": "Paid",
            "Note": row.note,
        }
        if self.fill_down and at:
            said |= dict.fromkeys(("Store", "Till", "No", "Date"), "")
        return [said[name] for name in self.columns if name != "Pos" or self.has_order]


def _time(form: str, day: int, hour: int, minute: int) -> str:
    text = form.replace("%Y", "2026").replace("%m", "03").replace("%d", f"{day:02}").replace("%H", f"{hour:02}")
    return text.replace("%M", f"{minute:02}").replace("%S", "00").replace("%z", "+0100")


def write(path: Path, odd: Oddities, receipts: Sequence[Receipt], broken: dict[int, str] | None = None) -> list[str]:
    """Write `receipts`; `broken` says what is wrong with which row (by its number). The numbers of broken receipts."""
    hurt: list[str] = []
    lines: list[list[str] | str] = []
    lines += [["Sales of March"], []][: odd.title_lines]
    lines.append(odd.head)
    left_out = dict(odd.left_out)
    number = 0
    for receipt in receipts:
        for at, row in enumerate(receipt.rows):
            cells: list[str] | str = odd.cells(receipt, at, row)
            if (what := (broken or {}).get(number)) is not None:
                cells = _broken(odd, list(cells), what)
                hurt.append(receipt.number)
            lines.append(cells)
            number += 1
        if (other := left_out.get(number)) is not None:
            lines.append(_other_row(odd, receipt, other))
    _pack(path, odd, lines)
    return hurt


def _broken(odd: Oddities, cells: list[str], what: str) -> list[str] | str:
    names = [name.strip() for name in odd.head]
    if what == "quantity":
        cells[names.index("Qty")] = "some"
    elif what == "key":
        cells[names.index("No")] = ""
    elif what == "sku":
        cells[names.index("Item")] = "5.01E+12"
    elif what == "width":
        cells.insert(names.index("Note"), "x")
        cells.append("y")
    else:
        note = names.index("Note")
        return odd.delimiter.join([*(_plain(cell) for cell in cells[:note]), '"open', *map(_plain, cells[note + 1 :])])
    return cells


def mend_widths(path: Path, odd: Oddities) -> None:
    """Take the cells too many out of the rows of a file of rejects whose rows have the wrong width."""
    encoding = "cp1252" if odd.encoding == "cp1252" else "utf-8"
    width, note = len(odd.head), [name.strip() for name in odd.head].index("Note")
    with path.open(encoding=encoding, newline="") as rejected:
        head = rejected.readline()
        delimiter = next(each for each in ",;\t|" if each in head)
        rejected.seek(0)
        rows = list(csv.reader(rejected, delimiter=delimiter))
    for cells in rows:
        if any(cells[width:]):
            del cells[note]
        del cells[width:]
    with path.open("w", encoding=encoding, newline="") as mended:
        csv.writer(mended, delimiter=delimiter).writerows(rows)


def _plain(cell: str) -> str:
    return "".join(char for char in cell if char not in '",;|\t\n')


def _other_row(odd: Oddities, receipt: Receipt, what: str) -> list[str]:
    names = [name.strip() for name in odd.head]
    if what == "blank":
        return [""] * len(names)
    if what == "header":
        return odd.head
    cells = odd.cells(receipt, 0, Row("Total" if what == "total" else "GONE", 9000))
    cells[names.index("State")] = "Void" if what == "void" else "Paid"
    return cells


def _pack(path: Path, odd: Oddities, lines: Sequence[list[str] | str]) -> None:
    if odd.packing == "xlsx":
        rows: list[list[Cell]] = [list(cells) for cells in lines if isinstance(cells, list)]
        write_workbook(path, {"Sheet": rows})
        return
    text = io.StringIO()
    writer = csv.writer(text, delimiter=odd.delimiter, lineterminator=odd.line_end, quoting=odd.quoting)  # type: ignore[arg-type]
    if odd.separator_line:
        text.write(f"sep={odd.delimiter}{odd.line_end}")
    for cells in lines:
        if isinstance(cells, str):
            text.write(cells + odd.line_end)
        else:
            writer.writerow([*cells, ""] if odd.trailing and cells else cells)
    content = text.getvalue().encode(odd.encoding)
    if odd.packing == "gzip":
        path.write_bytes(gzip.compress(content, 1))
    elif odd.packing == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("sales.csv", content)
    else:
        path.write_bytes(content)


skus = st.sampled_from(["A", "B-1", "Tee grün", "0042", "C;D"])
rows = st.builds(
    Row,
    skus,
    st.integers(1, 2_500_000),
    st.sampled_from(["", "1.50", "?", "2,000"]),
    st.text("a ü'", max_size=5),
)


@st.composite
def receipts(draw: st.DrawFn) -> list[Receipt]:
    """Some receipts, each with a number of its own at its till."""
    count = draw(st.integers(1, 6))
    made = []
    for number in range(1, count + 1):
        goods = draw(st.lists(rows, min_size=1, max_size=5))
        if draw(st.integers(0, 30)) == 0:
            goods = goods * 51  # more lines than a posting has
        place = draw(st.sampled_from([("North", "1"), ("North", "2"), ("Süd", "1")]))
        made.append(Receipt(*place, str(number), draw(st.integers(0, 1500)), draw(st.booleans()), tuple(goods)))
    return made


@st.composite
def oddities(draw: st.DrawFn) -> Oddities:
    """How a file may be written."""
    packing = draw(st.sampled_from(["plain", "plain", "gzip", "zip", "xlsx"]))
    decimal = draw(st.sampled_from([".", ","]))
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    left_out = st.tuples(st.integers(1, 12), st.sampled_from(["blank", "header", "total", "void"]))
    return Oddities(
        packing,
        draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])),
        delimiter,
        draw(st.sampled_from(["\n", "\r\n", "\r"])),
        draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        decimal,
        draw(st.sampled_from(["", {".": ",", ",": "."}[decimal], "'"])),
        draw(st.sampled_from(["", " kg"])),
        draw(st.sampled_from(["%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M%z", "%d/%m/%Y %H:%M:%S"])),
        draw(st.integers(0, 2)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()) and packing != "xlsx",
        draw(st.booleans()),
        tuple(draw(st.lists(left_out, max_size=3))),
        draw(st.booleans()),
        tuple(draw(st.permutations(FIELDS))),
    )
