"""An outbox that another terminal takes over: what the former one sold is its own until HQ lets it be delivered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from msgspec import structs

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.domain.door import perform
from inventory_server.domain.requests import AdoptTerminal, Enrol, MoveTerminal, RevokeTerminal
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore, open_store
from pos_client import OutboxError, PosClient
from pos_client.protocol.address import Address
from pos_client.till.actions import Connect, SendHello, SendPing
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_records import HeldPostings
from pos_client.till.policy import ADOPTION_POLL_SECONDS
from tests.support.desk import SECOND, TERMINAL, Desk, ids, sent
from tests.support.ledgers import level, proof_of
from tests.support.outboxes import posting
from tests.support.tills import FAST
from tests.support.waiting import HANG_SECONDS, wait_until

NOWHERE = "127.0.0.1:1"


def sold_by(folder: Path, terminal: str, *numbers: int) -> None:
    outbox = Outbox(folder / "till.db", terminal=terminal)
    outbox.add(*map(posting, numbers))
    outbox.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The sender of an outbox in which `old` has left three sales."""
    sold_by(tmp_path, "old", 1, 2, 3)
    sold_by(tmp_path, TERMINAL, 4)
    made = Desk(tmp_path)
    yield made
    made.outbox.close()


# ---------------------------------------------------------------------------------- the outbox


def test_what_another_terminal_left_is_held_and_does_not_count_as_this_ones(desk: Desk) -> None:
    assert desk.outbox.held() == [HeldPostings("old", None, 3)]
    assert (desk.outbox.pending, desk.outbox.deliverable, desk.outbox.report().pending) == (4, 1, 1)
    assert [(entry.seq, entry.id) for entry in desk.outbox.next_batch(10, 1 << 20)] == [(1, ids(4)[0])]


def test_the_terminal_that_comes_back_finds_what_it_left(tmp_path: Path) -> None:
    sold_by(tmp_path, "old", 1, 2)
    sold_by(tmp_path, "new", 3)
    sold_by(tmp_path, "old", 4)
    outbox = Outbox(tmp_path / "till.db")
    assert [(entry.seq, entry.id) for entry in outbox.next_batch(10, 1 << 20)] == list(enumerate(ids(1, 2, 4), 1))
    assert (outbox.terminal, outbox.held()) == ("old", [HeldPostings("new", None, 1)])
    outbox.close()


def test_each_terminal_remembers_where_hq_said_it_is(tmp_path: Path) -> None:
    found = []
    for terminal, place in (("old", "O"), ("new", "N"), ("old", "P")):
        outbox = Outbox(tmp_path / "till.db", terminal=terminal)
        found.append(outbox.location)
        outbox.note_location(place)
        outbox.new_lineage()
        found.append(outbox.location)
        outbox.close()
    assert found == [None, "O", None, "N", "O", "P"]


def test_an_outbox_that_is_being_sent_from_is_not_taken_over(tmp_path: Path) -> None:
    using = Outbox(tmp_path / "till.db", terminal="old")
    assert using.acquire_sending()
    with pytest.raises(OutboxError, match="is in use as old: end the program that uses it first"):
        Outbox(tmp_path / "till.db", terminal="new")
    using.close()


def test_who_has_lost_the_outbox_neither_sells_into_it_nor_sends_from_it(tmp_path: Path) -> None:
    former = Outbox(tmp_path / "till.db", terminal="old")
    sold_by(tmp_path, "new", 1)
    with pytest.raises(OutboxError, match="is in use as new by now: nothing was stored"):
        former.add(posting(2))
    assert not former.acquire_sending()
    again = Outbox(tmp_path / "till.db", terminal="new")
    assert again.acquire_sending()
    again.close()
    former.close()


def test_a_parked_posting_of_another_terminal_that_is_redriven_is_held(tmp_path: Path) -> None:
    sold_by(tmp_path, "old", 1)
    outbox = Outbox(tmp_path / "till.db", terminal="old")
    outbox.park(ids(1)[0], "refused", "why")
    outbox.close()
    outbox = Outbox(tmp_path / "till.db", terminal="new")
    outbox.redrive(ids(1)[0])
    assert (outbox.held(), outbox.deliverable) == ([HeldPostings("old", None, 1)], 0)
    outbox.close()


ADVICE = [
    (
        HeldPostings("old", "O", 3),
        "3 postings were made as old at O: ask the operator for `terminal adopt old --by new`",
    ),
    (HeldPostings("old", "O", 1), "1 posting was made as old at O: ask the operator for `terminal adopt old --by new`"),
    (HeldPostings("old", None, 2), "2 postings were made as old: ask the operator for `terminal adopt old --by new`"),
]


@pytest.mark.parametrize(("held", "advice"), ADVICE)
def test_what_is_held_says_what_it_waits_for(held: HeldPostings, advice: str) -> None:
    assert held.advice("new") == advice


# ---------------------------------------------------------------------------------- the sender


def says_hello(desk: Desk, *adopted: str) -> None:
    assert isinstance(desk.later(), Connect)
    desk.sender.on_connected()
    assert isinstance(desk.next(), SendHello)
    desk.sender.on_hello(structs.replace(desk.hello_result(), adopted=adopted))


def test_only_its_own_postings_are_sent(desk: Desk) -> None:
    says_hello(desk)
    items = desk.post()
    assert sent(items) == ids(4)
    desk.answer(items)
    assert desk.outbox.held() == [HeldPostings("old", None, 3)]


