"""The observer without a ledger, a network or a wait: what it opens, closes and queues, and how it delivers."""

from __future__ import annotations

import random
from typing import Any

import pytest

from inventory_server.domain.alerts import (
    AlertRow,
    DueDelivery,
    OpenedAlert,
    TargetState,
    WatchedLevel,
    WatchedTill,
)
from inventory_server.domain.limits import ALERTS_CHANGED_MAX, DELIVERY_RETRY_SECONDS
from inventory_server.domain.requests import (
    RecordAlerts,
    RecordDelivery,
)
from inventory_server.observer.deliveries import Deliverer
from inventory_server.observer.ledger import LedgerAway, ObserverReplaced
from inventory_server.observer.limits import LEVELS_SWEEP_SECONDS, PROOF_LEVELS, SWEEP_SECONDS
from inventory_server.observer.process import repeat
from inventory_server.observer.proof import BackgroundProof
from inventory_server.observer.sending import DeliveryRefusal
from inventory_server.observer.watch import AlertWatch
from pos_client.protocol.lists import ListedException
from pos_client.protocol.units import QUANTITY_UNIT as ONE
from pos_client.protocol.units import SECOND_MICROS, instant
from tests.support.fake_ledger import NOW, FakeLedger


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


def watching(ledger: FakeLedger, owner: str = "me") -> AlertWatch:
    proof = BackgroundProof(ledger, timer=lambda: ledger.seconds, chance=random.Random(1))
    watch = AlertWatch(ledger, owner, ["pager"], lambda: ledger.now, proof, lambda: ledger.seconds)
    watch.start()
    return watch


def turn(watch: AlertWatch) -> None:
    while watch.turn():
        pass


def till(**said: Any) -> WatchedTill:
    told: dict[str, Any] = {"silent_since_at": None, "holes": [], "clock_offset_ms": 0} | said
    return WatchedTill("T1", "L1", **told)


def test_stock_that_falls_below_its_reorder_point_is_one_alert_until_it_is_delivered(ledger: FakeLedger) -> None:
    watch = watching(ledger)
    for left in (12, 10, 9, 10, 8, 10):
        ledger.sell("L1", "a", left)
        turn(watch)
    assert ledger.open == [("reorder_point", "L1", "a")]
    assert ledger.alerts[0].said == "a at L1: 9 available, reorder point 10"
    ledger.sell("L1", "a", 11)
    turn(watch)
    assert ledger.open == []
    ledger.sell("L1", "a", 9)
    turn(watch)
    assert len(ledger.alerts) == 2


@pytest.mark.parametrize("listed", [True, False], ids=["without a reorder point", "merged, or not listed"])
def test_a_product_that_has_no_reorder_point_any_more_closes_its_alert(ledger: FakeLedger, listed: bool) -> None:
    watch = watching(ledger)
    ledger.sell("L1", "a", 9)
    turn(watch)
    if listed:
        ledger.levels["L1", "a"] = WatchedLevel("L1", "a", 9 * ONE, None)
    else:
        del ledger.levels["L1", "a"]
    ledger.pass_time(LEVELS_SWEEP_SECONDS)
    turn(watch)
    assert ledger.open == []


def test_a_reorder_point_that_was_raised_is_seen_without_a_sale(ledger: FakeLedger) -> None:
    watch = watching(ledger)
    turn(watch)
    ledger.levels["L1", "a"] = WatchedLevel("L1", "a", 9 * ONE, 10 * ONE)
    ledger.pass_time(LEVELS_SWEEP_SECONDS)
    turn(watch)
    assert ledger.open == [("reorder_point", "L1", "a")]


def test_the_position_is_noted_with_the_alert_and_a_new_process_opens_nothing_twice(ledger: FakeLedger) -> None:
    first = watching(ledger)
    ledger.sell("L1", "a", 9)
    turn(first)
    opening = next(each for each in ledger.noted if isinstance(each, RecordAlerts) and each.opened)
    assert (opening.position, opening.targets) == (1, ["pager"])
    ledger.position = 0  # as after a crash before the position was noted
    second = watching(ledger, "other")
    turn(second)
    assert len(ledger.alerts) == 1
    ledger.sell("L1", "b", 1)
    with pytest.raises(ObserverReplaced):
        turn(first)


def test_many_alerts_are_noted_a_part_at_a_time_and_the_position_with_the_last_of_them(ledger: FakeLedger) -> None:
    """So a crash between two parts has all of it read again."""
    watch = watching(ledger)
    turn(watch)
    for number in range(2 * ALERTS_CHANGED_MAX + 1):
        ledger.sell("L1", f"{number}", 9)
    turn(watch)
    parts = [each for each in ledger.noted if isinstance(each, RecordAlerts) and each.opened]
    assert [len(each.opened) for each in parts] == [ALERTS_CHANGED_MAX, ALERTS_CHANGED_MAX, 1]
    assert [each.position for each in parts] == [0, 0, len(ledger.feed)]
    assert len(ledger.open) == len(ledger.feed)


