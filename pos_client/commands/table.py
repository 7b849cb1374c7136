"""Tables as lines of text that fit a terminal: text is folded, a figure never. Pure.

rich makes a table of ten thousand rows in seconds; one format for all rows takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from rich.cells import cell_len, chop_cells

from pos_client.commands.limits import FOLDED_COLUMNS_MIN
from pos_client.protocol.printable import escaped

_BETWEEN = " │ "
TableCells = Sequence[str]


def table_lines(names: Mapping[str, bool], rows: Sequence[TableCells], columns: int | None) -> list[str]:
    """`rows` under `names`, which map each column to whether it is numeric (right-aligned).

    No line takes more than `columns` (None: any number). What does not fit is folded; where figures alone take more
    than that, each row becomes a block of lines, one for each column.
    """
    heads = list(map(escaped, names))
    cells = [list(map(escaped, row)) for row in rows]
    numeric = list(names.values())
    figures = [max(map(_width, column), default=0) for column in zip(*cells, strict=True)] or [0] * len(heads)
    widths = [max(figure, _width(head)) for figure, head in zip(figures, heads, strict=True)]
    if columns is not None:
        least = [
            figure if is_figure else min(width, FOLDED_COLUMNS_MIN)
            for figure, width, is_figure in zip(figures, widths, numeric, strict=True)
        ]
        fitting = _fitting(widths, least, columns - len(_BETWEEN) * (len(heads) - 1))
        if fitting is None:
            return list(_blocks(heads, cells, columns))
        widths = fitting
    head = _row(heads, widths, numeric, " ┃ ")
    return [*head, "━╇━".join("━" * width for width in widths), *_body(cells, widths, numeric)]


def _width(text: str) -> int:
    """The columns that `text` takes in a terminal: two for a wide character."""
    return len(text) if text.isascii() else cell_len(text)


def _fitting(widths: list[int], least: list[int], room: int) -> list[int] | None:
    """`widths`, the largest made smaller until all have `room`, none below its `least`; None if that cannot be."""
    if sum(least) > room:
        return None
    fitting = [max(low, min(width, room)) for width, low in zip(widths, least, strict=True)]
    while sum(fitting) > room:
        shrinkable = [at for at, low in enumerate(least) if fitting[at] > low]
        fitting[max(shrinkable, key=fitting.__getitem__)] -= 1
    return fitting


def _body(cells: list[list[str]], widths: list[int], numeric: list[bool]) -> Iterator[str]:
    form = _BETWEEN.join(f"%{'' if right else '-'}{width}s" for width, right in zip(widths, numeric, strict=True))
    length = sum(widths) + len(_BETWEEN) * (len(widths) - 1)
    for row in cells:
        line = form % tuple(row)
        if len(line) == length and "".join(row).isascii():
            yield line
        else:  # a cell is folded, or its width is not its length
            yield from _row(row, widths, numeric)


def _row(row: TableCells, widths: list[int], numeric: list[bool], between: str = _BETWEEN) -> Iterator[str]:
    folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*folded, fillvalue=""):
        yield between.join(map(_padded, parts, widths, numeric))


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _folded(text: str, width: int) -> list[str]:
    """`text` in lines of `width` columns, broken between words, and within a word that is longer."""
    if _width(text) <= width:
        return [text]
    lines: list[str] = []
    for word in text.split(" "):
        if lines and _width(longer := f"{lines[-1]} {word}") <= width:
            lines[-1] = longer
        else:
            lines += chop_cells(word, width) or [word]
    return lines


def _blocks(heads: TableCells, cells: Sequence[TableCells], columns: int) -> Iterator[str]:
    name_width = max(map(_width, heads))
    width = max(FOLDED_COLUMNS_MIN, columns - name_width - len(_BETWEEN))
    for at, row in enumerate(cells):
        if at:
            yield "─┼─".join("─" * each for each in (name_width, width))
        for head, cell in zip(heads, row, strict=True):
            for named, part in zip_longest([head], _folded(cell, width), fillvalue=""):
                yield f"{_padded(named, name_width, False)}{_BETWEEN}{part}".rstrip()
