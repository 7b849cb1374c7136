"""Names that a person can tell apart: what may be enrolled as a location. Pure."""

from __future__ import annotations

import unicodedata

from pos_client.protocol.printable import escaped

_LOOK_ALIKE = frozenset(("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"))
"""Scripts that share letters' shapes: a name is written in one of them."""
_BLANK = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Characters without a shape that Unicode takes for letters or signs."""


def confusable(name: str) -> str | None:
    """In words, why a person could take `name` for another one; None if not."""
    for char in name:
        if not char.isprintable() or char in _BLANK or "\ufe00" <= char <= "\ufe0f":
            return f"it holds the invisible character U+{ord(char):04X}"
    if name != name.strip() or "  " in name:
        return "it begins or ends with a space, or holds two in a row"
    if name != unicodedata.normalize("NFC", name):
        return f"it is not in the normal form NFC, which is {escaped(unicodedata.normalize('NFC', name))!r}"
    scripts = {unicodedata.name(char, "").partition(" ")[0] for char in name if char.isalpha()} & _LOOK_ALIKE
    if len(scripts) > 1:
        return f"it mixes letters of {' and '.join(sorted(each.capitalize() for each in scripts))}, which look alike"
    return None
