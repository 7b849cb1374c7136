"""The settings of a mapping: which column of a sales file holds what, and how it is written.

A mapping determines the ids of postings: `source`, the basket columns, `restarts` and the time settings are part of
each id. Do not change them once postings have been sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from pos_client.files.problems import FileError
from pos_client.files.records import Quoting
from pos_client.files.table import Form
from pos_client.protocol.fields import Currency, Location, PostingType

Names = str | int | list[str | int]
"""A column or several: by name, or by number from 1 in a file without a header."""


TRANSFERS = ("transfer_out", "transfer_in")
"""What has another location, too."""


class MappingError(FileError):
    """A mapping that cannot be used, or a file that can be read with it in two ways."""


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """The column of each field; `basket`, `sku`, `timestamp`, `type` and `order` may name several.

    `zone` holds the time zone of each row. A product is named by its `sku`, its `gtin`, or one of them in each row.
    `other_location` is where a transfer goes to, or comes from.
    """

    basket: Names | None = None
    sku: Names | None = None
    gtin: str | int | None = None
    quantity: str | int | None = None
    timestamp: Names | None = None
    location: str | int | None = None
    lane: str | int | None = None
    order: Names = []
    unit_price: str | int | None = None
    currency: str | int | None = None
    type: Names | None = None
    zone: str | int | None = None
    other_location: str | int | None = None


class Constants(Struct, frozen=True, forbid_unknown_fields=True):
    """Values that are the same for the whole file and have no column."""

    location: Location | None = None
    other_location: Location | None = None
    lane: str = "1"
    currency: Currency | None = None
    type: PostingType = "sale"
    quantity: int | str | None = None
    timestamp: str | None = None
    basket: str | None = None


class Time(Struct, frozen=True, forbid_unknown_fields=True):
    """The formats of timestamps: `iso`, `epoch`, `epoch_ms`, `excel` or strptime formats; one is chosen for each file.

    `zone` (an IANA name or an offset) applies to timestamps without a UTC offset, `zones` to those of a location.
    `abbreviations` says which offset is meant by a `%Z` such as EST. `day_ends` is the hour until which a sale belongs
    to the business day before.
    """

    formats: str | Annotated[tuple[str, ...], Meta(min_length=1)] = ("iso",)
    zone: str | None = None
    zones: dict[str, str] = {}
    abbreviations: dict[str, str] = {}
    day_ends: Annotated[int, Meta(ge=0, le=23)] = 0


class TypeInFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A posting type, and how the file writes its quantities: `positive`, or `negative` where they are the opposite."""

    type: PostingType
    quantity: Literal["positive", "negative"] = "positive"


class SalesMapping(Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping file. `types` translates the values of the type column; `skip` names the values of rows to leave out.

    `max_lines` is of older mappings and changes nothing: the parts of a long receipt are always the same.
    """

    source: Annotated[str, Meta(min_length=1)]
    columns: Columns
    constants: Constants = Constants()
    time: Time = Time()
    types: dict[str, PostingType | TypeInFile] = {}
    skip: dict[str, list[str]] = {}
    ignore: list[str] = []
    fill_down: list[str] = []
    delimiter: Annotated[str, Meta(pattern=r"^.$")] | None = None
    encoding: str | None = None
    quoting: Quoting = "strict"
    trim: bool = True
    header: bool | None = None
    short_rows: bool = False
    sheet: str | None = None
    decimal: Literal[".", ","] | None = None
    thousands: Literal[".", ",", "'", " "] | None = None
    strip: list[str] = []
    join: str = "-"
    spreadsheet_codes: Literal["refuse", "keep"] = "refuse"
    repeats: Literal["rows", "receipts"] | None = None
    restarts: Literal["daily", "never"] | None = None
    max_lines: Annotated[int, Meta(ge=1)] | None = None

    def form(self) -> Form:
        """How the files are written."""
        return Form(
            self.delimiter,
            self.encoding,
            self.quoting,
            self.trim,
            self.has_header,
            self.short_rows,
            self.sheet,
            self.is_numbered,
        )

    @property
    def is_numbered(self) -> bool:
        """True if the columns are mapped by number."""
        return any(isinstance(name, int) for _, name in mapped(self))

    @property
    def has_header(self) -> bool:
        """True if the columns have names in the first line; without, they are mapped by number."""
        return not self.is_numbered if self.header is None else self.header


def mapped(mapping: SalesMapping) -> Iterator[tuple[str, str | int]]:
    """The fields that have columns, each with the name or number of each of them."""
    for field in mapping.columns.__struct_fields__:
        for name in _listed(getattr(mapping.columns, field)):
            yield field, name


def _listed(columns: Names | None) -> list[Any]:
    if columns is None:
        return []
    return list(columns) if isinstance(columns, list) else [columns]


def names(columns: Names | None) -> list[str]:
    """The column names of a setting that may be none, one or several."""
    return [str(name) for name in _listed(columns)]


def formats_of(time: Time) -> tuple[str, ...]:
    """The formats of timestamps, in a tuple also where only one is given."""
    return (time.formats,) if isinstance(time.formats, str) else time.formats
