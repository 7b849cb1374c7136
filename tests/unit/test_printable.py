"""What comes from outside is shown short and cannot control a terminal."""

import json

import pytest

from pos_client.protocol.printable import escaped, escaped_json, printable

SHOWN = [
    ("plain", "plain"),
    ("Käse 1 kg, 10⁻⁵", "Käse 1 kg, 10⁻⁵"),
    ("a\x1b[31mb", "a\\x1b[31mb"),
    ("a\nb\x00c\x7f\x85", "a\\nb\\x00c\\x7f\\x85"),
    ("left\u202eright\u2066", "left\\u202eright\\u2066"),
    ("half\ud800", "half\\ud800"),
    ("x" * 40, "x" * 40),
    ("x" * 41, "x" * 40 + "…"),
]


@pytest.mark.parametrize(("text", "shown"), SHOWN)
def test_text_is_shown_shortened_and_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\x9d0;title\x9c",
    "\u202eleft\u2066\u200f",
    "two\nlines\r\v\f\x85\u2028\u2029",
    "\x7f\x00\b\t",
    "\U000e0001tag\ufeff",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_is_whole_and_one_printable_line(text: str) -> None:
    shown = escaped("before " + text * 10 + " after")
    assert shown.isprintable()
    assert shown.startswith("before ")
    assert "\\" in shown
    assert shown.endswith(" after")


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_json_is_printable_and_has_the_same_value(text: str) -> None:
    value = {text: [text, "Käse 10⁻⁵"]}
    shown = escaped_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert all(line.isprintable() for line in shown.split("\n"))
    assert json.loads(shown) == value
    assert "Käse 10⁻⁵" in shown
