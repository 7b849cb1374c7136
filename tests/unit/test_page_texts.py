"""The texts of the pages are whole in every language, and figures and times are said as people say them."""

from __future__ import annotations

import re
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from inventory_server.web.pages.figures import figure
from inventory_server.web.pages.rendering import TEMPLATES_FOLDER
from inventory_server.web.pages.texts import LANGUAGES, language_of, texts_of
from inventory_server.web.pages.times import Times, zone_of
from pos_client.protocol.units import SECOND_MICROS

EN, DE = texts_of("en"), texts_of("de")
BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_773_729_720 * SECOND_MICROS
"""Tuesday 17 March 2026, 07:42 in Berlin."""
MINUTE = 60 * SECOND_MICROS
DAY = 24 * 60 * MINUTE


def names_in(text: object) -> set[str]:
    return set(re.findall(r"{(\w+)}", str(text)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_texts_with_the_same_names(language: str) -> None:
    texts = texts_of(language).entries
    assert set(texts) == set(EN.entries)
    assert {key for key, text in texts.items() if names_in(text) != names_in(EN.entries[key])} == set()


def test_every_text_that_a_template_names_exists() -> None:
    named = set()
    for template in TEMPLATES_FOLDER.glob("*.html"):
        named |= set(re.findall(r"""\bt(?:\.many)?\(["']([\w.]+)["'][,)]""", template.read_text("utf-8")))
    assert named
    assert {key for key in named if key not in EN.entries and f"{key}.one" not in EN.entries} == set()


def test_counts_choose_singular_and_plural() -> None:
    assert EN.many("stock.lead.below", 1) == "1 line is below its reorder point."
    assert EN.many("stock.lead.below", 1204) == "1,204 lines are below their reorder point."
    assert DE.many("stock.lead.below", 1204) == "1.204 Zeilen liegen unter dem Meldebestand."


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "de-CH, en;q=0.5", "de"),
        (None, "fr;q=0.9", "en"),
        ("de", "en", "de"),
        ("xx", "de", "de"),
    ],
)
def test_the_language_is_chosen_or_accepted_or_english(chosen: str | None, accepted: str, language: str) -> None:
    assert language_of(chosen, accepted) == language


@pytest.mark.parametrize(
    ("value", "english", "german", "classes"),
    [
        (0, "0", "0", "p0 zero"),
        (-6, "−6", "−6", "p0 below"),
        (12400, "12,400", "12.400", "p0"),
        (Decimal("12.365"), "12.365", "12,365", "p3"),
        (Decimal("-1234.5"), "−1,234.500", "−1.234,500", "p3 below"),
        (Decimal("0.00001"), "0.00001", "0,00001", "p3"),
        (Decimal("1E+3"), "1,000", "1.000", "p0"),
    ],
)
def test_a_figure_has_a_true_minus_and_stands_on_its_point(
    value: int | Decimal, english: str, german: str, classes: str
) -> None:
    assert figure(value, EN).text == english
    assert figure(value, DE).text == german
    assert figure(value, EN).classes == classes


def test_a_signed_figure_has_a_plus() -> None:
    assert [figure(value, EN, signed=True).text for value in (2, 0, -2)] == ["+2", "0", "−2"]


def test_an_instant_is_as_short_as_it_is_clear() -> None:
    times = Times(NOW, EN)
    shown = [times.short(NOW - back, BERLIN) for back in (0, 8 * 60 * MINUTE, 6 * DAY, 7 * DAY, 400 * DAY)]
    assert shown == ["07:42", "Mon 23:42", "Wed 07:42", "10 Mar", "10 Feb 2025"]
    assert times.short(NOW + DAY, BERLIN) == "18 Mar"
    assert [times.day(NOW - back, BERLIN) for back in (0, 15 * DAY)] == ["today", "2 Mar"]
    assert times.full(NOW - DAY, BERLIN) == "Mon 16 Mar 07:42"
    assert times.long(NOW, BERLIN) == "Tuesday 17 March 2026, 07:42"
    assert Times(NOW, DE).long(NOW, BERLIN) == "Dienstag, 17. März 2026, 07:42"
    assert times.short(NOW, zone_of("Nowhere/Land")) == "06:42"


def test_a_span_is_told_in_its_largest_units() -> None:
    times = Times(NOW, EN)
    spans = (4 * SECOND_MICROS, 14 * MINUTE, 771 * MINUTE, DAY, 3 * DAY)
    assert [times.span(span) for span in spans] == ["4 s", "14 min", "12 h 51 min", "1 day", "3 days"]
