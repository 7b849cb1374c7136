"""Ids made on a till: RFC 9562 version 7, strictly rising."""

from __future__ import annotations

import random
from uuid import RFC_4122

import pytest

from pos_client.protocol.uuid7 import Uuid7


class Bits(random.Random):
    """Randomness that is always the same bit."""

    def __init__(self, bit: int) -> None:
        super().__init__(0)
        self.bit = bit

    def getrandbits(self, k: int, /) -> int:
        return self.bit * ((1 << k) - 1)


@pytest.mark.parametrize(
    ("milliseconds", "bit", "expected"),
    [
        (0, 0, "00000000-0000-7000-8000-000000000000"),
        (0, 1, "00000000-0000-7fff-bfff-ffffffffffff"),
        (0x017F22E279B0, 0, "017f22e2-79b0-7000-8000-000000000000"),  # the instant of RFC 9562, appendix A.6
        ((1 << 48) - 1, 1, "ffffffff-ffff-7fff-bfff-ffffffffffff"),
    ],
)
def test_the_bits_are_where_the_rfc_has_them(milliseconds: int, bit: int, expected: str) -> None:
    made = Uuid7(lambda: milliseconds * 1_000 + 999, Bits(bit))()
    assert str(made) == expected
    assert (made.version, made.variant) == (7, RFC_4122)


@pytest.mark.parametrize("step", [0, 1, 1_000, -3_600_000_000], ids=["stopped", "1 µs", "1 ms", "set back"])
def test_ids_rise_whatever_the_clock_does(step: int) -> None:
    now = iter(range(10**15, 10**15 + 500 * step, step)) if step else iter([10**15] * 500)
    ids = [make() for make in [Uuid7(lambda: next(now), random.Random(7))] for _ in range(500)]
    assert sorted(set(ids)) == ids


def test_when_a_millisecond_is_used_up_the_next_one_is_taken() -> None:
    make = Uuid7(lambda: 5_000, Bits(1))
    first, second = make(), make()
    assert (first.int >> 80, second.int >> 80) == (5, 6)
    assert first < second
