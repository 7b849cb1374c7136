"""What comes from outside is shown short and cannot control a terminal."""

import pytest

from pos_client.protocol.printable import printable

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
