"""The OpenAPI 3.1 document of the HTTP API, made of the message types; `python -m` writes it into a folder.

`schema/openapi.json` is that document; a test fails where the two differ.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from inventory_server.domain.requests import REQUESTS
from inventory_server.web import sign_in
from inventory_server.web.calls import OFFERED_CALLS, UNITS, is_change, params_type
from inventory_server.web.postings import BatchQuery, BatchResult, PostingQuery
from inventory_server.web.problems import ProblemDetails
from pos_client.protocol.feed import WatchParams
from pos_client.protocol.messages import Body, PostingResult, PostParams

Json = dict[str, Any]
PREFIX = "/api/v1"
_REFERENCE = "#/components/schemas/{name}"
_ANYBODY: list[Json] = [{"bearer": []}, {"session": []}]
_TERMINAL: list[Json] = [{"terminal": []}]
_MEDIA_TYPE = "application/json"


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API: its query parameters and body by type (None: it has none), its results by status."""

    path: str
    method: str
    summary: str
    results: dict[int, Any]
    query: type[msgspec.Struct] | None = None
    body: Any = None
    security: Any = None
    is_stream: bool = False


def operations() -> Iterator[Operation]:
    """All operations, in the order of the document."""
    for name, binding in OFFERED_CALLS.items():
        assert binding.request is not None
        summary = (binding.request.__doc__ or "").strip().partition("\n")[0]
        result = {200: REQUESTS[binding.request].outcome}
        params = params_type(name)
        if is_change(name):
            yield Operation(f"/{name}", "post", summary, result, body=params, security=_ANYBODY)
        else:
            yield Operation(f"/{name}", "get", summary, result, query=params, security=_ANYBODY)
    of_posting = dict.fromkeys((200, 201, 409, 422), PostingResult)
    yield Operation(
        "/postings/{id}", "put", "Post one posting; the body is the posting's, byte for byte.", of_posting,
        PostingQuery, Body, _TERMINAL,
    )  # fmt: skip
    batch = {200: BatchResult}
    yield Operation("/postings", "post", "Post a frame of postings.", batch, BatchQuery, PostParams, _TERMINAL)
    feed = "What changes stock, as server-sent events."
    yield Operation("/feed", "get", feed, {200: str}, WatchParams, security=_ANYBODY, is_stream=True)
    session = {200: sign_in.SessionFacts}
    yield Operation("/session", "get", "Who is signed in.", session, security=_ANYBODY)
    yield Operation("/session", "post", "Sign in.", session, body=sign_in.Credentials, security=[])
    yield Operation("/session", "delete", "Sign out.", {204: None}, security=_ANYBODY)
    yield Operation(
        "/password", "post", "Replace the password.", {204: None}, body=sign_in.NewPassword, security=_ANYBODY
    )
    redeemed = {200: sign_in.Redeemer}
    yield Operation("/link", "post", "Set a password by a link.", redeemed, body=sign_in.LinkPassword, security=[])
    invited = {200: sign_in.InvitationLink}
    yield Operation("/invite", "post", "Invite a user.", invited, body=sign_in.Invitation, security=_ANYBODY)


def document() -> Json:
    """The document."""
    found = list(operations())
    types: list[Any] = [ProblemDetails]
    for each in found:
        types += [kind for kind in (each.query, each.body, *each.results.values()) if kind is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    _tell_instants(types, components)
    shown = {str(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: Json = {}
    for each in found:
        paths.setdefault(f"{PREFIX}{each.path}", {})[each.method] = _operation(each, shown, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tillwire", "version": version("tillwire"), "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _schemes()},
    }


def _schemes() -> Json:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API token of a user."},
        "terminal": {"type": "http", "scheme": "basic", "description": "A terminal and its token."},
        "session": {"type": "apiKey", "in": "cookie", "name": "tillwire_session"},
    }


def _operation(each: Operation, shown: Json, components: Json) -> Json:
    name = each.path.strip("/").replace("/", "_").replace("{", "").replace("}", "")
    made: Json = {"operationId": f"{each.method}_{name}", "summary": each.summary, "security": each.security}
    parameters = _path_parameters(each.path)
    if each.query is not None:
        parameters += _query_parameters(_resolved(shown[str(each.query)], components))
    if parameters:
        made["parameters"] = parameters
    if each.body is not None:
        made["requestBody"] = {"required": True, "content": {_MEDIA_TYPE: {"schema": shown[str(each.body)]}}}
    made["responses"] = {str(status): _response(each, kind, shown) for status, kind in each.results.items()}
    made["responses"]["default"] = {
        "description": "An error: problem details (RFC 9457) with its name on the wire.",
        "content": {"application/problem+json": {"schema": shown[str(ProblemDetails)]}},
    }
    return made


def _response(each: Operation, kind: Any, shown: Json) -> Json:
    if each.is_stream:
        return {"description": each.summary, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    if 204 in each.results:
        return {"description": each.summary}
    schema = {"type": "null"} if kind is None else shown[str(kind)]
    return {"description": each.summary, "content": {_MEDIA_TYPE: {"schema": schema}}}


def _path_parameters(path: str) -> list[Json]:
    if "{id}" not in path:
        return []
    return [{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}]


def _query_parameters(schema: Json) -> list[Json]:
    """The fields of params as query parameters; one of any value is a text there."""
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": kind or {"type": "string"}}
        for name, kind in schema["properties"].items()
    ]


def _resolved(schema: Json, components: Json) -> Json:
    resolved: Json = components[schema["$ref"].rpartition("/")[2]]
    return resolved


def _tell_instants(types: list[Any], components: Json) -> None:
    """Rows tell instants with their offset and quantities, not the microseconds and units that they hold."""
    for kind in _dataclasses(types, set()):
        for name, schema in components[kind.__name__]["properties"].items():
            if name.endswith("_at"):
                _make_instant(schema)
            if name in UNITS.get(kind, ()):
                schema.clear()
                schema.update(anyOf=[{"type": "integer"}, {"type": "string", "format": "decimal"}, {"type": "null"}])


def _make_instant(schema: Json) -> None:
    for each in schema.get("anyOf", [schema]):
        if each.get("type") == "integer":
            each.update(type="string", format="date-time")


def _dataclasses(kinds: Any, seen: set[Any]) -> Iterator[type]:
    """The dataclasses among the types `kinds` and all that these hold."""
    for kind in kinds:
        yield from _dataclasses([each for each in get_args(kind) if each not in seen], seen)
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind not in seen:
            seen.add(kind)
            yield kind
            hints = get_type_hints(kind)
            yield from _dataclasses(list(hints.values()), seen)


def main() -> None:
    """Write the document into the folder that is named."""
    path = Path(sys.argv[1]) / "openapi.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n")


if __name__ == "__main__":
    main()
