"""Alerts in the store: opened once, queued in the same transaction, delivered in order; what the observer asks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from inventory_server.domain import limits
from inventory_server.domain.alerts import AlertRow, DueDelivery, ObserverState, OpenedAlert, WatchedLevel
from inventory_server.domain.door import perform
from inventory_server.domain.product import Product, Ranged
from inventory_server.domain.requests import (
    ImportProducts,
    ListAlerts,
    ListAudit,
    ListDue,
    MergeProducts,
    ProveLevels,
    RecordAlerts,
    RecordDelivery,
    RemoveTarget,
    ResumeTarget,
    ShowObserver,
    StartObserving,
    WatchLevels,
    WatchTills,
)
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore, StoreError
from inventory_server.store.admin import alerts
from inventory_server.store.ledger import tables as t
from pos_client.protocol.units import QUANTITY_UNIT as ONE
from pos_client.protocol.units import instant, scaled
from tests.support.busyday import trade
from tests.support.ledgers import DAY, HOUR, NOON, SECOND, Clock, Till, body, opened
from tests.support.maintenance import administer, read_ledger
from tests.support.sites import Site, on_both

OF_A = OpenedAlert("reorder_point", "L1", "a", NOON, "9 of a at L1, reorder point 10")
SILENT = OpenedAlert("till_silent", "L1", "T1", NOON, "T1 at L1 is silent since noon")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(site: Site, clock: Clock) -> Any:
    with opened(site.new(), clock) as store:
        perform(store, StartObserving("me", actor=HEADQUARTERS))
        yield store


def record(store: LedgerStore, *opened: OpenedAlert, owner: str = "me", position: int = 7, **said: Any) -> list[int]:
    said.setdefault("targets", ["pager"])
    numbers: list[int] = perform(store, RecordAlerts(owner, position, list(opened), actor=HEADQUARTERS, **said))
    return numbers


def listed(store: LedgerStore, is_open: bool = True, **asked: Any) -> list[AlertRow]:
    found: list[AlertRow] = perform(store, ListAlerts(is_open, actor=HEADQUARTERS, **asked))
    return found


def due(store: LedgerStore, *targets: str) -> list[DueDelivery]:
    found: list[DueDelivery] = perform(store, ListDue(list(targets or ["pager"]), actor=HEADQUARTERS))
    return found


def observer(store: LedgerStore) -> ObserverState:
    found = perform(store, ShowObserver(actor=HEADQUARTERS))
    assert isinstance(found, ObserverState)
    return found


def came(store: LedgerStore, one: DueDelivery, error: str | None = None, next_at: int | None = None) -> bool:
    named = (one.target, one.queued_at, one.alert.number, one.event)
    done: bool = perform(store, RecordDelivery("me", *named, error, next_at, actor=HEADQUARTERS))
    return done


def told(store: LedgerStore, *targets: str) -> list[tuple[str, int, str]]:
    return [(each.target, each.alert.number, each.event) for each in due(store, *targets)]


@on_both
def test_an_alert_is_opened_and_queued_once_and_closed_and_queued_once(store: LedgerStore) -> None:
    assert record(store, OF_A, SILENT, OF_A) == [1, 2, 1]
    assert record(store, OF_A) == [1]
    assert [(each.number, each.key) for each in listed(store)] == [(2, SILENT.key), (1, OF_A.key)]
    record(store, closed=[1, 99])
    record(store, closed=[1])
    assert [each.number for each in listed(store)] == [2]
    taken = []
    while waiting := due(store):
        taken += [(each.alert.number, each.event) for each in waiting]
        assert came(store, waiting[0])
        assert not came(store, waiting[0])
    assert taken == [(1, "opened"), (1, "closed"), (2, "opened")] or taken == [
        (1, "opened"),
        (2, "opened"),
        (1, "closed"),
    ]
    [target] = observer(store).targets
    assert (target.target, target.delivered, target.waiting) == ("pager", 3, 0)


def test_a_condition_that_returns_is_another_alert(store: LedgerStore) -> None:
    [first] = record(store, OF_A)
    record(store, closed=[first])
    assert record(store, OF_A) == [first + 1]
    assert [(each.number, each.closed_at is None) for each in listed(store, is_open=False)] == [(2, True), (1, False)]
    assert [each.number for each in listed(store, is_open=False, before=2)] == [1]


def test_each_target_has_a_queue_of_its_own_in_order(store: LedgerStore, clock: Clock) -> None:
    record(store, OF_A, targets=["pager", "desk"])
    clock.now += SECOND
    record(store, SILENT, targets=["pager", "desk"])
    assert told(store, "desk", "pager") == [("desk", 1, "opened"), ("pager", 1, "opened")]
    [at_desk] = due(store, "desk")
    came(store, at_desk)
    assert told(store, "desk", "pager") == [("desk", 2, "opened"), ("pager", 1, "opened")]


def test_a_target_that_fails_is_tried_again_when_it_is_time_and_keeps_its_queue(
    store: LedgerStore, clock: Clock
) -> None:
    record(store, OF_A)
    [first] = due(store)
    assert came(store, first, "HTTP 500", clock.now + 5 * SECOND)
    assert due(store) == []
    [target] = observer(store).targets
    assert (target.failures, target.failed_at, target.last_error) == (1, clock.now, "HTTP 500")
    clock.now += 5 * SECOND
    [again] = due(store)
    assert (again.attempts, again.failures, again.alert) == (1, 1, first.alert)
    came(store, again)
    [target] = observer(store).targets
    assert (target.failures, target.failed_at, target.last_error, target.waiting) == (0, None, None, 0)


def test_a_paused_target_waits_for_a_person_and_loses_nothing(store: LedgerStore, clock: Clock) -> None:
    record(store, OF_A)
    came(store, due(store)[0], "HTTP 410", None)
    record(store, SILENT)
    clock.now += 30 * DAY
    assert due(store) == []
    [target] = observer(store).targets
    assert (target.waiting, target.paused_at, target.last_error) == (2, NOON + DAY, "HTTP 410")
    assert perform(store, ResumeTarget("pager", actor=HEADQUARTERS)) == 2
    assert told(store) == [("pager", 1, "opened")]
    assert perform(store, ListAudit(actor=HEADQUARTERS))[-1].request == "resume_target"


def test_a_target_is_not_told_that_it_takes_nothing(store: LedgerStore) -> None:
    failed = OpenedAlert("delivery_failed", "", "pager", NOON, "pager takes nothing")
    [number] = record(store, failed, targets=["pager", "desk"])
    record(store, closed=[number], targets=["pager", "desk"])
    assert {each[0] for each in told(store, "pager", "desk")} == {"desk"}


def test_a_target_that_is_removed_is_forgotten_with_its_queue(store: LedgerStore) -> None:
    record(store, OF_A, SILENT)
    assert perform(store, RemoveTarget("pager", actor=HEADQUARTERS)) == 2
    assert observer(store).targets == []
    for change in (RemoveTarget, ResumeTarget):
        with pytest.raises(StoreError, match="Nothing was ever delivered to pager"):
            perform(store, change("pager", actor=HEADQUARTERS))


def test_an_observer_goes_on_where_the_last_one_was_which_is_refused_from_then_on(store: LedgerStore) -> None:
    record(store, position=41, proven=10, mismatches=1)
    assert perform(store, StartObserving("other", actor=HEADQUARTERS)) == 41
    with pytest.raises(StoreError, match="Another process observes this ledger now"):
        record(store, OF_A)
    assert listed(store) == []
    record(store, owner="other", position=42, proven=5)
    state = observer(store)
    assert (state.owner, state.position, state.proven, state.mismatches) == ("other", 42, 15, 1)
    with pytest.raises(StoreError, match="Another process"):
        perform(store, RecordDelivery("me", "pager", 1, 1, "opened", actor=HEADQUARTERS))


def test_a_ledger_is_observed_from_its_last_position_on(site: Site) -> None:
    with opened(site.new()) as store:
        with pytest.raises(StoreError, match="Another process"):
            record(store, OF_A)
        assert observer(store).position is None
        Till(store).post(body("sale", ("a", 1)), body("sale", ("a", 2)))
        assert perform(store, StartObserving("me", actor=HEADQUARTERS)) == 2


def test_what_the_observer_notes_leaves_the_writers_memory_alone(site: Site) -> None:
    url = site.new()

    def stamp() -> Any:
        return read_ledger(url, lambda connection: connection.execute(select(t.ledger.c.stamp)).scalar_one())

    with opened(url) as store:
        perform(store, StartObserving("me", actor=HEADQUARTERS))
        Till(store).post(body("sale", ("a", 1)))
        before = stamp()
        record(store, OF_A)
        came(store, due(store)[0])
        assert stamp() == before
        perform(store, ResumeTarget("pager", actor=HEADQUARTERS))
        assert stamp() != before


def test_closed_alerts_are_kept_for_a_year_and_until_everybody_was_told(
    store: LedgerStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "ALERTS_KEPT_DAYS", 10)
    record(store, OF_A, closed=[])
    record(store, closed=[1], targets=[])
    record(store, SILENT, targets=[])
    record(store, closed=[2], targets=[])
    clock.now += 11 * DAY
    record(store)
    assert [each.number for each in listed(store, is_open=False)] == [1]  # its delivery still waits
    came(store, due(store)[0])
    record(store)
    assert listed(store, is_open=False) == []


def test_a_year_is_a_year() -> None:
    assert limits.ALERTS_KEPT_DAYS == 366


# ---------------------------------------------------------------------------------- what the observer asks


def watched(store: LedgerStore, *keys: tuple[str, str], **asked: Any) -> list[WatchedLevel]:
    found: list[WatchedLevel] = perform(store, WatchLevels(list(keys) or None, actor=HEADQUARTERS, **asked))
    return sorted(found, key=lambda each: (each.location, each.sku))


@on_both
def test_levels_are_watched_net_of_what_is_reserved_beside_the_reorder_point_of_their_location(
    store: LedgerStore,
) -> None:
    products = [
        Product("a", reorder_point=scaled(10)),
        Product("b", reorder_point=scaled(3), ranged=(Ranged("L1", scaled(5)),)),
        Product("c"),
        Product("never had", reorder_point=scaled(4)),
    ]
    perform(store, ImportProducts(products, actor=HEADQUARTERS))
    till = Till(store)
    till.post(
        body("receipt", ("a", 12), ("b", 4), ("c", 1), ("unlisted", 1)),
        body("reserve", ("a", 3), expires_at=instant(NOON + 9 * DAY)),
    )
    assert watched(store) == [
        WatchedLevel("L1", "a", 9 * ONE, 10 * ONE),
        WatchedLevel("L1", "b", 4 * ONE, 5 * ONE),
    ]
    assert watched(store, after=("L1", "a")) == [WatchedLevel("L1", "b", 4 * ONE, 5 * ONE)]
    named = watched(store, ("L1", "a"), ("L1", "c"), ("L1", "unlisted"), ("L9", "a"))
    assert named == [WatchedLevel("L1", "a", 9 * ONE, 10 * ONE), WatchedLevel("L1", "c", ONE, None)]
    perform(store, MergeProducts("a", "c", actor=HEADQUARTERS))
    assert [each.sku for each in watched(store, ("L1", "a"), ("L1", "c"))] == ["c"]


def test_tills_are_watched_while_they_are_in_use(store: LedgerStore, clock: Clock) -> None:
    first = Till(store, "T1")
    first.item(body("sale", ("a", 1)))  # its sequence number never arrives
    first.post(body("sale", ("a", 2)))
    Till(store, "T2", "L2")
    clock.now += HOUR
    one, other = perform(store, WatchTills(actor=HEADQUARTERS))
    assert (one.terminal, one.location, one.holes, one.silent_since_at) == ("T1", "L1", [(1, 1)], NOON + DAY)
    assert (other.terminal, other.holes) == ("T2", [])


@on_both
def test_levels_are_proven_one_after_the_other_and_a_wrong_one_is_named(site: Site) -> None:
    url = site.filled(trade)
    with opened(url) as store:
        assert _proven(store, 1) == _proven(store, 100) == (4, [])
        wrong = t.level.update().where(t.level.c.location == "L1", t.level.c.sku == "b")
        administer(store, lambda connection: connection.execute(wrong.values(in_transit=1)))
        proven, found = _proven(store, 3)
        assert proven == 4
        [(location, sku, how)] = found
        assert (location, sku) == ("L1", "b")
        assert how.startswith("the level is (")


def _proven(store: LedgerStore, limit: int) -> tuple[int, list[tuple[str, str, str]]]:
    after, proven, found = None, 0, []
    while True:
        told = perform(store, ProveLevels(after, limit, actor=HEADQUARTERS))
        proven += told.proven
        found += told.mismatches
        if told.last is None:
            return proven, found
        after = told.last
