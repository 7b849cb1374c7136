"""Reads the mapping of a sales file: a TOML file, overridden by options."""

from __future__ import annotations

import codecs
import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from pos_client.files.mapping_checks import check_mapping
from pos_client.files.settings import Columns, Constants, MappingError, SalesMapping, Time
from pos_client.protocol.decode_errors import request_error
from pos_client.protocol.errors import ErrorCode

_TABLES = {
    "": SalesMapping.__struct_fields__,
    "columns": Columns.__struct_fields__,
    "constants": Constants.__struct_fields__,
    "time": Time.__struct_fields__,
}
"""The settings of each table of a mapping."""


def load_mapping(path: Path | None, changes: Mapping[str, Any]) -> SalesMapping:
    """The mapping in the TOML file `path`, overridden by `changes` (`{"columns": {...}, ...}`)."""
    merged = {} if path is None else _read(path)
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
        where = told["path"].removeprefix("$.")
        raise MappingError(
            f"The mapping {path or 'given by options'} is invalid: {where}: "
            f"expected {_expected(where, told['expected'])}, got {told['came']}{_advice(where, merged)}."
        ) from error
    check_mapping(mapping)
    return mapping


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        return tomllib.loads(content.decode(encoding).replace("\r\n", "\n"))
    except OSError as error:
        raise MappingError(f"The mapping file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise MappingError(f"The mapping file {path} is not UTF-8 ({error.reason}): save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"The mapping file {path} is not valid TOML: {error}.") from error


def _advice(where: str, merged: Mapping[str, Any]) -> str:
    """What may have been meant by a setting that there is not."""
    if where.startswith("types"):
        return "; rows to leave out are named in [skip]"
    table, _, name = where.rpartition(".")
    known = _TABLES.get(table, ())
    given = merged.get(table, {}) if table else merged
    alike = difflib.get_close_matches(name, known, 1)
    return f"; is it {alike[0]}?" if alike and name in given and name not in known else ""


def _expected(where: str, told: str) -> str:
    """What was expected of a setting: the words among which it chooses, or what the decoder says."""
    hint = get_type_hints(SalesMapping).get(where)
    words = [word for each in (hint, *get_args(hint)) if get_origin(each) is Literal for word in get_args(each)]
    return " or ".join(map(repr, words)) or told
