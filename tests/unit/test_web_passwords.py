"""Passwords are checked a few at a time, and wrong ones are counted by user, by peer and by both."""

from __future__ import annotations

import threading

import pytest
from argon2 import PasswordHasher

from inventory_server.web import limits
from inventory_server.web.passwords import Attempts, Passwords
from pos_client.protocol.errors import RequestError
from pos_client.protocol.units import SECOND_MICROS
from tests.support.waiting import HANG_SECONDS, wait_until

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
GOOD = "correct horse battery"


def test_a_password_matches_its_own_hash_alone() -> None:
    passwords = Passwords(QUICK)
    hashed = passwords.hash(GOOD)
    assert GOOD not in hashed
    assert passwords.matches(hashed, GOOD)
    assert not passwords.matches(hashed, GOOD + " ")
    assert not passwords.matches(None, GOOD)
    assert not passwords.matches(None, "nobody's password")


def test_the_parameters_are_those_that_the_limits_say() -> None:
    hashed = Passwords().hash(GOOD)
    lanes = limits.ARGON2_LANES
    assert f"$argon2id$v=19$m={limits.ARGON2_MEMORY_KIB},t={limits.ARGON2_ITERATIONS},p={lanes}$" in hashed


@pytest.mark.parametrize("length", [limits.PASSWORD_LENGTH_MIN - 1, limits.PASSWORD_LENGTH_MAX + 1])
def test_a_password_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(RequestError, match=f"expected a password of 10 to 200 characters, got {length} characters"):
        Passwords(QUICK).hash("x" * length)


class Slow(PasswordHasher):
    """Waits while it hashes."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go_on = threading.Event()
        self.go_on.set()
        self.under_way = 0

    def hash(self, *given: object, **named: object) -> str:
        self.under_way += 1
        assert self.go_on.wait(HANG_SECONDS)
        return "hash"


def test_no_more_than_two_are_hashed_at_a_time_and_who_waits_too_long_is_told() -> None:
    hasher = Slow()
    passwords = Passwords(hasher, wait_seconds=0.01)
    hasher.go_on.clear()
    hasher.under_way = 0
    threads = [threading.Thread(target=passwords.hash, args=(GOOD,)) for _ in range(limits.HASHES_AT_A_TIME_MAX)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: hasher.under_way == limits.HASHES_AT_A_TIME_MAX)
        with pytest.raises(RequestError, match="sign in at the same time") as refused:
            passwords.hash(GOOD)
        assert refused.value.code.name == "busy"
    finally:
        hasher.go_on.set()
        for thread in threads:
            thread.join()
    assert passwords.hash(GOOD) == "hash"


def tried(attempts: Attempts, pairs: list[tuple[str, str]], now: int = 0) -> int:
    """How many of these wrong attempts were let through."""
    for number, (user, peer) in enumerate(pairs):
        try:
            attempts.begin(user, peer, now)
        except RequestError:
            return number
    return len(pairs)


@pytest.mark.parametrize(
    ("pairs", "most"),
    [
        ([("kim", "1.1.1.1")] * 100, limits.ATTEMPTS_OF_PAIR_MAX),
        ([("kim", f"peer {number}") for number in range(100)], limits.ATTEMPTS_OF_USER_MAX),
        ([(f"user {number}", "1.1.1.1") for number in range(100)], limits.ATTEMPTS_OF_PEER_MAX),
    ],
    ids=["pair", "user", "peer"],
)
def test_too_many_wrong_passwords_have_to_wait(pairs: list[tuple[str, str]], most: int) -> None:
    attempts = Attempts()
    assert tried(attempts, pairs) == most
    later = limits.ATTEMPTS_SECONDS * SECOND_MICROS
    assert tried(attempts, pairs[:1], later - 1) == 0
    assert tried(attempts, pairs[:1], later) == 1


def test_who_has_to_wait_is_told_for_how_long() -> None:
    attempts = Attempts()
    tried(attempts, [("kim", "here")] * 9)
    with pytest.raises(RequestError, match="try again in 15 min") as refused:
        attempts.begin("kim", "here", 30 * SECOND_MICROS)
    assert refused.value.data == {"retry_after_ms": 870_000, "status": 429}


def test_a_right_password_is_no_attempt() -> None:
    attempts = Attempts()
    for _ in range(100):
        attempts.begin("kim", "here", 0)
        attempts.succeeded("kim", "here")


def test_only_so_many_are_remembered() -> None:
    attempts = Attempts()
    for number in range(limits.ATTEMPTS_REMEMBERED_MAX):
        attempts.begin(f"user {number}", f"peer {number}", 0)
    assert len(attempts._counted) == limits.ATTEMPTS_REMEMBERED_MAX
