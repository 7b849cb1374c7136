"""The replay posts every basket once, by its tills, however often HQ fails and however often it is run."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from pos_client.files.body_spool import BodySpool
from pos_client.files.postings import FilePosting, FileTill, posting_id
from pos_client.protocol.errors import ConnectionLost, ErrorCode, RequestError
from pos_client.protocol.messages import (
    CHAIN_START,
    ByeParams,
    ByeResult,
    HelloParams,
    HelloResult,
    Limits,
    Message,
    PingParams,
    PingResult,
    PostingResult,
    PostParams,
    PostResult,
)
from pos_client.replay.replay import Replay, ReplayOutcome, ReplaySpeed
from pos_client.replay.simulated_till import ReplayError, lineage_of, terminal_name

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class FakeHq:
    """HQ as a replay sees it. `fault` may raise before or after the work is done; `refuse` answers `rejected`."""

    def __init__(self, max_postings: int = 500, max_frame_bytes: int = 1 << 20) -> None:
        self.limits = Limits(max_frame_bytes, max_postings, 1000, 100)
        self.ledger: dict[UUID, tuple[str, int, bytes]] = {}
        self.arrivals: list[tuple[str, UUID]] = []
        self.frames: list[int] = []
        self.byes: list[tuple[str, int]] = []
        self.pings = 0
        self.hellos: list[HelloParams] = []
        self.open = 0
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None
        self.refuse: set[UUID] = set()
        self.lock = threading.Lock()

    def connect(self) -> FakeLink:
        self.before("connect")
        with self.lock:
            self.open += 1
        return FakeLink(self)


class FakeLink:
    def __init__(self, hq: FakeHq) -> None:
        self.hq = hq
        self.terminal = ""

    def request(self, method: str, params: Message) -> Any:
        self.hq.before(method)
        with self.hq.lock:
            answer: Any = getattr(self, f"_{method}")(params)
        self.hq.after(method)
        return answer

    def close(self) -> None:
        with self.hq.lock:
            self.hq.open -= 1

    def _hello(self, params: HelloParams) -> HelloResult:
        self.terminal = params.terminal
        self.hq.hellos.append(params)
        head = CHAIN_START
        return HelloResult("hq", 1, params.terminal, "till", "A", 1, head, 0, NOON, 30, self.hq.limits)

    def _post(self, params: PostParams) -> PostResult:
        results = []
        self.hq.frames.append(len(params.postings))
        for item in params.postings:
            self.hq.arrivals.append((self.terminal, item.id))
            if item.id in self.hq.refuse:
                results.append(PostingResult(item.id, "rejected", reason="no"))
                continue
            assert isinstance(item.seq, int)
            kept = (self.terminal, item.seq, bytes(item.body))
            known = self.hq.ledger.setdefault(item.id, kept)
            results.append(PostingResult(item.id, "posted" if known is kept else "duplicate"))
        return PostResult(results, CHAIN_START, 1, [])

    def _bye(self, params: ByeParams) -> ByeResult:
        assert isinstance(params.last_seq, int)
        self.hq.byes.append((self.terminal, params.last_seq))
        return ByeResult("balanced", [])

    def _ping(self, _: PingParams) -> PingResult:
        self.hq.pings += 1
        return PingResult(NOON)


def till(location: str, count: int, lane: str = "1", every_seconds: int = 60, size: int = 10) -> FileTill:
    postings, spool = [], BodySpool()
    for number in range(count):
        at = number * every_seconds * 1_000_000
        basket = f"{location}/{lane}/{number}"
        body = b'"%s"' % (b"x" * size)
        postings.append(
            FilePosting(posting_id("test", [basket], at).bytes, at, spool, spool.add(body), len(body), basket, 2)
        )
    return FileTill(location, lane, postings)


def replay(
    hq: FakeHq, tills: list[FileTill], speed: ReplaySpeed | None = None, tokens: dict[str, str] | None = None
) -> ReplayOutcome:
    used = speed or ReplaySpeed(workers=3, patience_seconds=30)
    return Replay(tills, hq.connect, used, tokens or {}, time.monotonic, random.Random(1)).run()


def test_every_till_posts_its_baskets_in_order_and_says_goodbye() -> None:
    hq = FakeHq()
    tills = [till("A", 7), till("B", 3), till("B", 2, lane="2"), till("C", 1), till("D", 1)]
    outcome = replay(hq, tills)
    assert outcome.statuses == {"posted": 14}
    assert outcome.lines == 28
    for one in tills:
        arrived = [found for name, found in hq.arrivals if name == terminal_name(one)]
        assert arrived == [posting.id for posting in one.postings]
    assert sorted(hq.byes) == [("A-1", 7), ("B-1", 3), ("B-2", 2), ("C-1", 1), ("D-1", 1)]
    assert hq.open == 0


def test_nothing_is_counted_twice_when_it_is_run_again() -> None:
    hq = FakeHq()
    replay(hq, [till("A", 7), till("B", 3)])
    first = dict(hq.ledger)
    assert replay(hq, [till("A", 7), till("B", 3)]).statuses == {"duplicate": 10}
    assert hq.ledger == first


def test_frames_keep_to_the_limits_of_hq() -> None:
    hq = FakeHq(max_postings=4)
    replay(hq, [till("A", 9)])
    assert hq.frames == [4, 4, 1]
    hq = FakeHq(max_frame_bytes=1024 + 2 * 1128)
    replay(hq, [till("A", 5, size=998)])
    assert hq.frames == [2, 2, 1]


def test_a_body_larger_than_a_frame_goes_out_alone_so_that_hq_can_refuse_it() -> None:
    hq = FakeHq(max_frame_bytes=1200)
    replay(hq, [till("A", 2, size=5000)])
    assert hq.frames == [1, 1]


PASSING = [
    ConnectionLost("The connection ended."),
    RequestError(ErrorCode.busy, "Later.", retry_after_ms=1),
    RequestError(ErrorCode.draining, "Going down.", retry_after_ms=1),
    RequestError(ErrorCode.internal, "Incident 7."),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: getattr(getattr(error, "code", None), "name", "lost"))
@pytest.mark.parametrize("place", ["before", "after"])
def test_what_passes_is_waited_for_and_the_same_ids_are_sent_again(error: Exception, place: str) -> None:
    hq = FakeHq(max_postings=3)
    calls = itertools.count(1)

    def fail_every_fourth(_: str) -> None:
        if next(calls) % 4 == 0:
            raise error

    setattr(hq, place, fail_every_fourth)
    tills = [till("A", 5)]
    outcome = replay(hq, tills)
    assert outcome.statuses.total() == 5
    assert {found: entry[:2] for found, entry in hq.ledger.items()} == {
        posting.id: ("A-1", seq) for seq, posting in enumerate(tills[0].postings, start=1)
    }
    assert hq.open == 0


FINAL = [ErrorCode.unauthenticated, ErrorCode.forbidden, ErrorCode.fenced, ErrorCode.fork, ErrorCode.too_large]


@pytest.mark.parametrize("code", FINAL)
def test_what_does_not_pass_ends_the_replay_at_once(code: ErrorCode) -> None:
    hq = FakeHq()

    def refuse(method: str) -> None:
        if method == "post":
            raise RequestError(code, "No.")

    hq.before = refuse
    with pytest.raises(RequestError) as refused:
        replay(hq, [till("A", 5), till("B", 5), till("C", 1), till("D", 1)])
    assert refused.value.code is code
    assert hq.open == 0


def test_patience_ends_with_the_advice_to_run_it_again() -> None:
    hq = FakeHq()

    def away(_: str) -> None:
        raise ConnectionLost("Connection refused.")

    hq.before = away
    with pytest.raises(
        ReplayError, match=r"No answer from HQ for 0 s \(Connection refused.\).*nothing is counted twice"
    ):
        replay(hq, [till("A", 5)], ReplaySpeed(patience_seconds=0))


def test_a_worker_that_waits_for_hq_is_woken_when_another_gives_up() -> None:
    hq = FakeHq()

    def one_refused_one_away(method: str) -> None:
        if threading.current_thread().name.endswith("_0") and method == "hello":
            raise RequestError(ErrorCode.forbidden, "No.")
        raise ConnectionLost("Away.")

    hq.before = lambda method: None if method == "connect" else one_refused_one_away(method)
    with pytest.raises((RequestError, ReplayError)):
        replay(hq, [till("A", 5), till("B", 5)], ReplaySpeed(workers=2, patience_seconds=3600))


def test_refused_postings_are_listed_and_do_not_stop_the_others() -> None:
    hq = FakeHq()
    one = till("A", 4)
    hq.refuse = {one.postings[1].id}
    outcome = replay(hq, [one])
    assert outcome.statuses == {"posted": 3, "rejected": 1}
    assert [(posting.basket, result.reason) for posting, result in outcome.refused] == [("A/1/1", "no")]
    assert outcome.lines == 6


def test_at_a_speed_sales_arrive_in_the_order_of_time_across_tills_and_idle_tills_ping() -> None:
    hq = FakeHq()
    tills = [till("A", 4, every_seconds=100), till("B", 3, every_seconds=150)]
    speed = ReplaySpeed(factor=2000, workers=1, heartbeat_seconds=0.01)
    assert replay(hq, tills, speed).statuses == {"posted": 7}
    times = {posting.id: posting.occurred_at for one in tills for posting in one.postings}
    arrived = [times[found] for _, found in hq.arrivals]
    assert arrived == sorted(arrived)
    assert hq.pings > 0


def test_a_token_proves_a_till_and_without_one_the_location_enrols_it() -> None:
    hq = FakeHq()
    replay(hq, [till("A", 1), till("B", 1)], tokens={"A-1": "secret"})
    said = {hello.terminal: (hello.token, hello.location) for hello in hq.hellos}
    assert said["A-1"][0] == "secret"
    assert said["B-1"][1] == "B"


def test_no_two_tills_have_one_name() -> None:
    odd = [("A", "1"), ("A-1", "1"), ("A", "1-1"), ("Köln", "1"), ("Kiln", "1"), ("K_ln", "1"), ("x" * 64, "1")]
    odd += [("x" * 63 + "y", "1"), ("A B", "1"), ("A/B", "1")]
    names = [terminal_name(FileTill(location, lane)) for location, lane in odd]
    assert len(set(names)) == len(odd)
    assert all(0 < len(name) <= 64 and name.isascii() and " " not in name and "/" not in name for name in names)


def test_the_same_postings_are_the_same_lineage_and_others_are_not() -> None:
    assert lineage_of(till("A", 3).postings) == lineage_of(till("A", 3).postings)
    assert lineage_of(till("A", 3).postings) != lineage_of(till("A", 4).postings)


def test_progress_is_told_and_no_tills_are_no_work() -> None:
    told: list[int] = []
    hq = FakeHq()
    Replay([till("A", 4)], hq.connect, ReplaySpeed(), {}, time.monotonic, random.Random(1)).run(told.append)
    assert told[-1] == 4
    assert replay(hq, []).statuses.total() == 0


def test_a_server_that_takes_shorter_postings_than_the_replay_has_gets_none_of_them() -> None:
    hq = FakeHq()
    hq.limits = Limits(1 << 20, 500, 1, 100)
    with pytest.raises(ReplayError, match="HQ accepts 1 lines in a posting, and this replay has postings of 2"):
        replay(hq, [till("A", 3)])
    assert hq.ledger == {}
