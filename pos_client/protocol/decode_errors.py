"""Errors of the JSON decoder, translated into the protocol's: path, what was expected, the value that came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

import msgspec

from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.fields import (
    CloseReason,
    Currency,
    Digest,
    Flag,
    Gtin,
    PostingType,
    RequestText,
    Sku,
    TerminalName,
)
from pos_client.protocol.limits import MAX_DEPTH, NAME_LENGTH_MAX, VALUE_LENGTH_MAX
from pos_client.protocol.printable import printable
from pos_client.protocol.units import QUANTITY_EXPECTED

_BYTE = re.compile(r"\(byte (\d+)\)")
_HALF_PAIR = re.compile(rb"(?<!\\)(?:\\\\)*(\\u[dD][89abAB][0-9a-fA-F]{2})(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})")
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?\Z", re.DOTALL)
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>[0-9]+)\]")
_BYTES_SHOWN_MAX = 4 * VALUE_LENGTH_MAX  # a character has at most 4 bytes in UTF-8
_SECRET = "$.token"  # noqa: S105 (the path of one; its value never goes into a message)
_PATTERNS = {
    repr(get_args(kind)[1].pattern): words
    for kind, words in (
        (TerminalName, f"1 to {NAME_LENGTH_MAX} characters of A-Z a-z 0-9 . _ -"),
        (Sku, f"1 to {NAME_LENGTH_MAX} characters, no control characters"),
        (Gtin, "8 to 14 digits"),
        (Currency, "an ISO 4217 code such as EUR"),
        (Digest, "64 lower-case hex digits"),
        (RequestText, "text without NUL"),
    )
}
_CHOICES = {
    "$.jsonrpc": '"2.0"',
    "$.type": "one of " + ", ".join(get_args(PostingType)),
    "$.reason": "one of " + ", ".join(get_args(CloseReason)),
    "$.flag": "one of " + ", ".join(get_args(Flag)),
}
_KINDS = {
    "array": "an array",
    "bool": "true or false",
    "datetime": "RFC 3339 with offset",
    "decimal": "a number",
    "int": "an integer",
    "null": "null",
    "object": "an object",
    "str": "text",
}
_INVALID = {
    "Invalid UUID": "a UUID",
    "Invalid RFC3339 encoded datetime": "RFC 3339 with offset",
    "Expected datetime with a timezone component": "RFC 3339 with offset",
    "Invalid decimal string": QUANTITY_EXPECTED,
    "Integer value out of range": QUANTITY_EXPECTED,
}
_text_decoder = msgspec.json.Decoder(msgspec.Raw)

# What the decoder says of a value; what was expected, given its path.
_EXPECTED: tuple[tuple[re.Pattern[str], Callable[[str, re.Match[str]], str]], ...] = (
    (
        re.compile(r"Expected str matching regex (.*)\Z", re.DOTALL),
        lambda _, match: _PATTERNS.get(match[1], f"text matching {match[1]}"),
    ),
    (re.compile(r"Expected str of length <= (\d+)\Z"), lambda _, match: f"text of at most {match[1]} characters"),
    (re.compile(r"Expected (?:str|array) of length >= 1\Z"), lambda _, _match: "at least one"),
    (re.compile(r"Expected array of length (\d+)"), lambda _, match: f"an array of {match[1]} values"),
    (re.compile(r"Expected int ([<>])= (-?\d+)\Z"), lambda _, m: f"an integer {'≥' if m[1] == '>' else '≤'} {m[2]}"),
    (re.compile(r"Expected ([a-z |]+), got [a-z]+\Z"), lambda _, match: _kinds(match[1])),
    (re.compile(r"Invalid enum value "), lambda path, _: _CHOICES.get(path, "a value of the protocol")),
)


def request_error(error: Exception, code: ErrorCode, raw: bytes | bytearray | msgspec.Raw) -> RequestError:
    """The protocol's error for what a decoder said of `raw`.

    `code` is for valid JSON of the wrong shape; invalid JSON is always `parse_error`.
    """
    if isinstance(error, msgspec.ValidationError):
        # The decoder gives up at the first value of the wrong type: whether the rest is JSON is still open.
        if (malformed := _malformed(raw)) is not None:
            return request_error(malformed, code, raw)
        path, expected, came = _read(str(error), bytes(raw))
        return RequestError(code, f"{path}: expected {expected}, got {came}.", path=path, expected=expected, came=came)
    if isinstance(error, RecursionError):
        message = f"Nested more than {MAX_DEPTH} levels deep."
        return RequestError(ErrorCode.parse_error, message, at=0, expected=f"depth ≤ {MAX_DEPTH}")
    if isinstance(error, UnicodeDecodeError):
        at: Any = error.start
        return RequestError(ErrorCode.parse_error, f"Byte {at} is not UTF-8.", at=at, expected="UTF-8 text")
    at = _byte(str(error), bytes(raw))
    return RequestError(ErrorCode.parse_error, f"Not valid JSON at byte {at}.", at=at, expected="one strict JSON text")


def _malformed(raw: bytes | bytearray | msgspec.Raw) -> Exception | None:
    """Why `raw` is no JSON text, or is nested too deep to be read; None if it is one."""
    try:
        _text_decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        return error
    return None


def _byte(complaint: str, raw: bytes) -> int:
    """Where `raw` stops being JSON text, by what the decoder says of it."""
    if byte := _BYTE.search(complaint):
        return int(byte[1]) - ("trailing characters" in complaint)  # of these the decoder names the second
    half = _HALF_PAIR.search(raw)  # near the end, half of a surrogate pair is "truncated" for the decoder
    return half.start(1) if half else len(raw)


def _read(complaint: str, raw: bytes) -> tuple[str, str, str]:
    """Path, what was expected, what came."""
    place = _PLACE.match(complaint)
    what, path = (place["what"], place["path"] or "$") if place else (complaint, "$")
    what = what.replace("`", "")
    if what.startswith("Object missing required field "):
        return f"{path}.{what.removeprefix('Object missing required field ')}", "a value", "nothing"
    if what.startswith("Object contains unknown field "):
        name = printable(what.removeprefix("Object contains unknown field "))
        return f"{path}.{name}", "a known field", "an unknown field"
    return path, _expected(what, path), _value_at(path, raw)


def _expected(what: str, path: str) -> str:
    if what in _INVALID:
        return _INVALID[what]
    for shape, expected in _EXPECTED:
        if match := shape.match(what):
            return expected(path, match)
    return "a value of the protocol"


def _kinds(names: str) -> str:
    """`int | decimal` as "an integer or a number"."""
    return " or ".join(_KINDS.get(name, name) for name in names.split(" | "))


def _value_at(path: str, raw: bytes) -> str:
    """The JSON text of the value at `path`, shortened and printable."""
    if path == _SECRET:
        return "another value"
    try:
        for step in _STEP.finditer(path):
            if step["key"] is None:
                raw = bytes(msgspec.json.decode(raw, type=list[msgspec.Raw])[int(step["index"])])
            else:
                raw = bytes(msgspec.json.decode(raw, type=dict[str, msgspec.Raw])[step["key"]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError):
        return "another value"  # the rest of the frame is malformed, or a key is there twice
    return printable(raw[:_BYTES_SHOWN_MAX].decode(errors="replace").strip())
