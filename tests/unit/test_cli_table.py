"""Tables of commands: they look the same in a pipe, fit a terminal, and never break a figure."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from pos_client.commands.table import table_lines

NAMES = {"sku": False, "name": False, "on hand": True}
ROWS = [["A", "Café crème, ground, in a tin", "1234567.89"], ["B", "緑茶 (green tea)", "-5"]]


def test_in_a_pipe_each_row_is_a_line_and_the_columns_stand_in_line() -> None:
    assert table_lines(NAMES, ROWS, None) == [
        "sku ┃ name                         ┃    on hand",
        "━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━",
        "A   │ Café crème, ground, in a tin │ 1234567.89",
        "B   │ 緑茶 (green tea)             │         -5",
    ]


def test_in_a_narrow_terminal_text_is_folded_between_words_and_figures_stay_whole() -> None:
    assert table_lines(NAMES, ROWS, 33) == [
        "sku ┃ name           ┃    on hand",
        "━━━━╇━━━━━━━━━━━━━━━━╇━━━━━━━━━━━",
        "A   │ Café crème,    │ 1234567.89",
        "    │ ground, in a   │           ",
        "    │ tin            │           ",
        "B   │ 緑茶 (green    │         -5",
        "    │ tea)           │           ",
    ]


def test_where_the_figures_alone_do_not_fit_a_row_becomes_a_block() -> None:
    assert table_lines(NAMES, ROWS, 20) == [
        "sku     │ A",
        "name    │ Café",
        "        │ crème,",
        "        │ ground, in",
        "        │ a tin",
        "on hand │ 1234567.89",
        "────────┼───────────",
        "sku     │ B",
        "name    │ 緑茶",
        "        │ (green",
        "        │ tea)",
        "on hand │ -5",
    ]


@pytest.mark.parametrize("columns", range(20, 90))
def test_no_line_is_longer_than_the_terminal_and_no_text_is_lost(columns: int) -> None:
    rows = [["x" * 40, "two words and  more " * 3, "12345.67"], ["緑" * 20, "", "1"], [" lead", "a", "0"]]
    lines = table_lines(NAMES, rows, columns)
    assert max(map(cell_len, lines)) <= columns
    shown = "".join(lines).replace(" ", "").translate(dict.fromkeys(map(ord, "┃│━╇─┼")))
    assert shown.count("x") == 40
    assert shown.count("緑") == 20
    assert "12345.67" in shown


def test_a_table_without_rows_or_with_an_empty_name_has_a_head() -> None:
    assert table_lines({"till": False, "": True}, [], 40) == ["till ┃ ", "━━━━━╇━"]
