"""The methods of the control socket: the tills' queries, administrators' requests, and postings that are forwarded.

The params are the fields of the request itself (`domain/requests.py`), the result is its outcome. Only the owner of the
ledger's files can connect; the owner is an administrator and may name another actor with `act_as`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from inventory_server.domain.requests import REQUESTS, Post
from inventory_server.domain.roles import ActorRequest, ActorRole, Speaker, User
from inventory_server.protocol.binding import MethodBinding, Ready, SessionContext, actor_of
from inventory_server.protocol.methods import QUESTIONS, post_of
from pos_client.protocol.fields import Location, NonNegative, Sequence, TickMs
from pos_client.protocol.messages import PostItem, PostParams, Request
from pos_client.protocol.wire import decode_params_with

SOURCE = "control socket"
ACT_AS = "act_as"
PROGRESS = "progress"
"""The notification before the answer to a request whose cost is `LONG`."""
_NAME = r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]{1,64}$"
"""A person's name: no control characters, none that turns the direction of writing."""
OFFERED = tuple(request for request, kind in REQUESTS.items() if kind.on_control_socket)
"""The administrators' requests that a running server carries out."""


class ActAs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Params of `act_as`: the actor of all further requests, its role and where it connects from."""

    actor: Annotated[str, Meta(pattern=_NAME)]
    role: ActorRole = "admin"
    source: Annotated[str, Meta(pattern=_NAME)] = SOURCE


class ForwardedPosting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A posting of `post`; its body is in base64, since it is forwarded byte for byte and a line has no line feed."""

    id: UUID
    body: bytes
    seq: Sequence | UnsetType = UNSET
    boot: UUID | UnsetType = UNSET
    tick_ms: TickMs | UnsetType = UNSET


class ForwardedPostings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Params of `post`: postings of a terminal that gave its token to who forwards them, `act_as` which it is called.

    The terminal was at `location` in `epoch` then. `boot` and `tick_ms` are of the moment of sending; there is
    no chain.
    """

    location: Location
    epoch: NonNegative
    postings: list[ForwardedPosting]
    lineage: UUID | None = None
    boot: UUID | UnsetType = UNSET
    tick_ms: TickMs | UnsetType = UNSET


class ProgressParams(msgspec.Struct, frozen=True):
    """Params of `progress`: how many of the steps of the request are done."""

    done: int
    total: int


class ProgressNotification(msgspec.Struct, frozen=True, kw_only=True):
    """The notification `progress`, as it is sent."""

    jsonrpc: str = "2.0"
    method: str = PROGRESS
    params: ProgressParams


@dataclass(frozen=True, slots=True)
class _Decoder:
    """Reads the params of one method."""

    decoder: msgspec.json.Decoder[Any]

    def __call__(self, request: Request) -> Any:
        return decode_params_with(self.decoder, request)


def _act_as(talk: SessionContext, params: ActAs) -> Ready:
    talk.actor = User(params.actor, params.role, params.source)
    return Ready({"actor": params.actor, "role": params.role})


def _post(talk: SessionContext, params: ForwardedPostings) -> Post:
    actor = actor_of(talk)
    assert actor.role in ("till", "operator"), "no other role may post"
    speaker = Speaker(actor.name, actor.role, params.location, params.epoch, params.lineage, actor.source)
    items = [PostItem(each.id, Raw(each.body), each.seq, each.boot, each.tick_ms) for each in params.postings]
    return post_of(talk, speaker, PostParams(items, boot=params.boot, tick_ms=params.tick_ms))


def fields_of(request: type[ActorRequest]) -> list[str]:
    """The fields that are params on the wire: all but the actor, which the server knows."""
    return [name for name in request.__struct_fields__ if name != "actor"]


def method_of(request: type[ActorRequest]) -> MethodBinding:
    """The method whose params are the fields of `request`."""
    fields = [each for each in msgspec.structs.fields(request) if each.name != "actor"]
    names: list[Any] = [
        (each.name, each.type) if each.required else (each.name, each.type, each.default) for each in fields
    ]
    params = msgspec.defstruct(f"{request.__name__}Params", names, forbid_unknown_fields=True, kw_only=True)

    def ask(talk: SessionContext, given: Any) -> Any:
        return request(actor=actor_of(talk), **{each.name: getattr(given, each.name) for each in fields})

    return MethodBinding(request, ask, decode=_Decoder(msgspec.json.Decoder(params)))


CONTROL_METHODS: Mapping[str, MethodBinding] = {
    ACT_AS: MethodBinding(None, _act_as, decode=_Decoder(msgspec.json.Decoder(ActAs))),
    REQUESTS[Post].name: MethodBinding(Post, _post, decode=_Decoder(msgspec.json.Decoder(ForwardedPostings))),
    **QUESTIONS,
    **{REQUESTS[request].name: method_of(request) for request in OFFERED},
}
"""Every method of the control socket."""
