"""The pieces that an answer and its filters are made of."""

from __future__ import annotations

from typing import NamedTuple


class Sentence(NamedTuple):
    """A piece of the answer: plain, `strong` or `unsure`, and where it leads."""

    text: str
    kind: str = ""
    url: str = ""


class Chip(NamedTuple):
    """A filter as a link; `filtered` is how many rows it leaves, "" if that is not said."""

    label: str
    filtered: str
    url: str
    is_current: bool
