"""The protocol described for other programs: OpenRPC 1.3 and JSON Schema 2020-12, generated from the messages.

`python -m inventory_server.protocol.describe.openrpc FOLDER` writes the documents and one example of every message.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from inventory_server.protocol.describe.enrolment_examples import ENROLMENT
from inventory_server.protocol.describe.examples import BODIES, ERROR, NOTIFIED
from inventory_server.protocol.describe.examples import EXCHANGES as OWN_EXCHANGES
from inventory_server.protocol.describe.list_examples import LISTS
from pos_client.protocol.address import DEFAULT_PORT
from pos_client.protocol.errors import ErrorCode
from pos_client.protocol.fields import RequestId
from pos_client.protocol.messages import PROTOCOL_VERSION, Body, Message, Reply, Request
from pos_client.protocol.methods import METHODS, NOTIFICATIONS
from pos_client.protocol.units import QUANTITY_MAX
from pos_client.protocol.wire import ONLY_ON, SIGNED, WITHOUT_LINES, encode

Schema = dict[str, Any]
EXCHANGES = OWN_EXCHANGES | ENROLMENT | LISTS
"""One request of every method, with its answer."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OPENRPC = "1.3.2"
_ID = msgspec.json.schema(RequestId | None)
_JSONRPC: Schema = {"const": "2.0"}
_SENT_AS = {"type": "string", "format": "decimal"}
_DISCOVERED: Schema = {"title": "OpenRPC document", "type": "object", "required": ["openrpc", "info", "methods"]}

_NUMBERS: dict[str, Schema] = {
    "Quantity": {
        "title": "Quantity",
        "description": "Exact, with at most 5 decimals and |quantity| ≤ 10⁹. Send decimals as text unless your JSON "
        "writer keeps them exact.",
        "anyOf": [
            {"type": "number", "minimum": -QUANTITY_MAX, "maximum": QUANTITY_MAX},
            {"type": "string", "pattern": r"^-?[0-9]{1,10}(\.[0-9]{1,5}0*)?$(?!\n)"},
        ],
    },
    "Total": {
        "title": "Total",
        "description": "A sum of quantities: exact, at most 5 decimals; as text where it is not whole.",
        "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$(?!\n)"}],
    },
}

# What the types of the structs cannot say: raw values, which fields exclude each other, what a type demands.
_FIELDS: dict[tuple[str, str], Schema] = {
    ("Body", "ext"): {"type": "object", "description": "stored and returned untouched"},
    ("Body", "lines"): {"minItems": 1},
    ("Line", "quantity"): {"$ref": "Quantity"},
    ("Line", "unit_price"): {"$ref": "Quantity"},
    ("PostItem", "body"): {"$ref": "Body"},
    ("PostParams", "postings"): {"minItems": 1},
    ("StoredPosting", "body"): {"description": "a Body as it was sent; of a rejected posting, whatever was sent"},
    ("StockParams", "below"): {"anyOf": [{"const": "reorder_point"}, {"$ref": "Quantity"}]},
    ("Request", "params"): {"type": "object"},
    ("Request", "method"): {"enum": list(METHODS)},
    ("Reply", "jsonrpc"): _JSONRPC,
    ("ErrorObject", "code"): {"description": "see the errors of the OpenRPC document"},
    ("ErrorObject", "data"): {
        "properties": {"name": {"enum": [code.name for code in ErrorCode]}, "retryable": {"type": "boolean"}},
        "required": ["name", "retryable"],
    },
}
_NOT_NEGATIVE: Schema = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^[^-]|^-[0.]+$"}]}
_RULES: dict[str, Schema] = {
    "Line": {"oneOf": [{"required": ["sku"]}, {"required": ["gtin"]}]},
    "Body": {
        "allOf": [
            {
                "if": {"properties": {"type": {"enum": list(types)}}},
                "else": {"properties": {field: False}},
            }
            for field, (types, _) in ONLY_ON.items()
        ]
        + [
            {"if": {"properties": {"type": {"const": kind}}}, "then": {"required": [field]}}
            for field, (_, needed) in ONLY_ON.items()
            for kind in needed
        ]
        + [
            {
                "if": {"properties": {"type": {"const": "transfer_in"}}},
                "then": {"anyOf": [{"required": ["other_location"]}, {"required": ["transfer"]}]},
            },
            {
                "if": {"properties": {"type": {"enum": list(WITHOUT_LINES)}}},
                "then": {"properties": {"lines": False}},
            },
            {
                "if": {"properties": {"type": {"enum": [*WITHOUT_LINES, "transfer_close"]}}},
                "else": {"required": ["lines"]},
            },
            {
                "if": {"properties": {"type": {"enum": list(SIGNED)}}},
                "else": {"properties": {"lines": {"items": {"properties": {"quantity": _NOT_NEGATIVE}}}}},
            },
        ]
    },
    "Reply": {"required": ["jsonrpc"]},
}

