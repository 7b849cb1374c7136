"""The way to the ledger: questions by read-only connections, changes by the server that writes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Protocol, TypeVar

import msgspec

from inventory_server.admin.control_client import ask_server, connected, forward
from inventory_server.admin.control_paths import control_paths
from inventory_server.admin.methods import ForwardedPostings
from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.domain.door import Outcome
from inventory_server.domain.requests import REQUESTS, Administrative, Cost, Question, assert_allowed
from inventory_server.domain.roles import Actor, Speaker, User
from inventory_server.store import LedgerReader, StoreError, open_reader
from inventory_server.web.limits import LONG_QUESTIONS_MAX, SERVER_REPLY_SECONDS
from inventory_server.web.refusals import busy
from pos_client.protocol.errors import ConnectionLost, ErrorCode, RequestError
from pos_client.protocol.messages import PostResult

T = TypeVar("T")


class Door(Protocol):
    """Asks and changes as an actor; the calls wait, so they are made by `def` routes alone."""

    def ask(self, question: Question, actor: Actor) -> Outcome:
        """The answer to a question; RequestError where there is none."""

    def ask_servers(self, question: Question, actor: Actor) -> list[Outcome]:
        """What each server process of this machine answers; RequestError `busy` where none does."""

    def follow(self, question: Question) -> Outcome:
        """The answer to a question of the feed, by its own actor."""

    def change(self, change: Administrative, actor: User) -> Outcome:
        """Carry out a change; RequestError where it is refused."""

    def post(self, speaker: Speaker, postings: ForwardedPostings) -> PostResult:
        """Post for a terminal that gave its token; RequestError where that is refused."""


class WebDoor:
    """The ledger of `url`, for many threads at once; StoreError if it cannot be opened."""

    def __init__(self, url: str, settings: Settings, clock: Clock) -> None:
        self._url = url
        self._reader: LedgerReader = open_reader(url, settings, clock)
        self._long = threading.BoundedSemaphore(LONG_QUESTIONS_MAX)

    def ask(self, question: Question, actor: Actor) -> Outcome:
        """The answer to a question; RequestError where there is none, or where it takes too long."""
        asked = msgspec.structs.replace(question, actor=actor)
        kind = REQUESTS[type(asked)]
        if kind.by_server:
            try:
                return self._at_server(lambda path: _asked(path, _user(actor), asked))
            except ConnectionLost as error:
                raise busy(str(error)) from error
        if kind.cost is not Cost.LONG:
            return self._answer(asked)
        if not self._long.acquire(blocking=False):
            raise busy("Another question that reads most of the ledger is being answered.")
        try:
            return self._answer(asked)
        finally:
            self._long.release()

    def ask_servers(self, question: Question, actor: Actor) -> list[Outcome]:
        """What each process of this machine that serves the ledger answers; one that has ended or hangs is left out."""
        asked = msgspec.structs.replace(question, actor=actor)
        assert_allowed(asked)
        answers = []
        with control_paths(self._url) as paths:
            for path in paths:
                with suppress(StoreError, ConnectionLost):
                    answers.append(_asked_soon(path, _user(actor), asked))
        if not answers:
            raise busy("No server of this ledger runs on this machine now.")
        return answers

    def follow(self, question: Question) -> Outcome:
        """The answer to a question of the feed, which is asked again and again; errors as the ledger raises them."""
        return self._reader.answer(question)

    def change(self, change: Administrative, actor: User) -> Outcome:
        """Have the server that writes the ledger carry out `change` as `actor`; RequestError where it is refused.

        This process never writes: a ledger that no server writes cannot be changed from here.
        """
        made = msgspec.structs.replace(change, actor=actor)
        assert_allowed(made)
        try:
            return self._at_server(lambda path: _asked(path, actor, made))
        except ConnectionLost as error:
            message = f"Outcome unknown: it may have been applied ({error}). Check before retrying."
            raise RequestError(ErrorCode.internal, message) from error

    def post(self, speaker: Speaker, postings: ForwardedPostings) -> PostResult:
        """Have the server post for `speaker`; RequestError where it refuses, `busy` where it is unknown whether it did.

        Who sends the same ids again then learns what was posted.
        """
        try:
            return self._at_server(lambda path: forward(path, speaker, postings))
        except ConnectionLost as error:
            raise busy(f"It is unknown whether these were posted ({error}); send the same ids again.") from error

    def close(self) -> None:
        """Close the ledger, once every question has been answered."""
        self._reader.close()

    def _answer(self, question: Question) -> Outcome:
        try:
            return self._reader.answer(question)
        except StoreError as error:  # the sentence that a command would print
            raise RequestError(ErrorCode.invalid_request, str(error)) from error

    def _at_server(self, ask: Callable[[str], T]) -> T:
        """What a server of this ledger on this machine answers."""
        with control_paths(self._url) as paths:
            if not paths:
                raise busy("No server of this ledger runs on this machine now, so nothing can be changed from here.")
            try:
                return ask(paths[0])
            except StoreError as error:
                raise busy(str(error)) from error


def _asked(path: str, actor: User, request: Administrative | Question) -> Outcome:
    with closing(connected(path, actor, actor.source)) as connection:
        return ask_server(connection, request)


def _asked_soon(path: str, actor: User, question: Question) -> Outcome:
    with closing(connected(path, actor, actor.source, SERVER_REPLY_SECONDS)) as connection:
        return ask_server(connection, question, seconds=SERVER_REPLY_SECONDS)


def _user(actor: Actor) -> User:
    return actor if isinstance(actor, User) else User(actor.name, actor.role, actor.source)
