"""What is published of the protocol is what the program speaks."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from inventory_server.domain.lineage import FIRST_HEAD, next_head
from inventory_server.protocol.describe.examples import LINEAGE
from inventory_server.protocol.describe.openrpc import document, example_lines, generated_files
from inventory_server.resources import schema_path
from pos_client.protocol import wire
from pos_client.protocol.errors import BodyError, ErrorCode, RequestError
from pos_client.protocol.fields import PostingType
from pos_client.protocol.framing import MAX_FRAME_BYTES
from pos_client.protocol.messages import PostParams, Request
from pos_client.protocol.methods import METHODS, NOTIFICATIONS
from tests.support.waiting import HANG_SECONDS

SCHEMA = json.loads(schema_path("messages.schema.json").read_bytes())
EXAMPLES = {path.name.removesuffix(".json"): path.read_bytes() for path in schema_path("examples").glob("*.json")}
STALE = "schema/ is stale: run `make schema` and commit what it writes"


def validator(definition: str) -> Draft202012Validator:
    return Draft202012Validator(
        {"$schema": SCHEMA["$schema"], "$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]}
    )


def definition_of(name: str) -> str:
    return "Body" if name.endswith(".body") else name


def example(name: str) -> Any:
    return json.loads(EXAMPLES[name])


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref" and isinstance(value, str))
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_files_in_schema_are_what_the_messages_generate() -> None:
    written = {
        str(path.relative_to(schema_path())): path.read_bytes()
        for path in (*schema_path().glob("*.json"), *schema_path("examples").iterdir())
        if path.name != "openapi.json"  # made by the web process: test_openapi.py
    }
    assert written == generated_files(), STALE


def test_every_message_has_an_example() -> None:
    expected = {f"{name}.request" for name in METHODS} | {f"{name}.notification" for name in NOTIFICATIONS}
    expected |= {f"{name}.reply" for name, method in METHODS.items() if method.result} | {"error.reply"}
    expected |= {f"{kind}.body" for kind in PostingType.__args__}  # type: ignore[attr-defined]
    assert set(EXAMPLES) == expected


def test_the_schema_itself_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for schema in document()["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("method", document()["methods"], ids=lambda method: method["name"])
def test_the_examples_of_the_openrpc_document_validate_in_its_dialect(method: dict[str, Any]) -> None:
    params = {param["name"]: param["schema"] for param in method["params"]}
    for pairing in method.get("examples", ()):
        examples = [(params[param["name"]], param["value"]) for param in pairing["params"]]
        for schema, value in [*examples, (method["result"]["schema"], pairing["result"]["value"])]:
            Draft7Validator({"allOf": [schema], "components": document()["components"]}).validate(value)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_validates_against_its_definition(name: str) -> None:
    validator(definition_of(name)).validate(example(name))
    if not name.endswith(".body"):
        Draft202012Validator(SCHEMA).validate(example(name))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_is_read_by_the_structs_and_written_back_byte_for_byte(name: str) -> None:
    line = EXAMPLES[name]
    message, kind = name.rsplit(".", 1)
    if kind == "body":
        body = wire.decode_body(line.rstrip(b"\n"))
        wire.check_body(body)
        assert wire.encode(body) == line
    elif kind == "request":
        request = wire.decode_frame(line)
        assert isinstance(request, Request)
        typed = wire.decode_params(request)
        assert wire.encode({"jsonrpc": "2.0", "id": request.id, "method": message, "params": typed}) == line
    elif kind == "notification":
        notice = wire.decode_reply(line)
        params = msgspec.json.decode(notice.params, type=NOTIFICATIONS[message])  # type: ignore[arg-type]
        assert wire.encode({"jsonrpc": "2.0", "method": notice.method, "params": params}) == line
    elif message == "error":
        with pytest.raises(RequestError) as refused:
            wire.decode_result(wire.decode_reply(line), METHODS["ping"].params)
        assert wire.encode_error(1, refused.value) == line
    else:
        result_type = METHODS[message].result
        assert result_type is not None
        assert wire.encode_result(1, wire.decode_result(wire.decode_reply(line), result_type)) == line


def test_the_examples_digests_and_chain_are_right() -> None:
    request = wire.decode_frame(EXAMPLES["post.request"])
    assert isinstance(request, Request)
    sent = wire.decode_params(request)
    assert isinstance(sent, PostParams)
    head = FIRST_HEAD
    for item in sent.postings:
        head = next_head(head, item.id.bytes, hashlib.sha256(item.body).digest())
    assert sent.parent == FIRST_HEAD.hex()
    assert example("post.reply")["result"]["parent"] == head.hex()
    assert example("posting.reply")["result"]["digest"] == hashlib.sha256(sent.postings[0].body).hexdigest()


def test_the_examples_ids_are_version_7_uuids_in_the_order_of_time() -> None:
    ids = [item["id"] for item in example("post.request")["params"]["postings"]]
    assert [LINEAGE.version, int(ids[0][14]), int(ids[1][14])] == [7, 7, 7]
    assert str(LINEAGE) < ids[0] < ids[1]


LINE = {"sku": "MILK-1L", "quantity": 1}
BODY = {"type": "sale", "occurred_at": "2026-03-14T09:41:07+01:00", "lines": [LINE]}
WRONG_BODIES = [
    ("no type", {key: value for key, value in BODY.items() if key != "type"}),
    ("no time", {key: value for key, value in BODY.items() if key != "occurred_at"}),
    ("no lines", {key: value for key, value in BODY.items() if key != "lines"}),
    ("no line", BODY | {"lines": []}),
    ("unknown type", BODY | {"type": "gift"}),
    ("a typo in a field", BODY | {"refrence": "R-1"}),
    ("a typo in a line", BODY | {"lines": [LINE | {"qty": 1}]}),
    ("no quantity", BODY | {"lines": [{"sku": "MILK-1L"}]}),
    ("neither sku nor gtin", BODY | {"lines": [{"quantity": 1}]}),
    ("both sku and gtin", BODY | {"lines": [LINE | {"gtin": "4006381333931"}]}),
    ("quantity true", BODY | {"lines": [LINE | {"quantity": True}]}),
    ("quantity NaN", BODY | {"lines": [LINE | {"quantity": "NaN"}]}),
    ("quantity of ten thousand million", BODY | {"lines": [LINE | {"quantity": 10**10}]}),
    ("quantity with six decimals", BODY | {"lines": [LINE | {"quantity": "0.123456"}]}),
    ("quantity in full-width digits", BODY | {"lines": [LINE | {"quantity": "１"}]}),
    ("a price that is a word", BODY | {"lines": [LINE | {"unit_price": "free"}]}),
    ("an empty sku", BODY | {"lines": [LINE | {"sku": ""}]}),
    ("a sku with a line feed", BODY | {"lines": [LINE | {"sku": "MILK\n"}]}),
    ("a gtin with letters", BODY | {"lines": [{"gtin": "40063813339X1", "quantity": 1}]}),
    ("a currency in lower case", BODY | {"lines": [LINE | {"currency": "eur"}]}),
    ("an ext that is no object", BODY | {"ext": [1]}),
    ("a void with lines", BODY | {"type": "void", "voids": str(LINEAGE)}),
    ("a void of nothing", {"type": "void", "occurred_at": BODY["occurred_at"]}),
    ("a sale that voids", BODY | {"voids": str(LINEAGE)}),
    ("a transfer to nowhere", BODY | {"type": "transfer_out"}),
    ("a sale to another location", BODY | {"other_location": "harbour"}),
    ("a count of a reservation", BODY | {"type": "count", "reservation": str(LINEAGE)}),
    ("a sale that expires", BODY | {"expires_at": BODY["occurred_at"]}),
]


@pytest.mark.parametrize(("why", "body"), WRONG_BODIES, ids=[why for why, _ in WRONG_BODIES])
def test_schema_and_program_refuse_the_same_bodies(why: str, body: dict[str, Any]) -> None:
    assert not validator("Body").is_valid(body), why
    with pytest.raises(BodyError):
        wire.check_body(wire.decode_body(json.dumps(body).encode()))


QUANTITIES = [0, -3, 1_000_000_000, 1.5, "1.365", "-0.00001", "0012.50000000", "1000000000"]


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_schema_and_program_take_the_same_quantities(quantity: float | str) -> None:
    body = BODY | {"lines": [LINE | {"quantity": quantity}]}
    assert validator("Body").is_valid(body)
    wire.check_body(wire.decode_body(json.dumps(body).encode()))


WRONG_PARAMS = [
    ("hello", {}),
    ("hello", {"terminal": "no spaces allowed"}),
    ("hello", {"terminal": "t1", "protocol": [1]}),
    ("hello", {"terminal": "t1", "outbox": {"pending": -1}}),
    ("post", {}),
    ("post", {"postings": [{"body": BODY}]}),
    ("post", {"postings": [{"id": str(LINEAGE), "seq": 0, "body": BODY}]}),
    ("post", {"postings": [{"id": str(LINEAGE), "body": BODY}], "parent": "ab"}),
    ("stock", {"sku": 7}),
    ("stock", {"limit": 0}),
    ("stock", {"color": "red"}),
    ("history", {"location": "harbour"}),
    ("posting", {}),
    ("watch", {"from": -1}),
    ("unwatch", {"from": 1}),
    ("ping", {"outbox": {}}),
    ("bye", {"count": -1}),
]


@pytest.mark.parametrize(("method", "params"), WRONG_PARAMS)
def test_schema_and_program_refuse_the_same_params(method: str, params: dict[str, Any]) -> None:
    line = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    assert not validator(f"{method}.request").is_valid(line)
    with pytest.raises(RequestError) as refused:
        wire.decode_params(Request(method, msgspec.Raw(json.dumps(params).encode())))
    assert refused.value.code is ErrorCode.invalid_params


@pytest.mark.parametrize("below", ["reorder_point", 5, "2.5"])
def test_below_may_be_the_reorder_point_or_a_quantity(below: int | str) -> None:
    assert validator("StockParams").is_valid({"below": below})


@pytest.mark.parametrize("below", ["reorder", True, None, [5]])
def test_below_may_be_nothing_else(below: object) -> None:
    assert not validator("StockParams").is_valid({"below": below})


def test_every_reference_of_the_openrpc_document_leads_somewhere() -> None:
    components = document()["components"]
    known = {f"#/components/{kind}/{name}" for kind in components for name in components[kind]}
    assert set(references(document())) <= known


def test_the_openrpc_document_describes_every_method_and_every_error() -> None:
    described = document()
    assert [method["name"] for method in described["methods"]] == list(METHODS)
    errors = {
        name: (error["code"], error["data"]["retryable"]) for name, error in described["components"]["errors"].items()
    }
    assert errors == {code.name: (code.number, code.retryable) for code in ErrorCode}
    for method in described["methods"]:
        assert {"name", "params", "result"} <= set(method)
        assert all({"name", "schema"} <= set(param) for param in method["params"])


def test_the_openrpc_document_fits_in_one_frame() -> None:
    assert len(wire.encode_result(1, document())) < MAX_FRAME_BYTES // 2


def test_generating_removes_examples_of_messages_that_are_no_more(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "gone.request.json").write_bytes(b"{}\n")
    subprocess.run(
        [sys.executable, "-m", "inventory_server.protocol.describe.openrpc", str(tmp_path)],
        check=True,
        timeout=HANG_SECONDS,
    )
    assert {path.name for path in (tmp_path / "examples").iterdir()} == set(example_lines())
    assert (tmp_path / "openrpc.json").read_bytes() == schema_path("openrpc.json").read_bytes(), STALE


def test_a_reply_without_an_answer_is_no_reply() -> None:
    assert not Draft202012Validator(SCHEMA).is_valid({"jsonrpc": "2.0", "id": 1})
    assert not Draft202012Validator(SCHEMA).is_valid({"jsonrpc": "2.0", "id": 1, "method": "sing"})