@pytest.mark.parametrize("adopted", [(), ("other",)])
def test_it_asks_again_whether_it_may_deliver_the_others(desk: Desk, adopted: tuple[str, ...]) -> None:
    says_hello(desk, *adopted)
    desk.answer(desk.post())
    said = desk.now
    while not isinstance(action := desk.later(), Connect):
        desk.sender.on_pong(desk.pong())
    assert isinstance(action, Connect)
    assert desk.now == said + ADOPTION_POLL_SECONDS * SECOND


def test_it_asks_for_those_that_are_redriven_while_it_is_connected(desk: Desk) -> None:
    for each in ids(1, 2, 3):
        desk.outbox.park(each, "refused", "why")
    says_hello(desk)
    desk.answer(desk.post())
    assert isinstance(desk.later(), SendPing)
    desk.sender.on_pong(desk.pong())
    desk.outbox.redrive(ids(1)[0])
    seen = [desk.later()]
    while not isinstance(seen[-1], Connect) and len(seen) < 20:
        desk.sender.on_pong(desk.pong())
        seen.append(desk.later())
    assert [type(action) for action in seen] == [*[SendPing] * (len(seen) - 1), Connect]


def test_once_adopted_they_are_delivered_first_and_numbered_with_its_own(desk: Desk) -> None:
    says_hello(desk, "old")
    says_hello(desk, "old")
    items = desk.post()
    assert [(item.seq, item.id) for item in items] == list(enumerate(ids(1, 2, 3, 4), 1))
    desk.answer(items)
    assert (desk.outbox.held(), desk.outbox.pending) == ([], 0)
    totals = desk.outbox.totals()
    assert (totals.last_seq, totals.count, totals.quantity) == (4, 4, -400_000)


# ---------------------------------------------------------------------------------- with a real server


class Chain:
    """A server with tokens, and the tills of one device."""

    def __init__(self, url: str, folder: Path) -> None:
        settings = Settings(accept_weak_durability=True)
        self.store: LedgerStore = open_store(url, settings, now_microseconds)
        self._application = Application(settings, self.store, [Address("127.0.0.1", 0)])
        for name, location in (("old-1", "old"), ("new-1", "new")):
            perform(self.store, Enrol(name, "till", location, f"token of {name}", actor=HEADQUARTERS))
        self._application.start()
        self._outbox = folder / "device.db"

    def till(self, terminal: str, location: str | None = None, *, online: bool = True) -> PosClient:
        address = str(self._application.addresses[0]) if online else NOWHERE
        token = f"token of {terminal}"
        return PosClient(
            address, terminal=terminal, token=token, location=location, outbox=self._outbox, retry_policy=FAST
        )

    def stop(self) -> None:
        self._application.stop()


@pytest.fixture
def chain(ledger: str, tmp_path: Path) -> Iterator[Chain]:
    started = Chain(ledger, tmp_path)
    yield started
    started.stop()
    proof = proof_of(ledger)
    assert proof.holds, proof.findings


def connected(till: PosClient) -> PosClient:
    wait_until(lambda: till.status().connected)
    return till


def test_a_device_that_goes_to_another_store_loses_nothing_and_its_sales_stay_at_the_old_one(chain: Chain) -> None:
    with chain.till("old-1", "old", online=False) as till:
        till.sell([("W", 3)])
        till.count([("W2", 7)])
    perform(chain.store, RevokeTerminal("old-1", actor=HEADQUARTERS))
    with chain.till("new-1", "new") as till:
        assert till.sell([("X", 1)]).wait(HANG_SECONDS).status == "posted"
        assert till.status().held == (HeldPostings("old-1", "old", 2),)
        assert till.bye(timeout=HANG_SECONDS).status == "balanced"
    perform(chain.store, AdoptTerminal("old-1", "new-1", actor=HEADQUARTERS))
    with connected(chain.till("new-1")) as till:
        wait_until(lambda: not till.pending)
        assert (till.status().held, till.status().parked) == ((), 0)
        assert till.bye(timeout=HANG_SECONDS).status == "balanced"
    found = [level(chain.store, sku, place).on_hand for sku, place in (("W", "old"), ("W2", "old"), ("X", "new"))]
    assert found == [-3, 7, -1]
    assert [level(chain.store, sku, "new").on_hand for sku in ("W", "W2")] == [0, 0]


def test_a_till_names_the_location_of_the_moment(chain: Chain) -> None:
    with connected(chain.till("old-1")) as till:
        till.sell([("W", 1)]).wait(HANG_SECONDS)
    with chain.till("old-1", online=False) as offline:
        offline.sell([("W", 10)])  # known from the first hello
    perform(chain.store, MoveTerminal("old-1", "new", actor=HEADQUARTERS))
    with connected(chain.till("old-1")) as till:
        assert till.status().location == "new"
        assert till.sell([("W", 100)]).wait(HANG_SECONDS).status == "posted"
        assert till.stock(["W"], locations=["new"], as_of=date(2000, 1, 1)).items[0].on_hand == 0
        wait_until(lambda: not till.pending)
    assert [level(chain.store, "W", place).on_hand for place in ("old", "new")] == [-11, -100]


def test_before_the_first_hello_a_till_has_to_be_told_where_it_is(chain: Chain) -> None:
    with chain.till("old-1", online=False) as till:
        with pytest.raises(OutboxError, match="does not know the till's location yet: give `location`, or connect"):
            till.sell([("W", 1)])
        assert (till.pending, till.status().location) == (0, None)
        till.sell([("W", 1)], location="old")
        assert till.pending == 1
