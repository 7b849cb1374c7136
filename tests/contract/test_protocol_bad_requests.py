"""Every malformed frame has one typed answer that says where, what was expected and what came; the connection lives."""

import json
from typing import Any

import pytest

from inventory_server.config import Settings
from pos_client.protocol.fields import AS_OF_EXPECTED, BOUND_EXPECTED
from tests.support.edge import ID, SALE, Talker

NESTED = b"[" * 100_000 + b"]" * 100_000

# The frame; the error's name; what its data holds at least.
FRAMES: list[tuple[bytes, str, dict[str, Any]]] = [
    (b"hello", "parse_error", {"at": 0, "expected": "one strict JSON text"}),
    (b"{", "parse_error", {"at": 1}),
    (b'{"method":"ping"', "parse_error", {"at": 16}),
    (b'{"method":"ping",}', "parse_error", {}),
    (b"{'method':'ping'}", "parse_error", {"at": 1}),
    (b'{"method":"ping"} {"method":"ping"}', "parse_error", {"expected": "one strict JSON text"}),
    (b'{"method":"ping","params":{"x":NaN}}', "parse_error", {"at": 31}),
    (b'{"method":"ping","params":{"x":-Infinity}}', "parse_error", {}),
    (b'{"method":"ping","params":{"x":01}}', "parse_error", {}),
    (b'{"method":"ping","id":"\\ud800"}', "parse_error", {}),
    (b'{"method":"ping","id":"\\x"}', "parse_error", {}),
    (b'{"method":"ping","id":"\x00"}', "parse_error", {}),
    (b'{"method":"ping","id":"\t"}', "parse_error", {}),
    (b'{"method":"\xff\xfe"}', "parse_error", {"at": 11, "expected": "UTF-8 text"}),
    (b'\xef\xbb\xbf{"method":"ping"}', "parse_error", {"at": 0}),
    ('{"method":"ping"}'.encode("utf-16"), "parse_error", {"at": 0}),
    (b'{"method":"ping","id":1,"params":' + NESTED + b"}", "parse_error", {"expected": "depth ≤ 32"}),
    (NESTED, "parse_error", {"expected": "depth ≤ 32"}),
    (b"[1,2", "parse_error", {"at": 4}),
    (b"\x00\x01\x02\x03", "parse_error", {"at": 0}),
    (b"GET / HTTP/1.1", "parse_error", {"at": 0}),
    (b"BYEBYE", "parse_error", {}),
    # Text that starts like a request of the wrong shape, and then is no JSON.
    (b'{"method":5,"params":' + NESTED + b"}", "parse_error", {"expected": "depth ≤ 32"}),
    (b'{"method":5,"id"', "parse_error", {"at": 16}),
    (b'{"method":5', "parse_error", {"at": 11}),
    (b'{"method":5,}', "parse_error", {"at": 12}),
    (b'{"method":5}}', "parse_error", {"at": 12}),
    (b'{"method":5} x', "parse_error", {"at": 13}),
    (b'  {"method":5} x', "parse_error", {"at": 15}),
    (b'{"method":5}//', "parse_error", {"at": 12}),
    (b'{"method":5,"x":"\\q"}', "parse_error", {"at": 18}),
    (b'{"method":5,"x":"\\ud800"}', "parse_error", {"at": 17}),
    (b'{"method":5,"x":"\\\\\\ud800"}', "parse_error", {"at": 19}),
    (b'{"x"::1}', "parse_error", {"at": 5}),
    (b'{"x":1 2}', "parse_error", {"at": 7}),
    (b'{"x":/**/1}', "parse_error", {"at": 5}),
    (b'{"x":1,,"y":2}', "parse_error", {"at": 7}),
    (b'{"x"', "parse_error", {"at": 4}),
    (b'{"x","y":1}', "parse_error", {"at": 4}),
    (b'"x"y', "parse_error", {"at": 3}),
    (b"1 2", "parse_error", {"at": 2}),
    (b"1]", "parse_error", {"at": 1}),
    (b"1\x00", "parse_error", {"at": 1}),
    (b"null,", "parse_error", {"at": 4}),
    (b'[{"method":5},{"x"::1}]', "parse_error", {"at": 19}),
    (b'[5,{"method":"ping","id":1},]', "parse_error", {"at": 28}),
    (b'[{"method":"ping"}]]', "parse_error", {"at": 19}),
    (b"1", "invalid_request", {"path": "$", "expected": "an object", "came": "1"}),
    (b'"BYE"', "invalid_request", {"path": "$", "expected": "an object", "came": '"BYE"'}),
    (b"null", "invalid_request", {"path": "$", "came": "null"}),
    (b"[]", "invalid_request", {"path": "$", "expected": "1 to 100 requests in a batch", "came": "0"}),
    (b"{}", "invalid_request", {"path": "$.method", "expected": "a value", "came": "nothing"}),
    (b'{"method":5}', "invalid_request", {"path": "$.method", "expected": "text", "came": "5"}),
    (b'{"method":5,"id":1,"id":{}}', "invalid_request", {"path": "$.method", "came": "5"}),
    (b'{"method":["\x7f\xc2\x85"]}', "invalid_request", {"path": "$.method", "came": '["\\x7f\\x85"]'}),
    (b'{"method":"ping","jsonrpc":"1.0"}', "invalid_request", {"path": "$.jsonrpc", "expected": '"2.0"'}),
    (b'{"method":"ping","jsonrpc":2.0}', "invalid_request", {"path": "$.jsonrpc", "came": "2.0"}),
    (b'{"method":"ping","parms":{}}', "invalid_request", {"path": "$.parms", "came": "an unknown field"}),
    (b'{"method":"ping","id":true}', "invalid_request", {"path": "$.id", "came": "true"}),
    (b'{"method":"ping","id":1.5}', "invalid_request", {"path": "$.id", "came": "1.5"}),
    (b'{"method":"ping","id":{}}', "invalid_request", {"path": "$.id", "came": "{}"}),
    (b'{"method":"ping","id":9223372036854775808}', "invalid_request", {"path": "$.id"}),
    (b'{"method":"ping","id":"a\\u0000"}', "invalid_request", {"path": "$.id", "expected": "text without NUL"}),
    (b'{"method":"ping","id":"' + b"a" * 129 + b'"}', "invalid_request", {"path": "$.id"}),
]

