"""Text from outside: whether it is valid Unicode, and how to show it safely in messages and terminals."""

from __future__ import annotations

import re

from pos_client.protocol.limits import VALUE_LENGTH_MAX

_JSON_UNUSUAL = re.compile(r"[^\n -~]")  # JSON text holds a raw line feed only between its tokens


def printable(text: str, length_max: int = VALUE_LENGTH_MAX) -> str:
    """The first `length_max` characters of `text`; control, format and surrogate characters become escapes."""
    return escaped(text if len(text) <= length_max else f"{text[:length_max]}…")


def escaped(text: str) -> str:
    """All of `text` on one line; control, format and surrogate characters become escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def escaped_json(text: str) -> str:
    """The JSON text `text` with the characters that `escaped` replaces as JSON escapes: its value stays the same."""
    return _JSON_UNUSUAL.sub(lambda match: match[0] if match[0].isprintable() else _json_escape(match[0]), text)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def is_unicode(*texts: str) -> bool:
    """True unless a text holds a lone surrogate, which UTF-8 cannot encode."""
    return all(text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text) for text in texts)
