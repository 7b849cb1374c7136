"""The rules of tick clocks: one line per case, the expected figure last; and a slow reading of them to compare with."""

from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_server.domain.inventory import Flags
from inventory_server.domain.limits import BOOTS_MAX, GAP_MINUTES, PERIODS_MAX, WINDOW_MINUTES
from inventory_server.domain.tick_clock import (
    ClockLimits,
    Contacts,
    Happened,
    TerminalClock,
    effective,
)
from pos_client.protocol.tick import Tick

MS, SECOND, MINUTE, HOUR, DAY = 1_000, 10**6, 60 * 10**6, 3_600 * 10**6, 86_400 * 10**6
NOON = 1_767_600_000 * SECOND
LIMITS = ClockLimits(tolerance=2 * SECOND, old=45 * DAY)
BOTH = Flags.CLOCK_CORRECTED | Flags.CLOCK_SUSPECT

# occurred, happened (None: no tick), distance to a contact, relative to when it was recorded; effective instant, flags
EFFECTIVE = [
    (0, None, 0, (0, 0)),
    (-HOUR, None, 0, (-HOUR, 0)),
    (2 * SECOND, None, 0, (0, 0)),
    (2 * SECOND + 1, None, 0, (0, Flags.CLOCK_SUSPECT)),
    (365 * DAY, None, 0, (0, Flags.CLOCK_SUSPECT)),
    (-45 * DAY, None, 0, (-45 * DAY, 0)),
    (-45 * DAY - 1, None, 0, (-45 * DAY - 1, Flags.CLOCK_SUSPECT)),
    (-3 * SECOND, -SECOND, 0, (-3 * SECOND, 0)),
    (-3 * SECOND - 1, -SECOND, 0, (-SECOND, Flags.CLOCK_CORRECTED)),
    (-HOUR, -SECOND, 0, (-SECOND, Flags.CLOCK_CORRECTED)),
    (HOUR, -SECOND, 0, (-SECOND, Flags.CLOCK_CORRECTED)),
    (HOUR, HOUR, 0, (0, Flags.CLOCK_SUSPECT)),
    (0, HOUR, 0, (0, BOTH)),
    (-5 * 365 * DAY, -SECOND, 0, (-SECOND, Flags.CLOCK_CORRECTED)),
    (-SECOND, -46 * DAY, 0, (-46 * DAY, BOTH)),
    (-DAY, -DAY - 10 * SECOND, 20_000 * SECOND, (-DAY - 10 * SECOND, Flags.CLOCK_CORRECTED)),
    (-DAY, -DAY - 4 * SECOND, 20_000 * SECOND, (-DAY, 0)),
    (-DAY, -DAY - 4 * SECOND - 1, 20_000 * SECOND, (-DAY - 4 * SECOND - 1, Flags.CLOCK_CORRECTED)),
]


@pytest.mark.parametrize(("occurred", "happened", "distance", "expected"), EFFECTIVE)
def test_when_a_posting_takes_effect(
    occurred: int, happened: int | None, distance: int, expected: tuple[int, int]
) -> None:
    by_tick = None if happened is None else Happened(NOON + happened, distance)
    found = effective(NOON + occurred, NOON, by_tick, LIMITS)
    assert (found.at - NOON, found.flags) == expected


# backdated, is a count, days before it was recorded; flags
OLD = [
    (False, False, 46, Flags.CLOCK_SUSPECT),
    (False, True, 46, Flags.CLOCK_SUSPECT),
    (True, False, 46, 0),
    (True, True, 46, Flags.CLOCK_SUSPECT),
    (True, True, 44, 0),
    (True, False, -1, Flags.CLOCK_SUSPECT),
]


@pytest.mark.parametrize(("backdated", "is_count", "days", "flags"), OLD)
def test_old_postings_may_be_announced_but_not_old_counts(
    backdated: bool, is_count: bool, days: int, flags: int
) -> None:
    found = effective(NOON - days * DAY, NOON, None, LIMITS, backdated=backdated, is_count=is_count)
    assert found.flags == flags


def test_what_is_corrected_tells_by_how_much() -> None:
    slow = effective(NOON - HOUR, NOON, Happened(NOON - SECOND, 0), LIMITS)
    assert slow.shift == HOUR - SECOND
    assert effective(NOON + HOUR, NOON, None, LIMITS).shift == 0


# contacts: (minutes after noon, by how many ms it was delayed); when the boot began, in ms after noon
BEGAN = [
    ([(0, 30)], 30),
    ([(0, 30), (1, 5), (2, 400)], 5),
    ([(0, 5), (60, 30)], 5),
    ([(0, 5), (61, 30)], 30),
    ([(0, 5), (30, 20), (61, 30)], 20),
    ([(0, 5), (1, 60_005), (2, 60_005)], 5),
    ([(0, 5), (1, 90_000)], 5),  # one late frame
    ([(0, 5), (1, 90_000), (2, 80_000)], 80_000),  # HQ's clock was set forward, or ticks had stopped
    ([(0, 5), (1, 90_000), (2, 80_000), (3, 7)], 5),
    ([(0, 5), (1, 90_000), (2, 180_000), (3, 190_000)], 180_000),
    ([(0, 5), (1, -3_600_000)], -3_600_000),  # HQ's clock was set back
]


