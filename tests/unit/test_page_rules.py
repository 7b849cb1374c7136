"""What the pages conclude: which count's difference is real, how a clock's offset is said, how long counts are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from inventory_server.domain.levels import LevelsPage, ListLevels
from inventory_server.domain.order_lines import OrderList
from inventory_server.web.limits import COUNTED_KEPT_MAX, COUNTED_SECONDS, ORDER_KEPT_SECONDS
from inventory_server.web.pages.address import StockAddress, stock_address
from inventory_server.web.pages.counts import judged
from inventory_server.web.pages.level_counts import LevelCounts
from inventory_server.web.pages.order_kept import KeptOrder
from inventory_server.web.pages.texts import texts_of
from inventory_server.web.pages.tills import offset_text
from pos_client.protocol.lists import ListedCount
from pos_client.protocol.messages import Completeness, SilentTill
from pos_client.protocol.units import instant, micros

AT = 1_773_729_720_000_000
EN = texts_of("en")


def count(then: int, now: int, late: int = 0) -> ListedCount:
    moment = instant(AT)
    told: dict[str, Any] = {"counted": 5, "variance_then": then, "variance_now": now, "changes_total": late}
    return ListedCount(1, UUID(int=1), "T1", "L1", "a", moment, moment, (), None, **told)


def told(seconds: int | None, tills: int = 1) -> Completeness:
    complete_to = None if seconds is None else instant(AT) + timedelta(seconds=seconds)
    return Completeness(complete_to, tills, [SilentTill("T1", instant(AT))], [], 0)


@pytest.mark.parametrize(
    ("taken", "completeness", "judgement"),
    [
        (count(0, 0), told(60), "agrees"),
        (count(0, 0, late=2), told(60), "changed"),
        (count(-3, 0, late=1), told(60), "explained"),
        (count(-3, -3), told(60), "real"),
        (count(-3, -3), told(0), "real"),
        (count(-3, -3), told(-1), "early"),
        (count(-3, -3), told(None), "early"),
        (count(-3, -3), told(None, tills=0), "real"),
        (count(-3, -3), None, "real"),
        (count(-3, -1, late=1), told(60), "partly"),
        (count(-3, -1, late=1), told(-1), "early"),
    ],
)
def test_a_difference_is_real_once_nothing_can_explain_it_any_more(
    taken: ListedCount, completeness: Completeness | None, judgement: str
) -> None:
    assert judged(taken, micros(taken.occurred_at), completeness) == judgement


def test_a_clock_is_off_by_seconds_or_minutes() -> None:
    shown = [offset_text(offset, EN) for offset in (0, 240, -100, 59_949, 3_660_000, -60_000)]
    assert shown == ["+0.0 s", "+0.2 s", "−0.1 s", "+59.9 s", "+61 min", "−1 min"]


def test_an_address_holds_the_whole_state_and_leaves_defaults_out() -> None:
    address = stock_address([("q", " a&b "), ("view", "below"), ("sort", "moved"), ("direction", "descending")])
    assert address.url() == "/stock?q=a%26b&view=below&sort=moved&direction=descending"
    assert address.url(after="x") == f"{address.url()}&after=x"
    assert StockAddress().url() == "/stock"
    assert [StockAddress(sort="moved", descending=each).sorted_by("moved") for each in (False, True)] == [
        "/stock?sort=moved&direction=descending",
        "/stock?sort=moved",
    ]
    assert StockAddress().sorted_by("moved") == "/stock?sort=moved&direction=descending"


def test_counts_are_kept_for_a_moment_for_each_search() -> None:
    now, asked = [100.0], []

    def answer(question: ListLevels) -> LevelsPage:
        asked.append(question.is_counted)
        return LevelsPage([], {"all": len(asked) if question.is_counted else 0}, 0, 1, 0, {}, [], [])

    counts = LevelCounts(lambda: now[0])
    assert counts.ask(answer, ListLevels(search="a")).counts == {"all": 1}
    assert counts.ask(answer, ListLevels(search="a", view="below")).counts == {"all": 1}
    assert counts.ask(answer, ListLevels(search="b")).counts == {"all": 3}
    now[0] += COUNTED_SECONDS
    assert counts.ask(answer, ListLevels(search="a")).counts == {"all": 4}
    assert asked == [True, False, True, True]
    for number in range(COUNTED_KEPT_MAX):
        counts.ask(answer, ListLevels(search=f"s{number}"))
    assert counts.ask(answer, ListLevels(search="a")).counts == {"all": 4 + COUNTED_KEPT_MAX + 1}


def test_the_order_list_is_kept_until_it_is_old_or_changed() -> None:
    now, asked = [100.0], 0

    def answer() -> OrderList:
        nonlocal asked
        asked += 1
        return OrderList(asked, 0, 0, [], {}, [])

    kept = KeptOrder(lambda: now[0])
    assert [kept.get(answer).position, kept.get(answer).position] == [1, 1]
    now[0] += ORDER_KEPT_SECONDS
    assert kept.get(answer).position == 2
    kept.forget()
    assert kept.get(answer).position == 3
