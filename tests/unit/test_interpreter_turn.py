"""Turns at the interpreter: one thread at a time, and no thread waits for another one for long."""

import threading

from inventory_server.jsonserver import InterpreterTurn
from tests.support.waiting import HANG_SECONDS


def in_thread(work) -> None:  # type: ignore[no-untyped-def]
    """Run `work` on another thread to its end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(HANG_SECONDS)
    assert not thread.is_alive()


def take_and_leave(turn: InterpreterTurn) -> None:
    with turn:
        pass


def test_a_turn_is_that_of_one_thread() -> None:
    turn = InterpreterTurn()
    turns = 0

    def count() -> None:
        nonlocal turns
        with turn:
            turns += 1

    with turn:
        assert turn._lock.locked()
    in_thread(count)
    assert turns == 1
    assert not turn._lock.locked()


def test_a_thread_whose_turn_does_not_come_works_all_the_same_and_ends_nobody_elses() -> None:
    turn = InterpreterTurn()
    with turn:
        in_thread(lambda: take_and_leave(turn))
        assert turn._lock.locked()
    assert not turn._lock.locked()


def test_a_turn_inside_a_turn_needs_no_waiting(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    turn = InterpreterTurn()
    monkeypatch.setattr("inventory_server.jsonserver.turn.TURN_SECONDS_MAX", threading.TIMEOUT_MAX)
    with turn, turn:
        assert turn._lock.locked()
    assert not turn._lock.locked()
    in_thread(lambda: take_and_leave(turn))
