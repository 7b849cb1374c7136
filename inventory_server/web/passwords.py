"""Passwords: hashed with Argon2id, a few at a time, and wrong ones counted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from inventory_server.web.limits import (
    ARGON2_ITERATIONS,
    ARGON2_LANES,
    ARGON2_MEMORY_KIB,
    ATTEMPTS_OF_PAIR_MAX,
    ATTEMPTS_OF_PEER_MAX,
    ATTEMPTS_OF_USER_MAX,
    ATTEMPTS_REMEMBERED_MAX,
    ATTEMPTS_SECONDS,
    HASH_WAIT_SECONDS,
    HASHES_AT_A_TIME_MAX,
    PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN,
)
from inventory_server.web.refusals import busy, invalid
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.units import SECOND_MICROS

_hasher = PasswordHasher(ARGON2_ITERATIONS, ARGON2_MEMORY_KIB, ARGON2_LANES)


class Passwords:
    """Hashes and checks passwords, `HASHES_AT_A_TIME_MAX` at a time; RequestError `busy` where none is free in time."""

    def __init__(self, hasher: PasswordHasher = _hasher, wait_seconds: float = HASH_WAIT_SECONDS) -> None:
        self._hasher = hasher
        self._wait_seconds = wait_seconds
        self._places = threading.BoundedSemaphore(HASHES_AT_A_TIME_MAX)
        self._nobodys = hasher.hash("nobody's password")

    def hash(self, password: str) -> str:
        """The hash of a new password; RequestError `invalid_params` if it is too short or too long."""
        least, most = PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX
        if not least <= len(password) <= most:
            raise invalid("$.password", f"a password of {least} to {most} characters", f"{len(password)} characters")
        with self._place():
            return self._hasher.hash(password)

    def matches(self, held: str | None, password: str) -> bool:
        """True if `password` has the hash `held`; no such user (None) takes as long as a wrong password."""
        with self._place():
            try:
                self._hasher.verify(held or self._nobodys, password[: PASSWORD_LENGTH_MAX + 1])
            except VerificationError:
                return False
            return held is not None

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=self._wait_seconds):
            raise busy("Too many people sign in at the same time.")
        try:
            yield
        finally:
            self._places.release()


class Attempts:
    """Wrong passwords of the last `ATTEMPTS_SECONDS`, by user, by peer and by both; instants in microseconds.

    Each is counted from its first one on, and forgotten after that time.
    """

    def __init__(self) -> None:
        # Guards `_counted`: when the first was, and how many there were.
        self._lock = threading.Lock()
        self._counted: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()

    def begin(self, user: str, peer: str, now: int) -> None:
        """Count an attempt as wrong until it has `succeeded`; RequestError `busy` where too many were.

        So attempts that are made at the same time are no more than others.
        """
        with self._lock:
            for key, most in _limits(user, peer):
                began, count = self._counted.get(key, (now, 0))
                left = began + ATTEMPTS_SECONDS * SECOND_MICROS - now
                if count >= most and left > 0:
                    message = f"Too many wrong passwords; try again in {-(-left // (60 * SECOND_MICROS))} min."
                    raise RequestError(ErrorCode.busy, message, retry_after_ms=left // 1_000, status=429)
            for key, _ in _limits(user, peer):
                began, count = self._counted.pop(key, (now, 0))
                if now - began >= ATTEMPTS_SECONDS * SECOND_MICROS:
                    began, count = now, 0
                self._counted[key] = began, count + 1
            while len(self._counted) > ATTEMPTS_REMEMBERED_MAX:
                self._counted.popitem(last=False)

    def succeeded(self, user: str, peer: str) -> None:
        """The password was right: forget those of the user from this peer, and do not count this one elsewhere."""
        with self._lock:
            for key, _ in _limits(user, peer):
                began, count = self._counted.pop(key, (0, 1))
                if count > 1 and key != (user, peer):
                    self._counted[key] = began, count - 1


def _limits(user: str, peer: str) -> tuple[tuple[tuple[str, str], int], ...]:
    return (
        ((user, peer), ATTEMPTS_OF_PAIR_MAX),
        ((user, ""), ATTEMPTS_OF_USER_MAX),
        (("", peer), ATTEMPTS_OF_PEER_MAX),
    )
