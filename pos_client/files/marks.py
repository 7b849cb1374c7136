"""Words by which programs mark rows that are no sales: in the names of columns, and in their cells."""

from __future__ import annotations

import re

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_FLAGS = re.compile(
    r"\b(is|was|has)?(void\w*|cancel\w*|storn\w+|annul\w*|deleted|training|returned)\b"
    r"|\b(is|was|has) ?(return|refund)\w*"
)
_STATUS = re.compile(r"\b(status|refund(ed)?)\Z")
_KINDS = re.compile(
    r"\b(types?|typ|kind|art|tipo|action|event|operation|state|flag|reason|movement|direction|mode|document)\b"
)
_NO_SALE = re.compile(
    r"(is |was )?(void\w*|cancel\w*|storn\w*|ann?ul\w*|deleted?|revers(al|ed)|refund\w*|return(s|ed)?|retoure?n?|failed"
    r"|gutschrift|rück(gabe|nahme)|rembours\w*|devol\w*|credit note|no sale|declined)\b|(training|trash)\Z"
)
_YES = frozenset({"true", "yes", "y", "1", "x", "t", "wahr", "ja", "j", "vrai", "oui", "si", "sí", "verdadero", "vero"})


def plain(text: str) -> str:
    """A name or a value in small letters, its words (also those of `isVoid`) separated by blanks."""
    return re.sub(r"[\W_]+", " ", _CAMEL.sub(" ", text)).strip().casefold()


def may_leave_out(name: str) -> bool:
    """True of a column whose values may mark rows to leave out."""
    return is_flag(name) or bool(_STATUS.search(plain(name)))


def is_flag(name: str) -> bool:
    """True of a column that may say of each row, by yes or no, whether it is to be left out."""
    return bool(_FLAGS.search(plain(name)))


def may_be_kind(name: str) -> bool:
    """True of a column that may say what kind of document a row is of."""
    return bool(_KINDS.search(plain(name)))


def is_no_sale(value: str) -> bool:
    """True of a value that programs give to rows that are no sales."""
    return bool(_NO_SALE.match(plain(value)))


def is_yes(value: str) -> bool:
    """True of a value by which a flag says yes."""
    return value.casefold() in _YES
