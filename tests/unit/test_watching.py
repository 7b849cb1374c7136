"""A live table: the levels of an answer, kept up with the feed."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime

import pytest

from pos_client.commands.console import CommandError
from pos_client.commands.watching import LiveLevels, screen, watched
from pos_client.protocol.errors import ConnectionLost
from pos_client.protocol.feed import ChangedParams, StockChange
from pos_client.protocol.messages import Completeness, StockItem, StockParams, StockResult

EARLY, LATE = (datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in (9, 15))
ANSWER = StockResult(
    [StockItem("a", "north", 5, 1, 4, 0, 3, None, LATE)], 7, {"north": Completeness(LATE, 1, [], [], 0)}
)


def change(sku: str, on_hand: int, reserved: int = 0) -> StockChange:
    return StockChange("north", sku, -1, on_hand, reserved, 2, "sale", EARLY, EARLY)


def test_levels_follow_the_feed() -> None:
    levels = LiveLevels(ANSWER)
    levels.apply(ChangedParams(8, [change("a", 4, 3), change("b", -1)]))
    assert list(levels.items) == [
        StockItem("a", "north", 4, 3, 1, 2, 3, None, LATE),
        StockItem("b", "north", -1, 0, -1, 2, last_movement_at=EARLY),
    ]
    assert levels.position == 8


def test_what_the_answer_holds_already_is_not_applied_again() -> None:
    levels = LiveLevels(ANSWER)
    levels.apply(ChangedParams(7, [change("a", 99)]))
    assert [item.on_hand for item in levels.items] == [5]


def test_the_screen_says_how_fresh_its_figures_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((120, 24)))
    levels = LiveLevels(ANSWER)
    *_, complete, fresh = screen(levels, None, LATE)
    assert complete.startswith("north: complete to ")
    assert fresh.endswith("position 7; Ctrl-C ends it")
    assert screen(levels, ConnectionLost("HQ is away."), LATE)[-1] == (
        "NOT LIVE since position 7, trying again: HQ is away."
    )


def test_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((120, 10)))
    levels = LiveLevels(ANSWER)
    levels.apply(ChangedParams(8, [change(f"sku-{number}", 1) for number in range(30)]))
    lines = screen(levels, None, LATE)
    assert len(lines) == 8
    assert lines[5] == "… 28 more lines: name SKUs or locations to see them"


def test_only_skus_and_locations_can_be_watched() -> None:
    assert watched(StockParams(skus=["a"], locations=["north"], names=True)) == (["north"], ["a"])
    assert watched(StockParams()) == (None, None)
    with pytest.raises(CommandError, match="--watch follows SKUs and locations"):
        watched(StockParams(negative=True))
