"""Arguments of the client's methods, checked and turned into fields of messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType, structs

from pos_client.protocol import wire
from pos_client.protocol.control_totals import stock_effect
from pos_client.protocol.decode_errors import request_error
from pos_client.protocol.errors import BodyError, ErrorCode
from pos_client.protocol.limits import ENVELOPE_BYTES, MAX_LINES
from pos_client.protocol.messages import Body, HelloParams, Limits, Line, Message
from pos_client.protocol.printable import is_unicode, printable
from pos_client.till.basket_lines import LineLike, as_lines, exact_quantity
from pos_client.till.policy import BODY_BYTES_MAX
from pos_client.till.posting import Posting

M = TypeVar("M", bound=Message)
_ARGUMENTS = {"from": "since", "to": "until"}
"""Arguments that are not named like the field that they become."""
_KINDS = {datetime: "a datetime", UUID: "a uuid.UUID", str: "a str"}


def checked(body: Body, limits: Limits | None) -> tuple[bytes, int]:
    """The bytes of a body as they are stored, and its effect on stock; BodyError if HQ would reject it.

    `limits` are those of HQ's last answer to `hello`, None before the first.
    """
    raw = encoded("$", body)
    most = BODY_BYTES_MAX if limits is None else min(BODY_BYTES_MAX, limits.max_frame_bytes - 2 * ENVELOPE_BYTES)
    if len(raw) > most:
        raise BodyError("$", f"at most {most:,} bytes", f"{len(raw):,}")
    max_lines = MAX_LINES if limits is None else limits.max_lines
    read = wire.decode_body(raw)
    effect = stock_effect(body.type, wire.check_body(read, max_lines))
    for path, value, meant in _differences("$", body, read):
        raise BodyError(path, _kind(meant), f"{type(value).__name__} {printable(repr(value))}")
    return raw, effect


def _differences(path: str, told: Any, read: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where `told` reads otherwise as JSON, as bytes do, and instants given as text: path, value, what was read."""
    if told == read:
        return
    if isinstance(told, msgspec.Struct) and type(told) is type(read):
        for name in told.__struct_fields__:
            yield from _differences(f"{path}.{name}", getattr(told, name), getattr(read, name))
    elif isinstance(told, list):
        for at, (one, other) in enumerate(zip(told, read, strict=True)):
            yield from _differences(f"{path}[{at}]", one, other)
    else:
        yield path, told, read


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"a value such as {value!r}")


def encoded(path: str, value: Any) -> bytes:
    """`value` as JSON; BodyError if JSON cannot express it, or a text in it is not valid Unicode."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise BodyError(path, "text without lone surrogates", f'"{printable(error.object)}"') from error
    except TypeError as error:
        raise BodyError(path, "values that JSON can express", printable(repr(value))) from error


def encoded_ext(ext: object) -> Raw:
    """The JSON of `ext`; BodyError for what would be stored as something else: bytes, NaN."""
    raw = encoded("$.ext", ext)
    for path, value in _not_json("$.ext", ext):
        raise BodyError(path, "null, a bool, number, text, list or object of JSON", printable(repr(value)))
    return Raw(raw)


def _not_json(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _not_json(f"{path}.{key}", member)
    elif isinstance(value, list | tuple):
        for at, member in enumerate(value):
            yield from _not_json(f"{path}[{at}]", member)
    elif isinstance(value, bytes | bytearray | memoryview) or (isinstance(value, float) and value - value != 0):
        yield path, value


def check_identity(terminal: str, token: str | None, location: str | None) -> None:
    """ValueError for a terminal, token or location that `hello` could not carry."""
    given = {"terminal": terminal, "token": token, "location": location}
    for field, value in given.items():
        if isinstance(value, str) and not is_unicode(value):
            shown = "" if field == "token" else f' "{printable(value)}"'
            raise ValueError(f"the {field}{shown} cannot be used: expected text without lone surrogates")
        if isinstance(value, bytes):  # JSON would carry it as base64
            raise ValueError(f"the {field} cannot be used: expected text, got bytes")
    raw = msgspec.json.encode({field: value for field, value in given.items() if value is not None})
    try:
        msgspec.json.decode(raw, type=HelloParams)
    except msgspec.ValidationError as error:
        told = request_error(error, ErrorCode.invalid_params, raw).data
        field = told["path"].removeprefix("$.")
        shown = "the token" if field == "token" else f"the {field} {told['came']}"
        raise ValueError(f"{shown} cannot be used: expected {told['expected']}") from error


def check_callable(name: str, value: object) -> None:
    """TypeError unless `value` can be called, or is None."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} is a function of a PostingResult, not {value!r}.")


def given(value: Any) -> Any:
    """`value`, or an absent field for None."""
    return UNSET if value is None else value


def named(posting: UUID | Posting | None) -> Any:
    """The id of a posting, or an absent field for None."""
    return posting.id if isinstance(posting, Posting) else given(posting)


def with_reason(lines: Iterable[LineLike], reason: str | None) -> Iterable[Line]:
    """`lines`, each with `reason` unless it has one."""
    for line in as_lines(lines):
        yield line if reason is None or line.reason is not UNSET else structs.replace(line, reason=reason)


# ---------------------------------------------------------------------------------- questions


def asked(params: M) -> M:
    """`params`, once it is sure that HQ can read them; ValueError, in the caller's thread, if not."""
    try:
        raw = msgspec.json.encode(params)
    except UnicodeEncodeError as error:
        raise ValueError(f'expected text without lone surrogates, got "{printable(error.object)}"') from error
    try:
        read = msgspec.json.decode(raw, type=type(params))
    except msgspec.ValidationError as error:
        told = request_error(error, ErrorCode.invalid_params, raw).data
        raise ValueError(f"{_argument(told['path'])}: expected {told['expected']}, got {told['came']}") from error
    for path, value, meant in _differences("$", params, read):
        raise TypeError(f"{_argument(path)}: expected {_kind(meant)}, got {type(value).__name__} {value!r}")
    return params


def _argument(path: str) -> str:
    name = path.removeprefix("$.")
    return _ARGUMENTS.get(name, name)


def listed(name: str, values: Sequence[str] | None) -> list[str] | UnsetType:
    """`values` as a list; TypeError for a single text, which is a sequence of its letters."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{name} is a sequence of texts, not one: pass [{values!r}]")
    return UNSET if values is None else list(values)


def day_or_instant(name: str, as_of: date | None) -> str | UnsetType:
    """A date or an instant as text; TypeError for another type, ValueError for an instant without time zone."""
    if as_of is None:
        return UNSET
    if not isinstance(as_of, date):
        raise TypeError(f"{name} is a datetime or a date, not {type(as_of).__name__} {as_of!r}")
    if isinstance(as_of, datetime) and as_of.tzinfo is None:
        raise ValueError(f"{name}: expected a datetime with a time zone, got {as_of!r}")
    return as_of.isoformat()


def bound(below: object) -> Raw | UnsetType:
    """What `below` stands for: "reorder_point" or an exact quantity; TypeError for a float."""
    if below is None:
        return UNSET
    return Raw(msgspec.json.encode(below if below == "reorder_point" else exact_quantity(below)))