_ANY_METHOD = (
    ErrorCode.invalid_request,
    ErrorCode.invalid_params,
    ErrorCode.internal,
    ErrorCode.too_large,
    ErrorCode.busy,
    ErrorCode.draining,
)
_OWN_ERRORS: dict[str, tuple[ErrorCode, ...]] = {
    "hello": (ErrorCode.unauthenticated, ErrorCode.forbidden, ErrorCode.unsupported_protocol),
    "post": (ErrorCode.forbidden, ErrorCode.fenced, ErrorCode.fork),
    "posting": (ErrorCode.not_found, ErrorCode.forbidden),
    **dict.fromkeys(LISTS, (ErrorCode.not_found, ErrorCode.forbidden)),
}


def schemas(prefix: str) -> dict[str, Schema]:
    """The JSON Schema of every struct by name, its references beginning with `prefix`."""
    structs: list[type] = [Request, Reply, Body]
    for method in METHODS.values():
        structs += [method.params, *([method.result] if method.result else [])]
    structs += NOTIFICATIONS.values()
    _, generated = msgspec.json.schema_components(structs, ref_template=prefix + "{name}")
    generated = _exact(generated, {"$ref": prefix + "Total"})
    for (name, field), more in _FIELDS.items():
        fields, placed = generated[name]["properties"], _placed(more, prefix)
        fields[field] = placed if "$ref" in placed else fields[field] | placed
    for name, rules in _RULES.items():
        generated[name] |= _placed(rules, prefix)
    return dict(sorted((generated | _NUMBERS).items()))


def message_schema() -> Schema:
    """One JSON Schema for every line of the protocol; each message is also a definition of its own."""
    prefix = "#/$defs/"
    lines: dict[str, Schema] = {}
    for name, method in METHODS.items():
        lines[f"{name}.request"] = _request(name, method.params, prefix)
        result = {"$ref": prefix + method.result.__name__} if method.result else _DISCOVERED
        lines[f"{name}.reply"] = _envelope(f"The answer to {name}", {"id": _ID, "result": result}, ["id", "result"])
    for name, params in NOTIFICATIONS.items():
        fields = {"method": {"const": name}, "params": {"$ref": prefix + params.__name__}}
        lines[f"{name}.notification"] = _envelope(f"The notification {name}", fields, ["method", "params"])
    error = {"id": _ID, "error": {"$ref": prefix + "ErrorObject"}}
    lines["error.reply"] = _envelope("An error instead of an answer", error, ["id", "error"])
    return {
        "$schema": _DIALECT,
        "title": f"Tillwire inventory protocol, version {PROTOCOL_VERSION}",
        "description": "One line of the protocol: a request, its answer or a notification of the server.",
        "anyOf": [{"$ref": prefix + name} for name in lines],
        "$defs": lines | schemas(prefix),
    }


@functools.cache
def document() -> Schema:
    """The OpenRPC document, as `rpc.discover` answers it. Shared: not to be changed."""
    described: Schema = _draft7(_document())
    return described


def _document() -> Schema:
    return {
        "openrpc": _OPENRPC,
        "info": {
            "title": "Tillwire inventory protocol",
            "version": f"{PROTOCOL_VERSION}.0.0",
            "description": "Tills post what happened, headquarters answers what is in stock. JSON-RPC 2.0, one JSON "
            "text per line over TCP or a Unix socket. Every connection starts with `hello`.",
            "license": {"name": "MIT"},
        },
        "servers": [{"name": "headquarters", "url": f"tcp://localhost:{DEFAULT_PORT}"}],
        "methods": [_described(name) for name in METHODS],
        "components": {
            "schemas": schemas("#/components/schemas/"),
            "errors": {
                code.name: {
                    "code": code.number,
                    "message": code.name.replace("_", " "),
                    "data": {"name": code.name, "retryable": code.retryable},
                }
                for code in ErrorCode
            },
        },
    }


