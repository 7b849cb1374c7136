"""Each caller has a rate of its own; callers that were seen long ago are forgotten."""

from __future__ import annotations

import pytest

from inventory_server.web import admission
from inventory_server.web.admission import Rates
from pos_client.protocol.errors import RequestError


class Timer:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def asked(rates: Rates, caller: bytes, most: int = 1_000) -> int:
    """How many requests are let through at once."""
    for number in range(most):
        try:
            rates.assert_left(caller)
        except RequestError:
            return number
    return most


def test_a_burst_is_let_through_and_then_so_many_a_second() -> None:
    timer = Timer()
    rates = Rates(10.0, 30.0, timer)
    assert asked(rates, b"kim") == 30
    assert asked(rates, b"lee") == 30, "another caller"
    timer.now = 1.0
    assert asked(rates, b"kim") == 10
    timer.now = 100.0
    assert asked(rates, b"kim") == 30


def test_who_asks_too_often_is_told_when_to_ask_again() -> None:
    timer = Timer()
    rates = Rates(10.0, 1.0, timer)
    rates.assert_left(b"kim")
    with pytest.raises(RequestError, match="10 a second") as refused:
        rates.assert_left(b"kim")
    assert refused.value.data == {"retry_after_ms": 101, "status": 429}
    timer.now = 0.101
    rates.assert_left(b"kim")


def test_only_so_many_callers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "CALLERS_REMEMBERED_MAX", 2)
    rates = Rates(1.0, 5.0, Timer())
    for caller in (b"a", b"b", b"c"):
        asked(rates, caller)
    assert set(rates._left) == {b"b", b"c"}
