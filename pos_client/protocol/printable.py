"""Text from outside: whether it is valid Unicode, and how to show it safely in messages and terminals."""

from __future__ import annotations

VALUE_LENGTH_MAX = 40
"""Longest value shown in an error message, in characters: enough to recognise it, short enough for one line."""


def printable(text: str, length_max: int = VALUE_LENGTH_MAX) -> str:
    """The first `length_max` characters of `text`; control, format and surrogate characters become escapes."""
    shown = text if len(text) <= length_max else f"{text[:length_max]}…"
    if shown.isprintable():
        return shown
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in shown
    )


def is_unicode(*texts: str) -> bool:
    """True unless a text holds a lone surrogate, which UTF-8 cannot encode."""
    return all(text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text) for text in texts)
