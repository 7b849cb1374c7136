"""How the columns of a sales file become postings: the TOML mapping file, checked and compiled.

A mapping settles the identity of what it reads: `source`, the basket columns and the time settings go into
every posting's id. Keep them as they are once something was posted through them.
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

from pos_client.protocol.errors import TillwireError
from pos_client.protocol.limits import MAX_LINES
from pos_client.protocol.messages import Currency, Location, PostingType

_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})\Z")


class MappingError(TillwireError):
    """A mapping that cannot be used, or a file that does not have its columns."""


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """Which column holds what; `basket`, `timestamp` and `order` may name several."""

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
    """What the file does not say because it is the same everywhere."""

    location: Location | None = None
    lane: str = "1"
    currency: Currency | None = None
    type: PostingType = "sale"


class Time(Struct, frozen=True, forbid_unknown_fields=True):
    """How timestamps are written: `iso`, `epoch`, `epoch_ms` or strptime formats, tried in turn.

    `zone` (an IANA name or an offset) is for timestamps that carry no offset of their own.
    """

    formats: Annotated[tuple[str, ...], Meta(min_length=1)] = ("iso",)
    zone: str | None = None


class SalesMapping(Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping file. `types` translates the values of the type column to posting types."""

    source: Annotated[str, Meta(min_length=1)]
    columns: Columns
    constants: Constants = Constants()
    time: Time = Time()
    types: dict[str, PostingType] = {}
    delimiter: Annotated[str, Meta(pattern=r"^.$")] = ","
    max_lines: Annotated[int, Meta(ge=1)] = MAX_LINES


def load_mapping(path: Path | None, changes: Mapping[str, Any]) -> SalesMapping:
    """The mapping in the TOML file `path`, with `changes` (`{"columns": {...}, ...}`) laid over it."""
    try:
        read = {} if path is None else tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise MappingError(f"The mapping file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise MappingError(f"The mapping file {path} is not TOML: {error}.") from error
    merged = dict(read)
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    if "source" not in merged:
        raise MappingError(
            "The mapping has no source: name where the sales come from; it goes into every id, so keep that name."
        )
    try:
        mapping = msgspec.convert(merged, SalesMapping)
    except msgspec.ValidationError as error:
        raise MappingError(f"The mapping {path or 'given by options'} is not usable: {error}.") from error
    _check(mapping)
    return mapping


def _check(mapping: SalesMapping) -> None:
    if mapping.columns.location is None and mapping.constants.location is None:
        raise MappingError("The mapping names no location: give columns.location or constants.location.")
    for name in ("basket", "timestamp"):
        if not names(getattr(mapping.columns, name)):
            raise MappingError(f"The mapping names no column for {name}: give columns.{name}.")
    if mapping.columns.type is not None and not mapping.types:
        raise MappingError("The mapping has a type column but no [types] table: say which value means which type.")
    for kind in (mapping.constants.type, *mapping.types.values()):
        if kind in ("void", "transfer_out", "transfer_in", "reserve", "release"):
            raise MappingError(f"A sales file cannot hold a {kind}: use sale, return, receipt, adjustment or count.")
    zone_of(mapping.time.zone)


def zone_of(name: str | None) -> tzinfo | None:
    """The time zone of an IANA name, an offset like `+02:00`, or None; MappingError where there is none such."""
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
            f"The time zone {name!r} is not known: give a name like Europe/London or an offset like +01:00."
        ) from error


def names(columns: str | list[str]) -> list[str]:
    """The column names of a setting that may hold one or several."""
    return [columns] if isinstance(columns, str) else columns