def test_after_the_ledger_was_away_the_watch_goes_on_from_what_it_says(ledger: FakeLedger) -> None:
    watch = watching(ledger)
    turn(watch)
    ledger.is_away = True
    with pytest.raises(LedgerAway):
        watch.turn()
    ledger.is_away = False
    ledger.sell("L1", "a", 9)
    turn(watch)
    assert ledger.open == [("reorder_point", "L1", "a")]


def test_a_silent_till_is_an_alert_after_five_minutes_and_over_two_minutes_after_it_is_back(ledger: FakeLedger) -> None:
    watch = watching(ledger)
    ledger.tills = [till(silent_since_at=ledger.now)]
    opened, closed = 0, 0
    for _ in range(31):
        turn(watch)
        opened += bool(ledger.open)
        ledger.pass_time(SWEEP_SECONDS)
    assert (opened, ledger.open) == (1, [("till_silent", "L1", "T1")])
    ledger.tills = [till()]
    while ledger.open:
        turn(watch)
        ledger.pass_time(SWEEP_SECONDS)
        closed += 1
    assert closed == 13


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        ({"holes": [(3, 5), (7, 7)]}, "hole", "T1 at L1 has not delivered 3-5 and 1 more"),
        ({"clock_offset_ms": -61_000}, "clock_off", "the clock of T1 at L1 is 61 s behind"),
        ({"clock_offset_ms": 3_600_000}, "clock_off", "the clock of T1 at L1 is 3600 s ahead"),
    ],
)
def test_what_is_wrong_with_a_till_for_a_while_is_an_alert(
    ledger: FakeLedger, said: dict[str, Any], kind: str, sentence: str
) -> None:
    watch = watching(ledger)
    ledger.tills = [till(**said)]
    turn(watch)
    assert ledger.open == []
    for _ in range(13):
        ledger.pass_time(SWEEP_SECONDS)
        turn(watch)
    assert ledger.open == [(kind, "L1", "T1")]
    assert ledger.alerts[0].said == sentence


def test_exceptions_are_one_alert_for_each_flag_at_a_location(ledger: FakeLedger) -> None:
    def cause(subject: str, position: int) -> ListedException:
        at = instant(NOW)
        return ListedException("unlisted_product", subject, "L1", 1, at, at, position, "list it", None)

    watch = watching(ledger)
    ledger.causes = [cause("new", 4), cause("old", 2)]
    turn(watch)
    ledger.causes.append(cause("third", 9))
    ledger.pass_time(SWEEP_SECONDS)
    turn(watch)
    assert [each.said for each in ledger.alerts] == ["unlisted_product at L1: new and 1 more"]
    ledger.causes = []
    ledger.pass_time(SWEEP_SECONDS)
    turn(watch)
    assert ledger.open == []


@pytest.mark.parametrize(("failures", "paused_at", "is_open"), [(2, None, False), (3, None, True), (1, NOW, True)])
def test_a_target_that_takes_nothing_is_an_alert_for_the_others(
    ledger: FakeLedger, failures: int, paused_at: int | None, is_open: bool
) -> None:
    watch = watching(ledger)
    ledger.targets = [TargetState("pager", 5, 0, None, failures, NOW, None, paused_at, "HTTP 500")]
    ledger.targets.append(TargetState("removed", 5, 0, None, 99, NOW, None, NOW, "in the file no more"))
    turn(watch)
    assert bool(ledger.open) is is_open
    assert set(ledger.open) <= {("delivery_failed", "", "pager")}


# ---------------------------------------------------------------------------------- the background proof


