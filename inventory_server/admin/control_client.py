"""The client's side of the control socket: the server that writes a ledger is asked as an actor."""

from __future__ import annotations

from contextlib import closing

import msgspec
from msgspec import UnsetType

from inventory_server.admin.methods import ACT_AS, PROGRESS, SOURCE, ActAs, ForwardedPostings, ProgressParams, fields_of
from inventory_server.config import CONTROL_LONG_REPLY_SECONDS, CONTROL_REPLY_SECONDS
from inventory_server.domain.door import Outcome, Progress, no_progress
from inventory_server.domain.requests import REQUESTS, Administrative, Cost, Post, Question
from inventory_server.domain.roles import Speaker, User
from inventory_server.store import StoreError
from pos_client.protocol.errors import ConnectionLost, RequestError
from pos_client.protocol.messages import PostResult, Reply
from pos_client.transport.connection import Connection


def connected(path: str, actor: User, source: str = SOURCE, seconds: float = CONTROL_REPLY_SECONDS) -> Connection:
    """A connection to the control socket at `path`, as `actor`; StoreError if the server does not answer.

    `source` is where the actor is, for the audit trail; the server is given `seconds`.
    """
    try:
        connection = Connection.open(f"unix:{path}")
    except ConnectionLost as error:
        raise _no_answer(path, error) from error
    try:
        connection.ask(ACT_AS, ActAs(actor.name, actor.role, source), seconds)
    except (ConnectionLost, RequestError) as error:
        connection.close()
        raise _no_answer(path, error) from error
    return connection


def forward(path: str, speaker: Speaker, postings: ForwardedPostings) -> PostResult:
    """Have the server at `path` post for `speaker`, who gave its token; errors as those of `ask_server`.

    StoreError if it does not answer, and then nothing was posted.
    """
    with closing(connected(path, User(speaker.terminal, speaker.role, speaker.source), speaker.source)) as connection:
        result = connection.ask(REQUESTS[Post].name, postings, CONTROL_REPLY_SECONDS)
        assert isinstance(result, PostResult)
        return result


def _no_answer(path: str, error: Exception) -> StoreError:
    return StoreError(f"The server on this ledger does not answer at {path}: {error}")


def ask_server(
    connection: Connection,
    request: Administrative | Question,
    progress: Progress = no_progress,
    seconds: float | None = None,
) -> Outcome:
    """What the server answers to `request`; ConnectionLost if that stays unknown, RequestError if it refuses.

    It is given `seconds`, by default as many as its cost may take.
    """

    def show(notification: Reply) -> None:
        if notification.method == PROGRESS and not isinstance(notification.params, UnsetType):
            params = msgspec.json.decode(notification.params, type=ProgressParams)
            progress(params.done, params.total)

    kind = REQUESTS[type(request)]
    params = {name: getattr(request, name) for name in fields_of(type(request))}
    usual = CONTROL_LONG_REPLY_SECONDS if kind.cost is Cost.LONG else CONTROL_REPLY_SECONDS
    return msgspec.convert(connection.ask(kind.name, params, usual if seconds is None else seconds, show), kind.outcome)
