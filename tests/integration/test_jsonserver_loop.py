"""The parts that connections stand on: the loop with its deadlines and wake-ups, and the pool of threads."""

import math
import socket
import threading
import time
from collections.abc import Iterator
from select import EPOLLIN

import pytest

from inventory_server.jsonserver import InterpreterTurn, WorkerPool
from inventory_server.jsonserver import loop as loop_module
from inventory_server.jsonserver.loop import Deadline, Loop
from tests.support.waiting import HANG_SECONDS, wait_until


class Noted:
    """A source that notes what it is told; `fails` makes it raise instead."""

    def __init__(self, fails: bool = False) -> None:
        self.is_closed = False
        self.deadline = Deadline(self)
        self.ours, self.theirs = socket.socketpair()
        self.fails = fails
        self.told: list[str] = []

    def fileno(self) -> int:
        return self.ours.fileno()

    def on_event(self, _: int) -> None:
        self.note(self.ours.recv(100).decode())

    def on_deadline(self) -> float:
        self.note("deadline")
        return math.inf

    def go_on(self) -> None:
        self.note("again")

    def on_failure(self, error: Exception) -> None:
        self.told.append(type(error).__name__)

    def note(self, what: str) -> None:
        if self.fails:
            raise ZeroDivisionError
        self.told.append(what)

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop(InterpreterTurn())
    yield loop
    loop.close()


@pytest.fixture
def sources(loop: Loop) -> Iterator[list[Noted]]:
    sources = [Noted(), Noted(fails=True), Noted()]
    for each in sources:
        loop.watch(each, EPOLLIN, 0)
    yield sources
    for each in sources:
        each.close()


def test_the_loop_does_what_comes_after_its_turn_once_everything_is_read(sources: list[Noted], loop: Loop) -> None:
    told: list[tuple[list[str], bool]] = []
    turn, first = loop._turn, sources[0]
    turn.afterwards = lambda: told.append((list(first.told), turn.is_callers()))
    first.theirs.send(b"x")
    loop.run_until(lambda: bool(told))
    assert told == [(["x"], False)]


def test_what_fails_is_logged_and_ends_that_source_alone(
    loop: Loop, sources: list[Noted], caplog: pytest.LogCaptureFixture
) -> None:
    first, failing, last = sources
    for each in sources:
        each.theirs.send(b"event")
        loop.again(each)
        loop.call(lambda each=each: each.note("call"), each)  # type: ignore[misc]
        loop.look_at(each, loop.now)
    loop.call(_fail)
    assert loop.run_until(lambda: len(first.told) == len(last.told) == 4, time.monotonic() + HANG_SECONDS)
    assert first.told == last.told == ["event", "call", "again", "deadline"]
    assert failing.told == ["ZeroDivisionError"] * 4
    assert caplog.text.count("event=source_failed") == 5


def _fail() -> None:
    raise ZeroDivisionError


def test_a_closed_source_is_told_nothing_more(loop: Loop, sources: list[Noted]) -> None:
    first, _, last = sources
    first.theirs.send(b"event")
    loop.again(first)
    loop.look_at(first, loop.now)
    loop.forget(first)
    first.is_closed = True
    loop.look_at(last, loop.now)
    assert loop.run_until(lambda: last.told == ["deadline"], time.monotonic() + HANG_SECONDS)
    assert first.told == []


def test_the_earliest_deadline_counts_and_stale_ones_are_dropped(
    loop: Loop, sources: list[Noted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "STALE_DEADLINES_MIN", 10)
    first = sources[0]
    for later in range(100, 0, -1):
        loop.look_at(first, loop.now + later)
        loop.look_at(first, loop.now + later + 50)
    assert len(loop._deadlines) < 25
    loop.look_at(first, loop.now)
    assert loop.run_until(lambda: first.told == ["deadline"], time.monotonic() + HANG_SECONDS)
    assert first.deadline.at == math.inf
    assert loop.run_until(lambda: False, time.monotonic()) is False


def test_calls_of_many_threads_all_arrive_and_those_after_the_end_are_dropped() -> None:
    loop = Loop(InterpreterTurn())
    made: list[int] = []
    threads, calls = 4, 500

    def call() -> None:
        for number in range(calls):
            loop.call(lambda number=number: made.append(number))  # type: ignore[misc]

    callers = [threading.Thread(target=call) for _ in range(threads)]
    loop.start(lambda: len(made) == threads * calls, "loop")
    for each in callers:
        each.start()
    for each in callers:
        each.join(HANG_SECONDS)
    wait_until(lambda: not loop.is_running())
    assert len(made) == threads * calls
    wait_until(lambda: loop._is_over)
    loop.call(_fail)


def test_a_loop_without_a_thread_may_be_tried_again(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", _no_thread)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        loop.start(lambda: True, "loop")
    assert not loop.is_running()


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


# ---------------------------------------------------------------------------------- the pool


def test_a_pool_has_as_many_threads_as_it_needs_and_no_more() -> None:
    pool, opened, ran = WorkerPool(2, "test pool"), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        assert opened.wait(HANG_SECONDS)
        ran.release()

    def ours() -> int:
        return sum(each.name.startswith("test pool ") for each in threading.enumerate())

    assert ours() == 0
    pool.run(work)
    assert ours() == 1
    for _ in range(5):
        pool.run(work)
    assert ours() == 2
    opened.set()
    for _ in range(6):
        assert ran.acquire(timeout=HANG_SECONDS)
    pool.close()
    wait_until(lambda: ours() == 0)


def test_work_that_fails_is_logged_and_the_next_is_done(caplog: pytest.LogCaptureFixture) -> None:
    pool, done = WorkerPool(1, "test pool"), threading.Event()
    pool.run(_fail)
    pool.run(done.set)
    assert done.wait(HANG_SECONDS)
    pool.close()
    assert "event=work_failed pool=test pool" in caplog.text


def test_a_pool_without_threads_says_so_and_one_with_too_few_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool, opened, done = WorkerPool(2, "test pool"), threading.Event(), threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.run(done.set)
    pool.run(lambda: None if opened.wait(HANG_SECONDS) else _fail())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        pool.run(done.set)
    opened.set()
    assert done.wait(HANG_SECONDS)
    pool.close()
    assert caplog.text.count("event=thread_start_failed pool=test pool") == 2