# The method; its params as sent; what the data of `invalid_params` holds at least.
PARAMS: list[tuple[str, str, dict[str, Any]]] = [
    ("ping", "[]", {"path": "$", "expected": "an object", "came": "[]"}),
    ("ping", "null", {"path": "$", "expected": "an object", "came": "null"}),
    ("ping", '{"x":1}', {"path": "$.x", "came": "an unknown field"}),
    ("ping", '{"now":"yesterday"}', {"path": "$.now", "expected": "RFC 3339 with offset", "came": '"yesterday"'}),
    ("ping", '{"now":"2024-01-02T03:04:05"}', {"path": "$.now", "expected": "RFC 3339 with offset"}),
    ("ping", '{"outbox":{"pending":-1}}', {"path": "$.outbox.pending", "expected": "an integer ≥ 0", "came": "-1"}),
    ("ping", '{"outbox":{"pending":18446744073709551616}}', {"path": "$.outbox.pending"}),
    ("ping", '{"outbox":{"pending":1000000001}}', {"path": "$.outbox.pending", "came": "1000000001"}),
    ("ping", '{"outbox":{"pending":true}}', {"path": "$.outbox.pending", "came": "true"}),
    ("ping", '{"outbox":{"pending":"x"},"outbox":{}}', {"path": "$.outbox.pending", "came": "another value"}),
    ("ping", '{"outbox":{}}', {"path": "$.outbox.pending", "came": "nothing"}),
    ("ping", '{"tick_ms":-1}', {"path": "$.tick_ms", "expected": "an integer ≥ 0", "came": "-1"}),
    ("ping", '{"tick_ms":5}', {"path": "$.boot", "expected": "boot and tick_ms together", "came": "nothing"}),
    ("hello", f'{{"terminal":"t","boot":"{ID}"}}', {"path": "$.tick_ms", "came": "nothing"}),
    ("hello", '{"terminal":"t","boot":"b"}', {"path": "$.boot", "expected": "a UUID"}),
    ("hello", '{"terminal":"t","backdated":1}', {"path": "$.backdated", "came": "1"}),
    ("post", json.dumps({"postings": [{"id": ID, "body": SALE}], "boot": ID}), {"path": "$.tick_ms"}),
    ("post", json.dumps({"postings": [{"id": ID, "body": SALE, "tick_ms": 5}]}), {"path": "$.postings[0].boot"}),
    ("hello", "{}", {"path": "$.terminal", "came": "nothing"}),
    ("hello", '{"terminal":""}', {"path": "$.terminal", "expected": "1 to 64 characters of A-Z a-z 0-9 . _ -"}),
    ("hello", '{"terminal":"till 1"}', {"path": "$.terminal"}),
    ("hello", '{"terminal":"till\\n"}', {"path": "$.terminal"}),
    ("hello", '{"terminal":"tïll"}', {"path": "$.terminal"}),
    ("hello", '{"terminal":"' + "t" * 65 + '"}', {"path": "$.terminal"}),
    ("hello", '{"terminal":"t","token":5}', {"path": "$.token", "expected": "text", "came": "another value"}),
    ("hello", '{"terminal":"t","token":"\\u0000"}', {"path": "$", "expected": "text without NUL", "came": "NUL"}),
    ("hello", '{"terminal":"t","lineage":"x"}', {"path": "$.lineage", "expected": "a UUID"}),
    (
        "hello",
        '{"terminal":"t","protocol":[1]}',
        {"path": "$.protocol", "expected": "an array of 2 values", "came": "[1]"},
    ),
    (
        "hello",
        '{"terminal":"t","app":"' + "a" * 257 + '"}',
        {"path": "$.app", "expected": "text of at most 256 characters"},
    ),
    ("post", "{}", {"path": "$.postings", "came": "nothing"}),
    ("post", '{"postings":[]}', {"path": "$.postings", "expected": "1 to 3 postings", "came": "0"}),
    ("post", json.dumps({"postings": [{"id": ID, "body": SALE}] * 4}), {"path": "$.postings", "came": "4"}),
    ("post", '{"postings":{}}', {"path": "$.postings", "expected": "an array", "came": "{}"}),
    ("post", '{"postings":[{"body":{}}]}', {"path": "$.postings[0].id", "came": "nothing"}),
    ("post", '{"postings":[{"id":null,"body":{}}]}', {"path": "$.postings[0].id", "came": "null"}),
    ("post", '{"postings":[{"id":"sale-1","body":{}}]}', {"path": "$.postings[0].id", "expected": "a UUID"}),
    ("post", f'{{"postings":[{{"id":"{ID}"}}]}}', {"path": "$.postings[0].body", "came": "nothing"}),
    ("post", f'{{"postings":[{{"id":"{ID}","body":{{}},"seq":0}}]}}', {"path": "$.postings[0].seq"}),
    ("post", f'{{"postings":[{{"id":"{ID}","body":{{}},"seq":9223372036854775808}}]}}', {"path": "$.postings[0].seq"}),
    ("post", f'{{"postings":[{{"id":"{ID}","body":{{}},"sequence":1}}]}}', {"path": "$.postings[0].sequence"}),
    ("post", '{"postings":[],"parent":"abc"}', {"path": "$.parent", "expected": "64 lower-case hex digits"}),
    ("stock", '{"sku":""}', {"path": "$.sku", "expected": "1 to 64 characters, no control characters"}),
    ("stock", '{"sku":"a\\nb"}', {"path": "$.sku"}),
    ("stock", '{"sku":"a","skus":["b"]}', {"path": "$.sku", "expected": "only one of skus, sku, gtin, search"}),
    ("stock", '{"sku":"a","gtin":"12345678"}', {"path": "$.gtin", "came": "sku and gtin"}),
    ("stock", '{"location":"a","locations":["b"]}', {"path": "$.location"}),
    ("stock", '{"gtin":"12a"}', {"path": "$.gtin", "expected": "8 to 14 digits"}),
    (
        "stock",
        '{"below":"lots"}',
        {"path": "$.below", "expected": '"reorder_point" or a quantity', "came": "'\"lots\"'"},
    ),
    ("stock", '{"below":1e400}', {"path": "$.below", "came": "1E+400"}),
    ("stock", '{"below":"NaN"}', {"path": "$.below", "came": "NaN"}),
    ("stock", '{"below":0.000001}', {"path": "$.below"}),
    ("stock", '{"below":[]}', {"path": "$.below", "came": "'[]'"}),
    ("stock", '{"limit":0}', {"path": "$.limit"}),
    ("stock", '{"limit":10001}', {"path": "$.limit", "expected": "1 to 10000", "came": "10001"}),
    ("stock", '{"limit":"5"}', {"path": "$.limit", "came": '"5"'}),
    ("stock", '{"known_at":-1}', {"path": "$.known_at"}),
    ("stock", '{"as_of":5}', {"path": "$.as_of", "expected": "text", "came": "5"}),
    ("stock", '{"as_of":"yesterday"}', {"path": "$.as_of", "came": '"yesterday"'}),
    ("stock", '{"as_of":"2026-02-30"}', {"path": "$.as_of", "expected": AS_OF_EXPECTED, "came": "'2026-02-30'"}),
    ("stock", '{"as_of":"2026-10-31T12:00"}', {"path": "$.as_of", "expected": AS_OF_EXPECTED}),
    ("stock", '{"as_of":"2026-W44-6"}', {"path": "$.as_of", "came": '"2026-W44-6"'}),
    ("stock", '{"as_of":"9999-12-31"}', {"path": "$.as_of", "expected": "a date from 0001-01-03 to 9999-12-30"}),
    ("stock", '{"search":"tea","sku":"a"}', {"path": "$.search"}),
    ("stock", '{"names":1}', {"path": "$.names"}),
    ("stock", '{"net_of_transit":"yes"}', {"path": "$.net_of_transit"}),
    ("stock", '{"negative":1}', {"path": "$.negative", "expected": "true or false", "came": "1"}),
    ("history", "{}", {"path": "$.sku", "came": "nothing"}),
    ("history", '{"sku":"a","limit":10001}', {"path": "$.limit"}),
    ("history", '{"sku":"a","from_":"2024-01-02T03:04:05Z"}', {"path": "$.from_", "came": "an unknown field"}),
    ("posting", '{"id":"7"}', {"path": "$.id", "expected": "a UUID"}),
    ("postings", '{"from":"2026-02-30"}', {"path": "$.from", "expected": BOUND_EXPECTED}),
    ("postings", '{"to":"9999-12-31"}', {"path": "$.to", "expected": "a date from 0001-01-03 to 9999-12-30"}),
    ("postings", '{"to":5}', {"path": "$.to", "expected": "text"}),
    ("postings", '{"type":"gift"}', {"path": "$.type"}),
    ("postings", '{"flag":"odd"}', {"path": "$.flag"}),
    ("postings", '{"location":"A","locations":["B"]}', {"path": "$.location"}),
    ("postings", '{"limit":10001}', {"path": "$.limit"}),
    ("sales", '{"sku":"a","skus":["b"]}', {"path": "$.sku"}),
    ("counts", '{"off":1}', {"path": "$.off"}),
    ("changes", "{}", {"path": "$.from", "came": "nothing"}),
    ("changes", '{"from":-1}', {"path": "$.from"}),
    ("changes", '{"from":0,"limit":10001}', {"path": "$.limit"}),
    ("exceptions", '{"flag":"odd"}', {"path": "$.flag"}),
    ("exceptions", '{"limit":10001}', {"path": "$.limit"}),
    ("bye", '{"quantity":"lots"}', {"path": "$.quantity"}),
    ("bye", '{"quantity":"Infinity"}', {"path": "$.quantity", "came": "Infinity"}),
    ("bye", '{"count":-1}', {"path": "$.count"}),
    ("rpc.discover", '{"x":1}', {"path": "$.x"}),
]


