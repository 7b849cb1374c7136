"""The texts of the pages, by key, in every language: `web/texts/LANGUAGE.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

TEXTS_FOLDER = Path(__file__).resolve().parents[1] / "texts"
DEFAULT_LANGUAGE = "en"
LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
"""The languages that ship, by code, under their own names."""


class Texts:
    """The texts of one language; `texts("stock.title")` is one, with `{names}` replaced by what is passed."""

    def __init__(self, language: str, entries: Mapping[str, Any]) -> None:
        self.language = language
        self.entries = entries

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key`; KeyError if there is none."""
        entry: str = self.entries[key]
        return entry.format(**values) if values else entry

    def many(self, key: str, count: int, **values: object) -> str:
        """The text of `key` for a number of things: `key.one` for 1, else `key.other`, with `{count}` in it."""
        return self(f"{key}.one" if count == 1 else f"{key}.other", count=self.number(count), **values)

    def number(self, count: int) -> str:
        """A whole number, thousands apart."""
        return f"{count:,}".replace(",", self("format.thousands"))

    def listed(self, key: str) -> list[str]:
        """A list of texts, such as the days of the week."""
        return list(self.entries[key])


@cache
def texts_of(language: str) -> Texts:
    """The texts of a language, read once."""
    return Texts(language, dict(_flat("", tomllib.loads((TEXTS_FOLDER / f"{language}.toml").read_text("utf-8")))))


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        found += _flat(f"{prefix}{name}.", value) if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return found


def language_of(chosen: str | None, accepted: str) -> str:
    """The language `chosen` before, else the first of the header Accept-Language that ships, else English."""
    if chosen is not None and chosen in LANGUAGES:
        return chosen
    for part in accepted.split(","):
        code = part.partition(";")[0].strip().partition("-")[0].lower()
        if code in LANGUAGES:
            return code
    return DEFAULT_LANGUAGE
