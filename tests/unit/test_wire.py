"""Bytes to messages and back: framing, limits, and what the decoders let through."""

import contextlib
import json
from typing import Literal, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pos_client.protocol.decode_errors import request_error
from pos_client.protocol.errors import BodyError, ErrorCode, RequestError
from pos_client.protocol.messages import Body, ErrorObject, PingResult, Reply, Request, StockResult
from pos_client.protocol.methods import METHODS
from pos_client.protocol.strict_json import repeated_key
from pos_client.protocol.wire import (
    decode_body,
    decode_frame,
    decode_reply,
    decode_result,
    encode,
    encode_body,
    encode_error,
    encode_result,
    error_object,
    from_error_object,
    known_id,
)

SALE = b'{"type":"sale","occurred_at":"2024-01-02T03:04:05Z","lines":[{"quantity":1,"sku":"a"}]}'

# ---------------------------------------------------------------------------------- requests and replies


def test_a_frame_is_a_request_or_the_members_of_a_batch() -> None:
    assert decode_frame(b'{"method":"ping","id":1}') == Request("ping", id=1)
    assert decode_frame(b' [ {"method":"ping"}, 5] ') == [b'{"method":"ping"}', b"5"]


def test_replies_are_lines_of_json_rpc() -> None:
    assert json.loads(encode_result(None, {"a": 1})) == {"jsonrpc": "2.0", "id": None, "result": {"a": 1}}
    error = RequestError(ErrorCode.busy, "Later.", retry_after_ms=5)
    assert encode_error("x", error) == (
        b'{"jsonrpc":"2.0","id":"x","error":{"code":-32005,"message":"Later.",'
        b'"data":{"name":"busy","retryable":true,"retry_after_ms":5}}}\n'
    )
    assert encode({"a": 1}) == b'{"a":1}\n'


@pytest.mark.parametrize("code", list(ErrorCode))
def test_an_error_comes_back_from_the_wire_as_it_went(code: ErrorCode) -> None:
    reply = decode_reply(encode_error(1, RequestError(code, "Because.", limit=3)))
    with pytest.raises(RequestError) as caught:
        decode_result(reply, PingResult)
    error = caught.value
    assert (error.code, error.message, error.data, error.retryable) == (code, "Because.", {"limit": 3}, code.retryable)


def test_an_error_of_an_unlisted_code_counts_as_internal() -> None:
    listed = error_object(RequestError(ErrorCode.busy, "x"))
    unlisted = type(listed)(-31999, "x", listed.data)
    assert from_error_object(unlisted).code is ErrorCode.internal


@pytest.mark.parametrize("frame", [b"", b"{", b"HTTP/1.1 400 Bad Request", b"\xff", b'{"id":[]}', b"[" * 100_000])
def test_a_reply_in_another_language_is_a_parse_error(frame: bytes) -> None:
    with pytest.raises(RequestError):
        decode_reply(frame)


def test_a_result_of_another_shape_is_not_taken() -> None:
    with pytest.raises(RequestError, match="expected a value, got nothing"):
        decode_result(decode_reply(encode_result(1, {})), StockResult)
    with pytest.raises(RequestError):
        decode_result(Reply(id=1), StockResult)


def test_an_error_of_the_decoder_in_unknown_words_still_has_a_path_and_the_value() -> None:
    error = request_error(msgspec.ValidationError("Odd - at `$.a[1]`"), ErrorCode.invalid_params, b'{"a":[1,2]}')
    assert error.data == {"path": "$.a[1]", "expected": "a value of the protocol", "came": "2"}


STRICT: list[type[msgspec.Struct]] = [*(method.params for method in METHODS.values()), Body, Request]
CHOICES = {
    (kind, field.encode_name)
    for kind in STRICT
    for field in msgspec.structs.fields(kind)
    if any(get_origin(each) is Literal for each in (field.type, *get_args(field.type)))
}


@pytest.mark.parametrize(("kind", "field"), sorted(CHOICES, key=str))
def test_what_a_field_may_be_is_said_where_it_is_something_else(kind: type[msgspec.Struct], field: str) -> None:
    raw = msgspec.json.encode({field: "a\x1bb"})
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(raw, type=kind)
    error = request_error(caught.value, ErrorCode.invalid_params, raw)
    allowed = next(each for each in msgspec.structs.fields(kind) if each.encode_name == field).type
    for value in get_args(next(each for each in (allowed, *get_args(allowed)) if get_origin(each) is Literal)):
        assert value in error.data["expected"]
    assert error.data["came"] == '"a\\u001bb"'


@pytest.mark.parametrize(
    ("frame", "known"),
    [
        (b'{"id":7,"method":5}', 7),
        (b'{"id":"a","x":{}}', "a"),
        (b"{}", None),
        (b'{"id":7', None),
        (b'{"id":1.5}', None),
        (b'{"id":18446744073709551616}', None),
        (b"\xff", None),
        (b'{"id":7,"x":' + b"[" * 100_000 + b"}", None),
        (b"[]", None),
    ],
)
def test_the_id_of_a_broken_request_is_read_where_it_can_be(frame: bytes, known: object) -> None:
    assert known_id(frame) == known


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab"{}[]:,\\', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.data())
def test_json_of_the_wrong_shape_is_an_invalid_request_and_a_piece_of_it_a_parse_error(
    value: object, data: st.DataObject
) -> None:
    whole = json.dumps({"method": 5, "x": value}).encode()
    piece = whole[: data.draw(st.integers(1, len(whole) - 1))]
    for frame, code in ((whole, ErrorCode.invalid_request), (piece, ErrorCode.parse_error)):
        with pytest.raises(RequestError) as caught:
            decode_frame(frame)
        assert caught.value.code is code


@given(JSON, JSON)
def test_a_key_given_twice_is_found_wherever_it_is_and_no_other_key(value: object, other: object) -> None:
    text = json.dumps(value).encode()
    again = json.dumps(other).encode()
    assert repeated_key(text) is None
    assert repeated_key(b'[0,{"k":' + text + b',"j":' + again + b',"k":' + again + b"}]") == ("[1]", ".k")
    assert repeated_key(b'[0,{"k":' + text + b',"k":' + again + b"}]", [again]) == ("[1]", ".k")
    assert repeated_key(b'{"k":{"j":1,"j":1},"i":' + text + b"}", [b'{"j":1,"j":1}', text]) is None


# ---------------------------------------------------------------------------------- bodies


def test_the_canonical_bytes_of_a_body_are_stable() -> None:
    body = decode_body(SALE)
    assert decode_body(encode_body(body)) == body
    assert encode_body(decode_body(encode_body(body))) == encode_body(body)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_bytes_that_are_no_body_are_refused_by_name(raw: bytes) -> None:
    with pytest.raises(BodyError):
        decode_body(raw)


@given(st.data())
def test_a_damaged_body_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(SALE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b"\\", b'"', b"0", b"{", b"e9", b"-"])
        )
    with contextlib.suppress(BodyError):
        decode_body(bytes(raw))


def test_an_older_till_passes_over_what_a_newer_server_adds_to_a_result() -> None:
    reply = decode_reply(b'{"jsonrpc":"2.0","id":1,"result":{"server_time":"2026-01-01T00:00:00Z","moon":"full"}}')
    assert decode_result(reply, PingResult).server_time.year == 2026


def test_error_data_may_use_the_names_of_the_errors_own_fields() -> None:
    error = from_error_object(ErrorObject(-32008, "gone", {"name": "not_found", "code": 1, "message": "x"}))
    assert (error.code, error.data) == (ErrorCode.not_found, {"code": 1, "message": "x"})
