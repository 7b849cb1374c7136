"""Finding the posting to blame: refusals are definite, deaths need a witness."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from pos_client.till.poison import PoisonSearch
from pos_client.till.policy import ALONE_SECONDS, DEATHS_BEFORE_PARKING
from tests.support.outboxes import posting_id

MOST = 64


class Queue:
    """Postings 1 … count, sent as `PoisonSearch` says, to a server that treats some of them badly."""

    def __init__(self, count: int) -> None:
        self.isolation = PoisonSearch()
        self.pending = [posting_id(number) for number in range(1, count + 1)]
        self.sizes: list[int] = []
        self.parked: list[UUID] = []
        self.now = 0

    def frame(self) -> list[UUID]:
        most, skip = self.isolation.window()
        ids = self.pending[skip : skip + (most or MOST)]
        if skip and not ids:
            self.isolation.no_witness()
            ids = self.pending[:1]
        self.sizes.append(len(ids))
        return ids

    def drop(self, ids: list[UUID]) -> None:
        self.pending = [each for each in self.pending if each not in ids]

    def step(self, kills: Callable[[list[UUID]], bool], refuses: Callable[[list[UUID]], bool]) -> None:
        ids = self.frame()
        self.now += 1_000_000
        culprit = None
        if refuses(ids):
            culprit = self.isolation.refused(ids)
        elif kills(ids):
            culprit = self.isolation.died(ids, self.now)
        else:
            self.isolation.passed(ids, MOST)
            self.drop(ids)
        if culprit is not None:
            self.parked.append(culprit)
            self.drop([culprit])

    def run(
        self,
        kills: Callable[[list[UUID]], bool] = lambda _: False,
        refuses: Callable[[list[UUID]], bool] = lambda _: False,
        steps: int = 2_000,
    ) -> None:
        for _ in range(steps):
            if not self.pending:
                return
            self.step(kills, refuses)


def holds(*numbers: int) -> Callable[[list[UUID]], bool]:
    bad = {posting_id(number) for number in numbers}
    return lambda ids: not bad.isdisjoint(ids)


@pytest.mark.parametrize("bad", [(1,), (50,), (100,), (7, 8), (1, 2, 3), (99, 100), (13, 40, 77)])
@pytest.mark.parametrize("how", ["refuses", "kills"])
def test_exactly_the_bad_postings_are_parked_and_all_others_get_through(bad: tuple[int, ...], how: str) -> None:
    queue = Queue(120)
    if how == "kills":
        queue.run(kills=holds(*bad))
    else:
        queue.run(refuses=holds(*bad))
    assert queue.pending == []
    assert queue.parked == [posting_id(number) for number in bad]
    assert not queue.isolation.is_troubled


def test_frames_grow_again_after_the_culprit_is_parked() -> None:
    queue = Queue(300)
    queue.run(refuses=holds(5))
    assert queue.sizes[:8] == [64, 32, 16, 8, 4, 2, 1, 1]
    assert queue.sizes[-1] > 32


def test_a_frame_that_dies_twice_is_sent_whole_the_third_time() -> None:
    queue = Queue(10)
    deaths = iter([True, True])
    queue.run(kills=lambda _: next(deaths, False))
    assert queue.sizes == [10, 10, 10]
    assert queue.parked == []


def test_a_server_that_takes_nothing_has_nothing_parked() -> None:
    """Without a witness nobody is guilty, however long that takes: the server is ill."""
    queue = Queue(40)
    queue.run(kills=lambda _: True, steps=3 * ALONE_SECONDS)
    assert len(queue.pending) == 40
    queue.run()
    assert queue.pending == []
    assert queue.parked == []


def test_a_posting_without_neighbours_is_parked_only_after_a_long_time() -> None:
    queue = Queue(1)
    queue.run(kills=lambda _: True, steps=ALONE_SECONDS)
    assert queue.pending
    queue.run(kills=lambda _: True, steps=2)
    assert queue.parked == [posting_id(1)]


def test_two_bad_postings_without_others_wait_for_the_next_sale() -> None:
    queue = Queue(2)
    queue.run(kills=lambda _: True, steps=3 * ALONE_SECONDS)
    assert queue.parked == []
    queue.pending.append(posting_id(3))
    queue.run(kills=holds(1, 2))
    assert (queue.parked, queue.pending) == ([posting_id(1), posting_id(2)], [])


def test_a_posting_that_gets_through_at_last_is_not_parked() -> None:
    queue = Queue(2)
    seen: list[list[UUID]] = []

    def kills(ids: list[UUID]) -> bool:
        seen.append(ids)
        return posting_id(1) in ids and len(seen) < DEATHS_BEFORE_PARKING + 3

    queue.run(kills=kills)
    assert queue.parked == []
    assert queue.pending == []


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_posting_that_is_to_be_sent_again_before_the_accused_changes_nothing_in_the_end(steps: int) -> None:
    """An HQ that was restored has the till send older postings again, in the middle of the search."""
    queue = Queue(3)
    queue.run(kills=holds(1), steps=steps)
    queue.pending.insert(0, posting_id(9))
    queue.run(kills=holds(1), steps=100)
    assert (queue.parked, queue.pending) == ([posting_id(1)], [])
