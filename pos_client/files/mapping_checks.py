"""The rules that span the settings of a mapping."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pos_client.files.numbers import read_quantity
from pos_client.files.settings import TRANSFERS, MappingError, SalesMapping, TypeInFile, formats_of, mapped
from pos_client.files.table import checked_encoding
from pos_client.files.units_in_cells import are_of_one_measure, is_unit
from pos_client.files.zones import zone_of

TYPES = ("sale", "return", "receipt", "adjustment", "count", *TRANSFERS)
"""What a sales file may contain."""
_SPECIAL_FORMATS = ("iso", "epoch", "epoch_ms", "excel")
_OF_OTHER_TOOLS = (
    *(("yyyy", "%Y"), ("yy", "%y"), ("MMMM", "%B"), ("MMM", "%b"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H")),
    *(("hh", "%I"), ("mm", "%M"), ("ss", "%S"), ("a", "%p"), ("M", "%m"), ("d", "%d"), ("H", "%H"), ("h", "%I")),
)
"""How Java, Excel and .NET write what strptime writes with %, the longest first."""


def check_mapping(mapping: SalesMapping) -> None:
    """Raise MappingError if the settings do not go together."""
    _check_fields(mapping)
    _check_columns(mapping)
    _check_types(mapping)
    _check_numbers(mapping)
    for form in formats_of(mapping.time):
        _check_format(form)
    for zone in (mapping.time.zone, *mapping.time.zones.values(), *mapping.time.abbreviations.values()):
        zone_of(zone)
    checked_encoding(mapping.encoding)


def _check_fields(mapping: SalesMapping) -> None:
    columns, constants = mapping.columns, mapping.constants
    if columns.sku is None and columns.gtin is None:
        raise MappingError("The mapping has no product: set columns.sku, or columns.gtin for barcodes.")
    for field in ("location", "quantity", "timestamp", "basket"):
        if getattr(columns, field) is None and getattr(constants, field) is None:
            raise MappingError(f"The mapping has no {field}: set columns.{field} or constants.{field}.")
    for field in ("basket", "timestamp", "sku", "type"):
        if getattr(columns, field) == []:
            raise MappingError(f"The mapping has no column for {field}: set columns.{field}.")


def _check_columns(mapping: SalesMapping) -> None:
    kinds = {type(name) for _, name in mapped(mapping)}
    if kinds == {str, int}:
        raise MappingError(
            "The mapping names some columns and numbers others: name all of them, or, for a file without a header, "
            "give all of them by number (the first is 1)."
        )
    if kinds == {str} and mapping.header is False:
        raise MappingError("A file without a header has no names of columns: give them by number (the first is 1).")
    if any(isinstance(name, int) and name < 1 for _, name in mapped(mapping)):
        raise MappingError("The first column has the number 1.")


def _check_types(mapping: SalesMapping) -> None:
    if mapping.columns.type is not None and not mapping.types:
        raise MappingError("The mapping has a type column but no [types] table: list the posting type of each value.")
    for value in (mapping.constants.type, *mapping.types.values()):
        kind = value.type if isinstance(value, TypeInFile) else value
        if kind not in TYPES:
            known = f"{', '.join(TYPES[:-1])} or {TYPES[-1]}"
            raise MappingError(f"A sales file cannot contain the type {kind}: use {known}.")
        if kind in TRANSFERS and mapping.columns.other_location is None and mapping.constants.other_location is None:
            raise MappingError(
                f"The mapping does not say where a {kind} goes to or comes from: set columns.other_location or "
                "constants.other_location."
            )


def _check_numbers(mapping: SalesMapping) -> None:
    if mapping.thousands is not None and mapping.thousands == (mapping.decimal or "."):
        raise MappingError(f"thousands and decimal cannot both be {mapping.thousands!r}: set decimal, too.")
    try:
        read_quantity(str(mapping.constants.quantity or 0))
    except ValueError as error:
        raise MappingError(f"constants.quantity: expected {error}, got {mapping.constants.quantity!r}.") from error
    _check_units(mapping.strip)


def _check_units(strip: Sequence[str]) -> None:
    for mark in strip:
        if not is_unit(mark):
            raise MappingError(
                f"strip: expected units and symbols to leave out of numbers, such as kg, got {mark!r}; a minus or "
                "brackets change what a number is."
            )
    for at, mark in enumerate(strip):
        if other := next((each for each in strip[:at] if are_of_one_measure(each, mark)), None):
            raise MappingError(
                f"strip: expected units of different measures, got {other!r} and {mark!r}: 500 {mark} would count like "
                f"500 {other}. Leave one of them out, and write its rows in the other."
            )


def _check_format(form: str) -> None:
    if form in _SPECIAL_FORMATS:
        return
    if "%" not in form:
        meant = _translated(form)
        raise MappingError(f"{form!r} is not a time format: expected one like %d/%m/%Y %H:%M; is it {meant!r}?")
    if not re.search(r"%[YycxG]", form):
        raise MappingError(f"The time format {form!r} has no year (%Y or %y): expected one that has.")
    if not re.search(r"%[cxjUWV]", form) and not re.search(r"%[mbB].*%d|%d.*%[mbB]", form):
        raise MappingError(f"The time format {form!r} has no day (%d) or no month (%m): expected one that has both.")
    if "%p" in form and re.search(r"%[HcX]", form):
        raise MappingError(
            f"The time format {form!r} has AM or PM (%p) beside hours from 0 to 23 (%H), which do not heed it: "
            "expected %I with %p, or %H alone."
        )
    if "%I" in form and "%p" not in form:
        raise MappingError(
            f"The time format {form!r} has hours from 1 to 12 (%I) without AM or PM (%p): expected both, or %H."
        )


def _translated(form: str) -> str:
    """A format of another tool, as strptime writes it."""
    pattern = "|".join(theirs for theirs, _ in _OF_OTHER_TOOLS)
    return re.sub(pattern, lambda match: dict(_OF_OTHER_TOOLS)[match[0]], form)