@pytest.mark.parametrize(("told", "expected"), BEGAN)
def test_when_a_boot_began(told: list[tuple[int, int]], expected: int) -> None:
    contacts = Contacts()
    for minutes, delay_ms in told:
        contacts.add(NOON + minutes * MINUTE, minutes * 60_000 - delay_ms)
    assert contacts.began_at == NOON + expected * MS


# minutes of contact; ticks in minutes after noon; distance in minutes to the nearest contact, as far as it is known
DISTANCES = [
    ([0], 0, 0),
    ([0], 5, 4),
    ([0], -5, 5),
    ([0, 10], 5, 0),
    ([0, 11], 5, 4),
    ([0, 60], 30, 29),
    ([0, 60, 61, 62], 61, 0),
]


@pytest.mark.parametrize(("minutes", "tick", "expected"), DISTANCES)
def test_the_distance_to_the_nearest_contact(minutes: list[int], tick: int, expected: int) -> None:
    contacts = Contacts()
    for minute in minutes:
        contacts.add(NOON + minute * MINUTE, HOUR // MS + minute * 60_000)
    assert contacts.happened(HOUR // MS + tick * 60_000) == Happened(NOON + tick * MINUTE, expected * MINUTE)


class Reading:
    """The rules once more: all contacts are kept and searched. Contacts of one minute count as one, the smallest."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def add(self, received: int, tick_ms: int) -> None:
        self.told.append((received, received - tick_ms * MS))

    def began(self) -> int:
        minutes = [
            (minute, min(start for _, start in group))
            for minute, group in groupby(self.told, key=lambda contact: contact[0] // MINUTE)
        ]
        left = [start for minute, start in minutes if minute >= minutes[-1][0] - 60]
        while True:
            smallest = min(left)
            last = max(at for at, start in enumerate(left) if start <= smallest + MINUTE)
            if len(left) - last - 1 < 2:
                return smallest
            left = left[last + 1 :]

    def distance(self, at: int) -> int:
        return min(abs(received - at) for received, _ in self.told)


PAUSES = st.sampled_from([100 * MS, SECOND, 20 * SECOND, 59 * SECOND, 5 * MINUTE, 20 * MINUTE, 3 * HOUR])
DELAYS = st.sampled_from([0, 1, 5, 40, 1_500, 30_000, 61_000, 125_000])
STOPS = st.sampled_from([0, 0, 0, 0, 0, 0, 30_000, 90_000, 1_200_000])


@given(st.lists(st.tuples(PAUSES, DELAYS, STOPS), min_size=1, max_size=60), st.integers(-DAY // MS, HOUR // MS))
def test_the_estimate_is_that_of_the_slow_reading(steps: list[tuple[int, int, int]], before_ms: int) -> None:
    contacts, reading = Contacts(), Reading()
    now, stopped, tick_ms = NOON, 0, 0
    for pause, delay_ms, stop_ms in steps:
        now, stopped = now + pause, stopped + stop_ms
        tick_ms = max(0, (now - NOON) // MS + 5_000_000 - stopped - delay_ms)
        contacts.add(now, tick_ms)
        reading.add(now, tick_ms)
        assert contacts.began_at == reading.began()
    happened = contacts.happened(max(0, tick_ms + before_ms))
    assert 0 <= reading.distance(happened.at) - happened.distance <= (GAP_MINUTES // 2 + 1) * MINUTE


def test_what_is_kept_of_a_boot_is_bounded() -> None:
    contacts = Contacts()
    for number in range(3_000):  # an oscillator that is too fast: each minute's start is later than the last one's
        contacts.add(NOON + number * 20 * SECOND, number * 20_000 - number)
    assert len(contacts.starts) == WINDOW_MINUTES + 1
    for number in range(100):
        contacts.add(NOON + number * HOUR + DAY, number * 3_600_000)
    assert len(contacts.periods) == PERIODS_MAX


def tick(ms: int, boot: int = 1) -> Tick:
    return Tick(UUID(int=boot), ms)


def heard(*ticks: Tick) -> TerminalClock:
    """A clock in contact at each of `ticks`, at that many ms after noon."""
    clock = TerminalClock({}, LIMITS)
    for each in ticks:
        clock.contact(each, NOON + each.ms * MS)
    return clock


def test_a_slow_clock_is_corrected_also_after_a_reboot() -> None:
    clock = heard(tick(10_000), tick(90_000_000, boot=2))
    found = clock.effective(tick(8_000), NOON - HOUR, NOON + DAY)
    assert (found.at, found.flags) == (NOON + 8 * SECOND, Flags.CLOCK_CORRECTED)
    assert found.shift == HOUR + 8 * SECOND


def test_a_boot_that_hq_never_heard_of_has_no_tick() -> None:
    found = heard(tick(10_000)).effective(tick(8_000, boot=2), NOON - HOUR, NOON)
    assert (found.at, found.flags) == (NOON - HOUR, 0)


# ticks (ms) and what the till's clock says of them (ms after noon), in order of arrival; effective instants (ms)
ORDER = [
    ([(1_000, 1_000), (2_000, 2_000)], [1_000, 2_000]),
    ([(1_000, 1_900), (2_000, 1_500)], [1_900, 1_900]),
    ([(2_000, 1_500), (1_000, 1_900)], [1_500, 1_500]),
    ([(1_000, 1_900), (1_000, 1_500)], [1_900, 1_500]),
    ([(1_000, 1_500), (1_000, 1_900), (1_001, 1_600)], [1_500, 1_900, 1_900]),
    ([(1_000, 9_000), (2_000, 2_000)], [1_000, 2_000]),
]


@pytest.mark.parametrize(("sold", "expected"), ORDER)
def test_a_posting_is_never_before_one_with_a_smaller_tick(sold: list[tuple[int, int]], expected: list[int]) -> None:
    clock = heard(tick(20_000))
    found = [clock.effective(tick(ms), NOON + said * MS, NOON + 20 * SECOND).at for ms, said in sold]
    assert found == [NOON + each * MS for each in expected]


def test_a_posting_is_never_in_the_time_of_which_hq_was_told_everything() -> None:
    """The first contact was delayed by 1.5 s, so that HQ knows too late that the boot began earlier."""
    clock = TerminalClock({}, LIMITS)
    clock.contact(tick(10_000), NOON + 11_500 * MS)
    assert clock.told(tick(10_000), NOON + 10 * SECOND, NOON + 11_500 * MS) == NOON + 10 * SECOND
    assert clock.told(tick(11_000), NOON + HOUR, NOON + 13 * SECOND) == NOON + 12_500 * MS
    clock.contact(tick(12_000), NOON + 12 * SECOND)
    found = clock.effective(tick(11_500), NOON + HOUR, NOON + 13 * SECOND)
    assert (found.at, found.flags) == (NOON + 12_500 * MS, Flags.CLOCK_CORRECTED)
    assert clock.effective(tick(9_000), NOON + HOUR, NOON + 13 * SECOND).at == NOON + 9 * SECOND


def test_nothing_takes_effect_after_it_was_recorded_even_if_hqs_clock_was_set_back() -> None:
    clock = heard(tick(10_000))
    clock.told(tick(10_000), NOON + 10 * SECOND, NOON + 10 * SECOND)
    found = clock.effective(tick(11_000), NOON - HOUR, NOON - HOUR)
    assert found.at == NOON - HOUR
    clock.effective(tick(12_000), NOON + 12 * SECOND, NOON + 12 * SECOND)  # of a posting that was then refused
    assert clock.effective(tick(13_000), NOON - HOUR, NOON - HOUR).at == NOON - HOUR


@given(
    st.integers(-60 * DAY, 60 * DAY),
    st.none() | st.tuples(st.integers(-60 * DAY, 2 * DAY), st.integers(0, DAY)),
    st.booleans(),
)
def test_the_effective_instant_is_that_of_the_slow_reading(
    occurred: int, by_tick: tuple[int, int] | None, backdated: bool
) -> None:
    recorded, second = datetime(2026, 1, 5, 8, tzinfo=UTC), timedelta(seconds=1)
    said, flags = recorded + timedelta(microseconds=occurred), set()
    if by_tick is not None:
        happened, contact = (timedelta(microseconds=each) for each in by_tick)
        if abs(recorded + happened - said) > 2 * second + contact // 10_000:
            said, flags = recorded + happened, {Flags.CLOCK_CORRECTED}
    if said - recorded > 2 * second or (recorded - said > timedelta(days=45) and not backdated):
        flags.add(Flags.CLOCK_SUSPECT)
    happening = None if by_tick is None else Happened(NOON + by_tick[0], by_tick[1])
    found = effective(NOON + occurred, NOON, happening, LIMITS, backdated=backdated)
    wanted = (min(said, recorded) - recorded) // timedelta(microseconds=1)
    assert (found.at - NOON, found.flags) == (wanted, sum(flags))


def test_a_terminal_without_ticks_has_told_what_its_own_clock_says() -> None:
    assert TerminalClock({}, LIMITS).told(None, NOON - HOUR, NOON) == NOON - HOUR
    assert TerminalClock({}, LIMITS).told(None, NOON + HOUR, NOON) == NOON


def test_the_last_boots_are_kept_and_never_the_present_one_forgotten() -> None:
    clock = heard(*(tick(number * 60_000, boot=number) for number in range(1, BOOTS_MAX + 1)))
    assert clock.forget_oldest(tick(0, boot=10)) is None
    back = tick(0, boot=11)
    clock.contact(back, NOON - DAY)  # HQ's clock was set back
    assert clock.forget_oldest(back) == UUID(int=1).bytes
    assert len(clock.boots) == BOOTS_MAX
    assert clock.happened(back) == Happened(NOON - DAY, 0)
    assert clock.happened(tick(0)) is None
