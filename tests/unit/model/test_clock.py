"""The effective instant: what tick clocks correct, what is clamped, what is suspect. One case per line."""

import pytest

from tests.support.model.clock import Bounds, Contact, Happened, Tick, TickClocks, boot_started, effective
from tests.support.model.history import NOON, TILL, Delivery, deliver, played, text
from tests.support.model.postings import DAY, FOREVER, HOUR, MINUTE, SECOND, Document

CORRECTED, SUSPECT = "clock_corrected", "clock_suspect"
CASES = [
    # (occurred, happened by the tick clock, its nearest contact, effective, flags), in seconds before it is recorded
    (10, None, 0, 10, ""),
    (0, None, 0, 0, ""),
    (-2, None, 0, 0, ""),
    (-2.000001, None, 0, 0, SUSPECT),
    (-3_600, None, 0, 0, SUSPECT),
    (45 * 86_400, None, 0, 45 * 86_400, ""),
    (45 * 86_400 + 1, None, 0, 45 * 86_400 + 1, SUSPECT),
    (10, 10, 0, 10, ""),
    (10, 12, 0, 10, ""),
    (10, 8, 0, 10, ""),
    (10, 12.000001, 0, 12.000001, CORRECTED),
    (10, 7.5, 0, 7.5, CORRECTED),
    (10, 13, 10_000, 10, ""),  # an oscillator drifts a second in 10,000
    (10, 13.001, 10_000, 13.001, CORRECTED),
    (-3_600, 5, 0, 5, CORRECTED),
    (86_400 * 365, 5, 0, 5, CORRECTED),
    (5, 86_400 * 46, 0, 86_400 * 46, f"{CORRECTED} {SUSPECT}"),
]


@pytest.mark.parametrize(("occurred", "happened", "contact", "expected", "flags"), CASES)
def test_the_effective_instant(
    occurred: float, happened: float | None, contact: int, expected: float, flags: str
) -> None:
    def before(seconds: float) -> int:
        return NOON - round(seconds * SECOND)

    ticked = None if happened is None else Happened(before(happened), contact * SECOND)
    found = effective(Document("sale", before(occurred)), NOON, ticked, Bounds(), backdated=False)
    assert (found.at, found.flags) == (before(expected), frozenset(flags.split()))


@pytest.mark.parametrize(
    ("kind", "backdated", "flags"),
    [("sale", False, {SUSPECT}), ("sale", True, set()), ("count", False, {SUSPECT}), ("count", True, {SUSPECT})],
)
def test_old_dates_are_expected_of_imports_but_not_of_counts(kind: str, backdated: bool, flags: set[str]) -> None:
    found = effective(Document(kind, NOON - 46 * DAY), NOON, None, Bounds(), backdated)
    assert found.flags == flags


STARTS = [
    # (the contacts as (received, start) in minutes, when the boot started)
    ([(0, 0)], 0),
    ([(0, 5), (1, 3), (2, 4)], 3),  # a delay only makes it later
    ([(0, 0), (60, 0.5)], 0),
    ([(0, 0), (60.1, 0.5)], 0.5),  # an hour before the last contact
    ([(0, 0), (1, 1), (2, 1)], 0),
    ([(0, 0), (1, 1.1)], 0),  # a single one may be late
    ([(0, 0), (1, 1.1), (2, 9)], 1.1),  # ticks had stopped
    ([(0, 0), (1, 9), (2, 0), (3, 9)], 0),
    ([(0, 0), (1, 5), (2, 5), (3, 9), (4, 9)], 9),
    ([(0, 9), (1, 9), (2, 0)], 0),  # HQ's clock was set back
]


@pytest.mark.parametrize(("contacts", "expected"), STARTS)
def test_when_a_boot_started(contacts: list[tuple[float, float]], expected: float) -> None:
    told = [Contact(round(received * MINUTE), round(start * MINUTE)) for received, start in contacts]
    assert boot_started(told) == round(expected * MINUTE)


def test_a_boot_that_was_never_heard_of_has_no_tick_nor_one_before_the_last_ten() -> None:
    clocks = TickClocks()
    for number in range(11):
        clocks.hear("t1", Tick(str(number), 0), NOON)
    known = [clocks.happened("t1", Tick(boot, 0)) is not None for boot in ("0", "1", "10", "11")]
    assert known == [False, True, True, False]
    assert clocks.happened("t2", Tick("1", 0)) is None


def test_the_nearest_contact_may_be_on_either_side() -> None:
    clocks = TickClocks()
    for hour in (1, 4):
        clocks.hear("t1", Tick("boot", hour * 3_600_000), NOON + hour * HOUR)
    assert clocks.happened("t1", Tick("boot", 3 * 3_600_000)) == (NOON + 3 * HOUR, HOUR)


def test_of_one_boot_the_order_of_ticks_is_kept() -> None:
    clocks = TickClocks()
    for milliseconds, at in ((10, NOON), (30, NOON + 5)):
        clocks.date("t1", Tick("boot", milliseconds), at)
    bounds = [clocks.bounds("t1", Tick("boot", milliseconds)) for milliseconds in (5, 10, 20, 40)]
    assert bounds == [(-FOREVER, NOON), (-FOREVER, NOON + 5), (NOON, NOON + 5), (NOON + 5, FOREVER)]


def test_a_slow_clock_and_an_expiry_are_put_right_together() -> None:
    """A till two hours slow makes a reservation for one hour, and tells at once."""
    model = played([])
    slow = NOON - 2 * HOUR
    body = {"type": "reserve", "occurred_at": text(slow), "expires_at": text(slow + HOUR)}
    body |= {"location": "L1", "lines": [{"sku": "a", "quantity": 1}]}  # type: ignore[dict-item]
    answer = deliver(model, Delivery("1", body, TILL, NOON, Tick("boot", 7), Tick("boot", 7)))
    assert "clock_corrected" in answer.flags
    held = [model.stock("L1", "a", now).reserved for now in (NOON, NOON + HOUR - 1, NOON + HOUR)]
    assert [bool(each) for each in held] == [True, True, False]


def test_two_sales_of_one_boot_keep_their_order_though_the_wall_clock_stepped() -> None:
    """The second sale is a second later, by a wall clock that was put a second and a half back: within tolerance."""
    model = played([])
    for number, occurred_at in ((1, NOON + SECOND), (2, NOON + SECOND // 2)):
        body = {"type": "sale", "occurred_at": text(occurred_at), "lines": [{"sku": "a", "quantity": 1}]}
        tick = Tick("boot", 1_000 * number)
        deliver(model, Delivery(str(number), body, TILL, NOON + number * SECOND, tick, tick))
    assert [posting.effective_at for posting in model.postings] == [NOON + SECOND] * 2
