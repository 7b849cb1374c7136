"""Query parameters as params: texts become what their types say, and a list is a parameter that is repeated."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from inventory_server.web.refusals import invalid
from pos_client.protocol.limits import VALUE_LENGTH_MAX
from pos_client.protocol.messages import Request as WireRequest
from pos_client.protocol.printable import printable
from pos_client.protocol.wire import decode_params_with

T = TypeVar("T", bound=msgspec.Struct)


def list_params(kind: type[msgspec.Struct]) -> frozenset[str]:
    """The names of the params that are lists: in a query they are repeated."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return frozenset(each.encode_name for each in info.fields if _is_list(each.type))


def _is_list(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(map(_is_list, kind.types))
    return isinstance(kind, msgspec.inspect.ListType | msgspec.inspect.VarTupleType)


def json_of_query(pairs: Iterable[tuple[str, str]], lists: frozenset[str]) -> bytes:
    """Query parameters as a JSON object of texts; RequestError for one that is repeated and no list."""
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise invalid(f"$.{printable(name[:VALUE_LENGTH_MAX])}", "it once", "it twice")
        else:
            given[name] = value
    return msgspec.json.encode(given)


@cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, strict=False)


def params_of_query(kind: type[T], pairs: Iterable[tuple[str, str]]) -> T:
    """Query parameters as `kind`; RequestError where they are none."""
    raw = json_of_query(pairs, list_params(kind))
    params: T = decode_params_with(_decoder(kind), WireRequest("query", Raw(raw)))
    return params
