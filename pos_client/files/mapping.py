"""Reads the mapping of a sales file: a TOML file, overridden by options."""

from __future__ import annotations

import codecs
import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pos_client.files.mapping_checks import check_mapping
from pos_client.files.settings import MappingError, SalesMapping
from pos_client.protocol.decode_errors import request_error
from pos_client.protocol.errors import ErrorCode


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
            f"expected {told['expected']}, got {told['came']}{_advice(where, merged)}."
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
    known = SalesMapping.__struct_fields__
    alike = difflib.get_close_matches(where, known, 1)
    return f"; is it {alike[0]}?" if alike and where in merged and where not in known else ""