def test_all_levels_are_proven_from_a_random_place_on_round_and_round(ledger: FakeLedger) -> None:
    for number in range(50):
        ledger.levels["L1", f"{number:02}"] = WatchedLevel("L1", f"{number:02}", 0, None)
    proof = BackgroundProof(ledger, timer=lambda: ledger.seconds, chance=random.Random(3))
    covered: set[tuple[str, str]] = set()
    for _ in range(2 * 50 // PROOF_LEVELS + 2):
        stretch = proof.turn()
        assert stretch is not None
        covered |= {key for key in ledger.levels if stretch.covers(*key)}
    assert covered == set(ledger.levels)
    proven, mismatches = proof.counted()
    assert (proven >= 50, mismatches) == (True, 0)
    proof.forget(proven, 0)
    assert proof.counted() == (0, 0)


def test_the_proof_rests_so_that_it_takes_its_share_of_the_time_alone(ledger: FakeLedger) -> None:
    moments = iter([0.0, 100.0, 101.0, 110.0, 119.9, 120.0, 120.0])
    proof = BackgroundProof(ledger, share=0.05, timer=lambda: next(moments))
    assert proof.turn() is not None  # from 100 to 101: it rests for 19 seconds
    assert proof.turn() is None
    assert proof.turn() is None
    assert proof.turn() is not None


def test_a_level_that_differs_from_the_ledger_is_an_alert_until_it_is_proven(ledger: FakeLedger) -> None:
    watch = watching(ledger)
    ledger.levels["L1", "a"] = WatchedLevel("L1", "a", 5 * ONE, None)
    ledger.mismatches = [("L1", "a", "the level is 5, the ledger says 4")]
    turn(watch)
    ledger.pass_time(1)
    turn(watch)
    assert ledger.open == [("proof_failed", "L1", "a")]
    assert ledger.alerts[0].said == "a at L1: the level is 5, the ledger says 4"
    assert sum(each.mismatches for each in ledger.noted if isinstance(each, RecordAlerts)) >= 1
    ledger.mismatches = []
    ledger.pass_time(1)
    turn(watch)
    assert ledger.open == []


# ---------------------------------------------------------------------------------- deliveries


def due(failures: int = 0) -> DueDelivery:
    alert = AlertRow(7, "reorder_point", "L1", "a", 41, NOW, NOW, "9 of a", None)
    return DueDelivery("pager", NOW, "opened", failures, failures, alert)


def delivered(ledger: FakeLedger, *outcomes: DeliveryRefusal | None) -> list[RecordDelivery]:
    sent, coming = [], iter(outcomes)

    def send(event: Any, _now: int) -> DeliveryRefusal | None:
        sent.append(event.id)
        return next(coming)

    deliverer = Deliverer(ledger, "me", "pager", send, lambda: ledger.now, lambda: 0.0)
    for _ in outcomes:
        deliverer.turn()
    assert set(sent) == {f"alert-7-{NOW}-opened"}
    return [each for each in ledger.noted if isinstance(each, RecordDelivery)]


def test_an_event_that_was_taken_is_noted(ledger: FakeLedger) -> None:
    ledger.owner, ledger.due = "me", [due()]
    [noted] = delivered(ledger, None)
    assert (noted.error, noted.next_at) == (None, None)


def test_a_failure_is_noted_with_when_it_is_tried_again_under_the_same_id(ledger: FakeLedger) -> None:
    ledger.owner, ledger.due = "me", [due()]
    first, second = delivered(ledger, DeliveryRefusal("HTTP 500"), None)
    assert (first.error, first.next_at) == ("HTTP 500", NOW + DELIVERY_RETRY_SECONDS[0] * SECOND_MICROS)
    assert second.error is None


@pytest.mark.parametrize(
    ("failures", "refusal"),
    [(len(DELIVERY_RETRY_SECONDS), DeliveryRefusal("HTTP 500")), (0, DeliveryRefusal("HTTP 410 Gone", True))],
)
def test_a_target_that_fails_for_too_long_or_wants_nothing_more_is_paused(
    ledger: FakeLedger, failures: int, refusal: DeliveryRefusal
) -> None:
    ledger.owner, ledger.due = "me", [due(failures)]
    [noted] = delivered(ledger, refusal)
    assert (noted.error, noted.next_at) == (refusal.error, None)


# ---------------------------------------------------------------------------------- turns


def test_a_ledger_that_is_away_is_named_once_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[bool | Exception] = [LedgerAway("down"), LedgerAway("down"), True, LedgerAway("gone"), False]
    pauses: list[float] = []

    def turn() -> bool:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return not outcomes

    caplog.set_level("INFO")
    repeat("watch", lambda: None, turn, 0.5, wait)
    assert pauses == [1.0, 1.0, 0.0, 1.0, 0.5]
    events = [record.message.split()[0] for record in caplog.records]
    assert events == ["event=ledger_away", "event=ledger_back", "event=ledger_away", "event=ledger_back"]


def test_a_start_that_fails_is_repeated() -> None:
    starts: list[int] = []

    def start() -> None:
        starts.append(1)
        if len(starts) < 3:
            raise LedgerAway("no server runs")

    repeat("watch", start, lambda: False, 0.5, lambda seconds: seconds == 0.5)
    assert len(starts) == 3


def test_an_alert_says_what_it_is_about_as_it_was_opened() -> None:
    opened = OpenedAlert("hole", "L1", "T1", NOW, "said")
    assert opened.key == ("hole", "L1", "T1")
