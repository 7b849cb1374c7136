"""The slower, strict reader of JSON text that the fast decoder has already accepted: what it overlooks is refused.

Text that the canonical encoder reproduces byte for byte holds none of that, so this reader sees only the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pos_client.protocol.errors import BodyError
from pos_client.protocol.limits import BODY_DEPTH, NEEDLE_BYTES
from pos_client.protocol.printable import printable
from pos_client.protocol.units import QUANTITY_EXPECTED

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)

# ---------------------------------------------------------------------------------- envelopes


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs of key and value."""


def has_no_more_strings(text: bytes, canonical: bytes) -> bool:
    """True only if `text` has as many strings as `canonical`, its canonical encoding: a repeated key would be one more.

    Only for messages whose values are each either always a string or never; false wherever counting may err.
    """
    return b"\\" not in text and text.count(b'"') == canonical.count(b'"')


def repeated_key(text: bytes, checked: Sequence[bytes] = ()) -> tuple[str, ...] | None:
    """The steps from `text` to the first key that one of its objects holds twice, the key last; None if all are unique.

    `checked` are values in `text`, in its order, whose own keys are checked elsewhere.
    """
    outline = _without(text, checked).decode()
    return _find_repeated(json.loads(outline, object_pairs_hook=_Object, parse_int=str))


def _without(text: bytes, values: Sequence[bytes]) -> bytes:
    """`text` with each of `values` that is an object replaced by 0."""
    pieces = []
    done = 0
    for value in values:
        if value.startswith(b"{"):  # as text it can only be found where a value begins, never inside a string
            at = text.find(value[:NEEDLE_BYTES], done)
            while not text.startswith(value, at):
                at = text.find(value[:NEEDLE_BYTES], at + 1)
            pieces.append(text[done:at])
            done = at + len(value)
    return b"0".join([*pieces, text[done:]])


def _find_repeated(value: object) -> tuple[str, ...] | None:
    if isinstance(value, _Object):
        keys: set[str] = set()
        for key, _ in value:
            if key in keys:
                return (f".{key}",)
            keys.add(key)
        members = [(f".{key}", member) for key, member in value]
    elif isinstance(value, list):
        members = [(f"[{at}]", member) for at, member in enumerate(value)]
    else:
        return None
    for step, member in members:
        if (found := _find_repeated(member)) is not None:
            return (step, *found)
    return None


# ---------------------------------------------------------------------------------- bodies


def check_body_strictly(raw: bytes) -> None:
    """BodyError for what JSON parsers interpret differently, and for nesting too deep for a body."""
    depth = deepest = 0
    for byte in _STRING.sub(b"", raw):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    if deepest > BODY_DEPTH:
        raise BodyError("$", f"depth ≤ {BODY_DEPTH} in a body", str(deepest))
    value = json.loads(raw, object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_integer)
    for at, line in enumerate(value.get("lines", ())):
        for field in ("quantity", "unit_price"):
            text = line.get(field)
            if isinstance(text, str) and not _NUMBER.match(text):
                raise BodyError(f"$.lines[{at}].{field}", QUANTITY_EXPECTED, f'"{printable(text)}"')


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BodyError("$", "every key once", f'"{printable(twice)}" twice')
    for text in (*found, *found.values()):
        _check_texts(text)
    return found


def _check_texts(value: object) -> None:
    if isinstance(value, list):
        for member in value:
            _check_texts(member)
    elif isinstance(value, str) and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise BodyError("$", "text without NUL or lone surrogates", f'"{printable(value)}"')


def _constant(name: str) -> None:
    raise BodyError("$", "a JSON number", name)


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise BodyError("$", "a signed 64-bit integer", printable(digits))
    return int(digits)
