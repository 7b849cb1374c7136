"""The mapping of a sales file: a TOML file that says which column holds what, validated.

A mapping determines the ids of postings: `source`, the basket columns and the time settings are part of each id. Do
not change them once postings have been sent.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from pos_client.protocol.decode_errors import request_error
from pos_client.protocol.errors import ErrorCode, TillwireError
from pos_client.protocol.fields import Currency, Location, PostingType
from pos_client.protocol.limits import MAX_LINES

_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})\Z")


class MappingError(TillwireError):
    """A mapping that cannot be used, or a file that lacks its columns."""


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """The column of each field; `basket`, `timestamp` and `order` may name several."""

    basket: str | list[str]
    sku: str
    quantity: str
    timestamp: str | list[str]
    location: str | None = None
    lane: str | None = None
    order: str | list[str] = []
    unit_price: str | None = None
    currency: str | None = None
    type: str | None = None


class Constants(Struct, frozen=True, forbid_unknown_fields=True):
    """Values that are the same for the whole file and have no column."""

    location: Location | None = None
    lane: str = "1"
    currency: Currency | None = None
    type: PostingType = "sale"


class Time(Struct, frozen=True, forbid_unknown_fields=True):
    """The formats of timestamps: `iso`, `epoch`, `epoch_ms` or strptime formats, tried in order.

    `zone` (an IANA name or an offset) applies to timestamps without a UTC offset.
    """

    formats: Annotated[tuple[str, ...], Meta(min_length=1)] = ("iso",)
    zone: str | None = None


class SalesMapping(Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping file. `types` translates the values of the type column into posting types."""

    source: Annotated[str, Meta(min_length=1)]
    columns: Columns
    constants: Constants = Constants()
    time: Time = Time()
    types: dict[str, PostingType] = {}
    delimiter: Annotated[str, Meta(pattern=r"^.$")] = ","
    max_lines: Annotated[int, Meta(ge=1)] = MAX_LINES


def load_mapping(path: Path | None, changes: Mapping[str, Any]) -> SalesMapping:
    """The mapping in the TOML file `path`, overridden by `changes` (`{"columns": {...}, ...}`)."""
    try:
        read = {} if path is None else tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise MappingError(f"The mapping file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"The mapping file {path} is not valid TOML: {error}.") from error
    merged = dict(read)
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    if "source" not in merged:
        raise MappingError(
            "The mapping has no source: give a permanent name for where the sales come from; it is part of every id."
        )
    try:
        mapping = msgspec.convert(merged, SalesMapping)
    except msgspec.ValidationError as error:
        told = request_error(error, ErrorCode.invalid_params, msgspec.json.encode(merged)).data
        raise MappingError(
            f"The mapping {path or 'given by options'} is invalid: {told['path'].removeprefix('$.')}: "
            f"expected {told['expected']}, got {told['came']}."
        ) from error
    _check(mapping)
    return mapping


def _check(mapping: SalesMapping) -> None:
    if mapping.columns.location is None and mapping.constants.location is None:
        raise MappingError("The mapping has no location: set columns.location or constants.location.")
    for name in ("basket", "timestamp"):
        if not names(getattr(mapping.columns, name)):
            raise MappingError(f"The mapping has no column for {name}: set columns.{name}.")
    if mapping.columns.type is not None and not mapping.types:
        raise MappingError("The mapping has a type column but no [types] table: list the posting type of each value.")
    for kind in (mapping.constants.type, *mapping.types.values()):
        if kind not in ("sale", "return", "receipt", "adjustment", "count"):
            raise MappingError(
                f"A sales file cannot contain the type {kind}: use sale, return, receipt, adjustment or count."
            )
    zone_of(mapping.time.zone)


def zone_of(name: str | None) -> tzinfo | None:
    """The time zone of an IANA name or an offset like `+02:00`; MappingError if it is unknown."""
    if name is None:
        return None
    if found := _OFFSET.match(name):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if offset < timedelta(days=1):
            return timezone(-offset if found[1] == "-" else offset)
    elif name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise MappingError(
            f"Unknown time zone {name!r}: give a name like Europe/London or an offset like +01:00."
        ) from error


def names(columns: str | list[str]) -> list[str]:
    """The column names of a setting that may be one name or several."""
    return [columns] if isinstance(columns, str) else columns
