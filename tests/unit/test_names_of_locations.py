"""A location is enrolled under a name that nobody can take for another one."""

import pytest

from inventory_server.domain.names import confusable

PLAIN = [
    "north",
    "Straße 5",
    "São Paulo – Centro",
    "Київ",
    "Αθήνα",
    "東京 Shibuya 2",
    "حلب",
    "A.1_b-2/3",
    "Loka №4",
]
CONFUSABLE = [
    ("n\u043erth", "it mixes letters of Cyrillic and Latin, which look alike"),
    ("n\u03bfrth", "it mixes letters of Greek and Latin, which look alike"),
    ("x\u202ey", "it holds the invisible character U+202E"),
    ("nor\u200bth", "it holds the invisible character U+200B"),
    ("nor\u2060th", "it holds the invisible character U+2060"),
    ("nor\u00a0th", "it holds the invisible character U+00A0"),
    ("north\u3164", "it holds the invisible character U+3164"),
    ("north\ufe0f", "it holds the invisible character U+FE0F"),
    ("Cafe\u0301", "it is not in the normal form NFC, which is 'Café'"),
    (" north", "it begins or ends with a space, or holds two in a row"),
    ("north  2", "it begins or ends with a space, or holds two in a row"),
]


@pytest.mark.parametrize("name", PLAIN)
def test_names_in_any_language_are_plain(name: str) -> None:
    assert confusable(name) is None


@pytest.mark.parametrize(("name", "why"), CONFUSABLE)
def test_a_name_that_looks_like_another_one_is_not(name: str, why: str) -> None:
    assert confusable(name) == why
