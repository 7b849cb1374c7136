"""A decoder's complaint in the words of the protocol: where, what was expected, what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

import msgspec

from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.limits import MAX_DEPTH, NAME_LENGTH_MAX
from pos_client.protocol.messages import Currency, Digest, Gtin, PostingType, RequestText, Sku, TerminalName
from pos_client.protocol.units import QUANTITY_EXPECTED

_BYTE = re.compile(r"\(byte (\d+)\)")
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?\Z", re.DOTALL)
_IN_WORDS = {
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
_CHOICES = {"$.jsonrpc": '"2.0"', "$.type": "one of " + ", ".join(get_args(PostingType))}
_PLAIN = {
    "Invalid UUID": ("a UUID", "other text"),
    "Invalid RFC3339 encoded datetime": ("RFC 3339 with offset", "other text"),
    "Expected datetime with a timezone component": ("RFC 3339 with offset", "a time without offset"),
    "Invalid decimal string": (QUANTITY_EXPECTED, "other text"),
    "Integer value out of range": (QUANTITY_EXPECTED, "an integer beyond any range"),
}

# What a complaint looks like, and its path, what was expected and what came.
_SHAPES: tuple[tuple[re.Pattern[str], Callable[[str, re.Match[str]], tuple[str, str, str]]], ...] = (
    (re.compile(r"Expected (.*), got (.*)\Z", re.DOTALL), lambda path, match: (path, match[1], match[2])),
    (
        re.compile(r"Object missing required field (.*)\Z", re.DOTALL),
        lambda path, match: (f"{path}.{match[1]}", "this field", "nothing"),
    ),
    (
        re.compile(r"Object contains unknown field (.*)\Z", re.DOTALL),
        lambda path, match: (f"{path}.{match[1][:64]}", "only the fields of the protocol", "an unknown field"),
    ),
    (
        re.compile(r"Invalid enum value (.*)\Z", re.DOTALL),
        lambda path, match: (path, _CHOICES.get(path, "a value the protocol names"), match[1][:64]),
    ),
    (
        re.compile(r"Expected str matching regex (.*)\Z", re.DOTALL),
        lambda path, match: (path, _IN_WORDS.get(match[1], f"text matching {match[1]}"), "other text"),
    ),
    (re.compile(r"Expected (.*)\Z", re.DOTALL), lambda path, match: (path, match[1], "a value outside of that")),
)


def request_error(error: Exception, code: ErrorCode, size: int) -> RequestError:
    """Turn what a decoder complains of in `size` bytes into the protocol's error.

    `code` is for a JSON text of the wrong shape; what is no strict JSON text is always `parse_error`.
    """
    if isinstance(error, msgspec.ValidationError):
        path, expected, came = _read(str(error))
        return RequestError(code, f"{path}: expected {expected}, got {came}.", path=path, expected=expected, came=came)
    if isinstance(error, RecursionError):
        expected = f"depth ≤ {MAX_DEPTH}"
        return RequestError(ErrorCode.parse_error, f"Nested deeper than {MAX_DEPTH}.", at=0, expected=expected)
    if isinstance(error, UnicodeDecodeError):
        at: Any = error.start
        return RequestError(ErrorCode.parse_error, f"Byte {at} is not UTF-8.", at=at, expected="UTF-8 text")
    byte = _BYTE.search(str(error))
    at = int(byte[1]) if byte else size
    message = f"Not a JSON text: stopped at byte {at}."
    return RequestError(ErrorCode.parse_error, message, at=at, expected="one strict JSON text")


def _read(complaint: str) -> tuple[str, str, str]:
    place = _PLACE.match(complaint)
    what, path = (place["what"], place["path"] or "$") if place else (complaint, "$")
    what = what.replace("`", "")
    if what in _PLAIN:
        return path, *_PLAIN[what]
    for shape, read in _SHAPES:
        if match := shape.match(what):
            return read(path, match)
    return path, "a value of the protocol", what
