"""How a method of the protocol is bound to a request of the store, and the state of the connection that calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from inventory_server.config import Settings
from inventory_server.domain.answers import FeedStart
from inventory_server.domain.requests import REQUESTS, StoreRequest
from inventory_server.domain.roles import EVERYBODY, Actor, ActorRole
from inventory_server.jsonserver import ShownCertificate
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import Message, Request
from pos_client.protocol.wire import decode_params


@dataclass(frozen=True, slots=True)
class EnrolmentState:
    """What a client that enrols has been told: HQ's nonce, the terminals by their salts, what both prove about."""

    nonce: str
    terminals: dict[bytes, str]
    said: bytes


@dataclass(slots=True)
class SessionContext:
    """The state of one connection: its environment, its actor (None before `hello`), and whether it is to be closed.

    `peer` is the address of the other end, `app` what the client calls itself, `watching` what it watches, `shown` the
    certificate that it was shown (None: no TLS). `random_bytes` makes secrets of so many bytes, where clients enrol.
    `enrolment` is what a client that enrols has been told, `issued` the token that it gets.
    """

    settings: Settings
    clock: Callable[[], int]
    draining: Callable[[], bool]
    describe: Callable[[], bytes]
    server: str
    trusted: bool
    peer: str
    actor: Actor | None = None
    app: str | None = None
    closing: bool = False
    watching: FeedStart | None = None
    shown: ShownCertificate | None = None
    random_bytes: Callable[[int], bytes] | None = None
    enrolment: EnrolmentState | None = None
    issued: str = ""


class Ready(msgspec.Struct, frozen=True):
    """A result that does not need the store."""

    result: Message | Raw | dict[str, str]


@dataclass(frozen=True, slots=True)
class MethodBinding:
    """How a method maps to a request of the store, and its outcome to a result.

    `request` is the type of that request, None for a method that does not need the store. `ask` turns decoded params
    into the request, or directly into a result; `tell` turns the outcome into the result.
    """

    request: type | None
    ask: Callable[[SessionContext, Any], StoreRequest | Ready]
    tell: Callable[[SessionContext, Any], Any] = lambda _, outcome: outcome
    decode: Callable[[Request], Any] = decode_params

    @property
    def roles(self) -> frozenset[ActorRole]:
        """Who may call it."""
        return EVERYBODY if self.request is None else REQUESTS[self.request].roles


def given(value: Any) -> Any:
    """`value`, or None where the field was left out."""
    return None if value is UNSET else value


def refused(path: str, expected: str, came: str) -> RequestError:
    """The `invalid_params` error of one field."""
    message = f"{path}: expected {expected}, got {came}."
    return RequestError(ErrorCode.invalid_params, message, path=path, expected=expected, came=came)


def actor_of(talk: SessionContext) -> Actor:
    """The connection's actor; RequestError before `hello`."""
    if talk.actor is None:
        raise RequestError(ErrorCode.unauthenticated, "Say hello first.", expected="hello")
    return talk.actor
