"""Text from outside made safe to show: shortened, with everything that could control a terminal escaped."""

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
