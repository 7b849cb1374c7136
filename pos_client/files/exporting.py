"""Writes tables for people's spreadsheets: workbooks (.xlsx), and CSV whose text is not run as a formula."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from xml.sax.saxutils import escape

from pos_client.files.limits import SPREADSHEET_DIGITS

ExportCell = str | int | Decimal | None
"""A cell: text, or an exact number. Only text can be a formula."""

_FORMULA = re.compile(r"[=+\-@\t\r]")
"""How text begins that a spreadsheet may run as a formula, or open as a link to another program."""
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|_(?=x[0-9A-Fa-f]{4}_)")
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_QUOTED = 1
"""The style of text that begins like a formula: a spreadsheet leaves it text, also when the cell is edited."""
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def safe(cell: ExportCell) -> ExportCell:
    """`cell` for CSV: text that a spreadsheet would run is put behind an apostrophe; numbers stay what they are."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def workbook(names: Sequence[str], rows: Iterable[Sequence[ExportCell]]) -> bytes:
    """A workbook with one sheet: `names`, then `rows`. Numbers with more digits than a spreadsheet keeps are text."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, _XML + content)
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            for number, row in enumerate([names, *rows], start=1):
                sheet.write(f'<row r="{number}">{"".join(_cells(row, number))}</row>'.encode())
            sheet.write(b"</sheetData></worksheet>")
    return packed.getvalue()


def _cells(row: Sequence[ExportCell], number: int) -> Iterator[str]:
    for at, cell in enumerate(row):
        place = f"{_letters(at)}{number}"
        if cell is None or cell == "":
            continue
        if not isinstance(cell, str):
            cell = str(cell) if isinstance(cell, int) else f"{cell:f}"
            if len(re.sub(r"\D", "", cell)) <= SPREADSHEET_DIGITS:
                yield f'<c r="{place}"><v>{cell}</v></c>'
                continue
        style = f' s="{_QUOTED}"' if _FORMULA.match(cell) else ""
        text = escape(_NOT_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", cell))
        yield f'<c r="{place}"{style} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _letters(at: int) -> str:
    """The name of a column by its number from 0: A to Z, AA to ZZ, …"""
    before, last = divmod(at, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


def _relation(kind: str, target: str, number: int = 1) -> str:
    return f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'


_RELATIONS = f'<Relationships xmlns="{_PACKAGE}/relationships">'
_PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_KIND}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/></Types>'
    ),
    "_rels/.rels": f"{_RELATIONS}{_relation('officeDocument', 'xl/workbook.xml')}</Relationships>",
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f"{_RELATIONS}{_relation('worksheet', 'worksheets/sheet1.xml')}"
        f"{_relation('styles', 'styles.xml', 2)}</Relationships>"
    ),
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders>'
        '<cellStyleXfs count="1"><xf/></cellStyleXfs>'
        '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="0" quotePrefix="1"/></cellXfs></styleSheet>'
    ),
}