def example_lines() -> dict[str, bytes]:
    """One example of every message by file name: the line as it is sent, so `nc` can send it too."""
    lines: dict[str, bytes] = {}
    for name, exchange in EXCHANGES.items():
        asked = {"jsonrpc": "2.0", "id": 1, "method": name, "params": exchange.params}
        lines[f"{name}.request.json"] = encode(asked)
        if exchange.result is not None:
            lines[f"{name}.reply.json"] = encode({"jsonrpc": "2.0", "id": 1, "result": exchange.result})
    for name, params in NOTIFIED.items():
        lines[f"{name}.notification.json"] = encode({"jsonrpc": "2.0", "method": name, "params": params})
    lines["error.reply.json"] = encode({"jsonrpc": "2.0", "id": 1, "error": ERROR})
    return lines | {f"{kind}.body.json": encode(body) for kind, body in BODIES.items()}


def generated_files() -> dict[str, bytes]:
    """Everything this module writes into `schema/`: content by path, the same bytes every time."""
    files = {f"examples/{name}": line for name, line in example_lines().items()}
    files["openrpc.json"] = _pretty(document())
    files["messages.schema.json"] = _pretty(message_schema())
    return files


def write(folder: Path) -> None:
    """Write all files into `folder` and remove examples of messages that are no more."""
    files = generated_files()
    (folder / "examples").mkdir(parents=True, exist_ok=True)
    for stale in (folder / "examples").glob("*.json"):
        if f"examples/{stale.name}" not in files:
            stale.unlink()
    for path, content in files.items():
        (folder / path).write_bytes(content)


def _placed(schema: Schema, prefix: str) -> Schema:
    """`schema` with its bare references completed by `prefix`."""
    text = json.dumps(schema).replace('{"$ref": "', '{"$ref": "' + prefix)
    placed: Schema = json.loads(text)
    return placed


def _exact(node: Any, quantity: Schema) -> Any:
    """`node` with every exact number, an integer or decimal text to msgspec, referring to `quantity`."""
    if isinstance(node, list):
        return [_exact(member, quantity) for member in node]
    if not isinstance(node, dict):
        return node
    choices = node.get("anyOf", ())
    if _SENT_AS not in choices:
        return {key: _exact(value, quantity) for key, value in node.items()}
    others = [choice for choice in choices if choice not in (_SENT_AS, {"type": "integer"})]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    return rest | ({"anyOf": [quantity, *others]} if others else quantity)


def _draft7(node: Any) -> Any:
    """`node` with its tuples in the words of JSON Schema draft 7, which OpenRPC is bound to."""
    if isinstance(node, list):
        return [_draft7(member) for member in node]
    if not isinstance(node, dict):
        return node
    if "prefixItems" in node:
        node = node | {"items": node["prefixItems"], "additionalItems": node["items"]}
        del node["prefixItems"]
    return {key: _draft7(value) for key, value in node.items()}


def _envelope(title: str, fields: Schema, required: list[str]) -> Schema:
    properties = {"jsonrpc": _JSONRPC, **fields}
    required = ["jsonrpc", *required]
    return {
        "title": title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _request(name: str, params: type[Message], prefix: str) -> Schema:
    fields = {"id": _ID, "method": {"const": name}, "params": {"$ref": prefix + params.__name__}}
    needed = ["params"] if _required(params) else []
    asked = _envelope(f"The request {name}; without id, a notification", fields, ["method", *needed])
    asked["required"].remove("jsonrpc")  # a person typing may leave it out
    return asked


def _required(params: type[Message]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(params) if field.required]


def _described(name: str) -> Schema:
    method, prefix = METHODS[name], "#/components/schemas/"
    properties = schemas(prefix)[method.params.__name__]["properties"]
    required = _required(method.params)
    result = {"$ref": prefix + method.result.__name__} if method.result else _DISCOVERED
    session = () if method.before_hello else (ErrorCode.unauthenticated,)
    described = {
        "name": name,
        "summary": method.summary,
        "description": method.params.__doc__,
        "paramStructure": "by-name",
        "params": [
            {"name": field, "required": field in required, "schema": schema} for field, schema in properties.items()
        ],
        "result": {"name": method.result.__name__ if method.result else "document", "schema": result},
        "errors": [
            {"$ref": f"#/components/errors/{code.name}"}
            for code in (*_ANY_METHOD, *session, *_OWN_ERRORS.get(name, ()))
        ],
    }
    exchange = EXCHANGES[name]
    if exchange.result is not None:
        described["examples"] = [
            {
                "name": name,
                "params": [{"name": field, "value": value} for field, value in _plain(exchange.params).items()],
                "result": {"name": "result", "value": _plain(exchange.result)},
            }
        ]
    return described


def _plain(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(encode(message))
    return plain


def _pretty(schema: Schema) -> bytes:
    return json.dumps(schema, indent=2, ensure_ascii=False).encode() + b"\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
