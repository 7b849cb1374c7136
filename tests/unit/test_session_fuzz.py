"""Whatever arrives, a session answers it or ignores it: one strict line of JSON, and never an incident."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_server.protocol.port import TILL_METHODS
from tests.support.edge import ID, SALE, Talker

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
_requests = st.fixed_dictionaries(
    {"method": st.sampled_from([*TILL_METHODS, "watch"]) | st.text(max_size=5)},
    optional={"id": _json, "params": _json, "jsonrpc": st.just("2.0") | _json, "more": _json},
)


def check_answer(frame: bytes) -> None:
    """A frame gets one line of JSON-RPC, which is no incident, or nothing."""
    talker = Talker().hello()
    reply = talker.frame(frame)
    if reply is not None and reply.data:
        assert reply.data.count(b"\n") == 1
        for answer in _as_list(json.loads(reply.data)):
            assert answer["jsonrpc"] == "2.0"
            assert ("result" in answer) != ("error" in answer)
            assert answer.get("error", {}).get("code") != -32603


def _as_list(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]


@given(st.binary(max_size=200))
def test_any_bytes_are_answered_or_ignored_but_never_an_incident(frame: bytes) -> None:
    check_answer(frame)


@given(_requests | st.lists(_requests | _json, max_size=4))
def test_any_request_is_answered_or_ignored_but_never_an_incident(request: Any) -> None:
    check_answer(json.dumps(request).encode())


@given(
    st.dictionaries(
        st.sampled_from(["type", "occurred_at", "lines", "ext", "voids", "location", "reservation", "x"]),
        _json | st.sampled_from(["sale", "void", "2024-01-02T03:04:05Z", ID]),
    )
    | _json
)
def test_any_body_is_posted_or_rejected_but_never_an_incident(body: Any) -> None:
    frame = {"id": 1, "method": "post", "params": {"postings": [{"id": ID, "body": body}]}}
    check_answer(json.dumps(frame).encode())


@given(_json, st.sampled_from(["quantity", "unit_price", "sku", "gtin", "currency", "y"]))
def test_any_line_is_posted_or_rejected_but_never_an_incident(value: Any, field: str) -> None:
    body = {**SALE, "lines": [{"sku": "a", "quantity": 1, field: value}]}
    frame = {"id": 1, "method": "post", "params": {"postings": [{"id": ID, "body": body}]}}
    check_answer(json.dumps(frame).encode())


@pytest.mark.parametrize("frame", ["%s", '{"id":1,"method":"stock","params":{"below":%s}}', '[{"id":1,"method":%s}]'])
def test_no_depth_is_too_deep_to_be_answered(frame: str) -> None:
    for depth in (*range(20, 40), *range(900, 1010), 100_000):
        for nested in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            check_answer((frame % nested).encode())
    body = '{"type":"sale","occurred_at":"2024-01-02T03:04:05Z","lines":[{"sku":"a","quantity":1}],"ext":%s}'
    for depth in (*range(20, 40), *range(900, 1010)):
        nested = '{"a":' * depth + "1" + "}" * depth
        check_answer(
            f'{{"id":1,"method":"post","params":{{"postings":[{{"id":"{ID}","body":{body % nested}}}]}}}}'.encode()
        )
