"""From HTTP to the table of requests: query parameters and bodies as params, outcomes as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from inventory_server.admin.methods import ACT_AS, CONTROL_METHODS, method_of
from inventory_server.config import Settings
from inventory_server.domain.people import (
    AddToken,
    AddUser,
    CloseSession,
    FindKey,
    FindUser,
    OpenSession,
    RedeemLink,
    ResetUser,
    SetPassword,
)
from inventory_server.domain.product import Product, Ranged
from inventory_server.domain.requests import (
    REQUESTS,
    CheckToken,
    Compare,
    FindSpeaker,
    ImportCounts,
    ImportProducts,
    ListCodes,
    ListDue,
    ProveLevels,
    ReadFeed,
    RecordAlerts,
    RecordDelivery,
    StartFeed,
    StartObserving,
    StoreRequest,
    WatchLevels,
    WatchTills,
)
from inventory_server.domain.roles import User
from inventory_server.protocol.binding import MethodBinding, Ready, SessionContext
from inventory_server.web.queries import json_of_query, list_params
from pos_client.protocol.messages import Request as WireRequest
from pos_client.protocol.methods import METHODS
from pos_client.protocol.units import instant, unscaled
from pos_client.protocol.wire import decode_params_with

_OF_CONNECTIONS = (ACT_AS, "post", "ping", "bye")
"""Methods that are about a connection, which HTTP has none of; `postings.py` has what posts."""
_NOT_OFFERED: frozenset[type] = frozenset(
    (
        # Of connections, too; the feed is a stream of its own.
        *(CheckToken, FindSpeaker, ListCodes, StartFeed, ReadFeed),
        # They hold hashes, which this process alone makes: `sign_in.py` has what takes their place.
        *(FindUser, FindKey, AddUser, ResetUser, AddToken, RedeemLink, SetPassword, OpenSession, CloseSession),
        # The observer's, which is a process of its own.
        *(ListDue, WatchLevels, WatchTills, ProveLevels, StartObserving, RecordAlerts, RecordDelivery),
        # They hold units of 10⁻⁵, which a program would take for whole ones; the commands that import files do it.
        *(ImportProducts, ImportCounts),
        # It names another database, which this machine would connect to.
        Compare,
    )
)


def _offered() -> dict[str, MethodBinding]:
    calls = {
        name: binding
        for name, binding in CONTROL_METHODS.items()
        if name not in _OF_CONNECTIONS and binding.request not in _NOT_OFFERED
    }
    questions = [each for each, kind in REQUESTS.items() if not kind.writes and each not in _NOT_OFFERED]
    return calls | {REQUESTS[each].name: method_of(each) for each in questions if REQUESTS[each].name not in calls}


OFFERED_CALLS: Mapping[str, MethodBinding] = MappingProxyType(_offered())
"""What the API offers, by the request's name in the table: questions and administrators' changes."""


def params_type(name: str) -> type[msgspec.Struct]:
    """The type of the params of a call."""
    if name in METHODS:
        return METHODS[name].params
    decode: Any = OFFERED_CALLS[name].decode
    kind: type[msgspec.Struct] = decode.decoder.type
    return kind


def is_change(name: str) -> bool:
    """True for a call that writes."""
    request = OFFERED_CALLS[name].request
    return request is not None and REQUESTS[request].writes


UNITS: Mapping[type, tuple[str, ...]] = MappingProxyType(
    dict.fromkeys((Product, Ranged), ("reorder_point", "pack_size", "minimum"))
)
"""Fields of rows that hold units of 10⁻⁵; all others are quantities by their types."""


class Call:
    """One call of the API: how its params are read, and what request they make."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._binding = OFFERED_CALLS[name]
        self._params = params_type(name)
        self._lists = list_params(self._params)
        self._strict: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._params)
        self._lenient: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._params, strict=False)

    def of_query(self, pairs: Iterable[tuple[str, str]], talk: SessionContext) -> StoreRequest:
        """The request of query parameters; RequestError where they are none."""
        return self._made(self._lenient, json_of_query(pairs, self._lists), talk)

    def of_body(self, body: bytes, talk: SessionContext) -> StoreRequest:
        """The request of a body of JSON; RequestError where it is none."""
        return self._made(self._strict, body or b"{}", talk)

    def tell(self, talk: SessionContext, outcome: Any) -> bytes:
        """An outcome as JSON."""
        return msgspec.json.encode(told(self._binding.tell(talk, outcome)))

    def _made(self, decoder: msgspec.json.Decoder[Any], body: bytes, talk: SessionContext) -> StoreRequest:
        params = decode_params_with(decoder, WireRequest(self.name, Raw(body)))
        made = self._binding.ask(talk, params)
        assert not isinstance(made, Ready), "only calls about a connection need no store"
        return made


CALLS: Mapping[str, Call] = MappingProxyType({name: Call(name) for name in OFFERED_CALLS})


def talk_of(user: User, settings: Settings, now: int) -> SessionContext:
    """The context of one request: HTTP has no session but this."""
    return SessionContext(settings, lambda: now, lambda: False, bytes, "tillwire", False, user.source, user)


def told(value: Any) -> Any:
    """`value` for JSON: in rows microseconds become instants with their offset, and units of 10⁻⁵ quantities."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        units = UNITS.get(type(value), ())
        return {
            each.name: _field(each.name, getattr(value, each.name), each.name in units)
            for each in dataclasses.fields(value)
        }
    if isinstance(value, list | tuple):
        return [told(each) for each in value]
    return value


def _field(name: str, value: Any, is_units: bool) -> Any:
    if is_units:
        return None if value is None else unscaled(value)
    return instant(value) if name.endswith("_at") and isinstance(value, int) else told(value)