def _must_live(talker: Talker) -> None:
    assert "server_time" in talker.result("ping")


@pytest.mark.parametrize(("frame", "name", "data"), FRAMES, ids=lambda value: repr(value)[:60])
def test_a_frame_that_is_no_request_has_one_typed_answer(frame: bytes, name: str, data: dict[str, Any]) -> None:
    talker = Talker().hello()
    answer = talker.line(frame)
    assert answer["id"] is None
    assert answer["error"]["data"]["name"] == name
    assert answer["error"]["data"].items() >= data.items()
    assert answer["error"]["data"]["retryable"] is False
    _must_live(talker)


@pytest.mark.parametrize(("method", "params", "data"), PARAMS, ids=lambda value: str(value)[:60])
def test_params_of_the_wrong_shape_are_named(method: str, params: str, data: dict[str, Any]) -> None:
    talker = Talker(settings=Settings(max_postings=3)).hello()
    works = len(talker.memory.works)
    answer = talker.line(f'{{"jsonrpc":"2.0","id":"x","method":"{method}","params":{params}}}')
    assert answer["id"] == "x"
    assert answer["error"]["code"] == -32602
    assert answer["error"]["data"].items() >= data.items()
    assert len(talker.memory.works) == works, "nothing was carried out"
    _must_live(talker)


def test_a_broken_request_is_answered_under_its_id_where_that_can_be_read() -> None:
    assert Talker().line('{"id":7,"method":"ping","parms":{}}')["id"] == 7
    assert Talker().line('{"id":"a","method":5}')["id"] == "a"
    assert Talker().hello().line('[{"id":7,"method":5}]')[0]["id"] == 7


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert "result" in Talker().line('{"id":1,"method":"hello","params":{"terminal":"t","app":"\\\\u0000"}}')
