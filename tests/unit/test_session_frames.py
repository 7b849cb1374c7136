"""Frames around the methods: line edges, JSON or not, requests, notifications and batches, keys given twice."""

import json

import pytest

from inventory_server.config import Settings
from inventory_server.domain.requests import Post, Stock
from inventory_server.protocol.port import TILL_METHODS
from tests.support.edge import ID, Talker

PING = b'{"id":1,"method":"ping"}'

# ---------------------------------------------------------------------------------- the edges of a line

EDGES = [b"", b" ", b"\t", b"\r", b"\n", b" \t\r\n \r"]
NO_WHITE_SPACE = [
    *(b"\x0c", b"\x0b", b"\x00", b"\x07", b"\x1c", b"\x85", b"\xa0"),
    *(b"\xc2\x85", b"\xc2\xa0", b"\xe2\x80\x83", b"\xe2\x80\xa8", b"\xef\xbb\xbf"),
]
GOODBYES = [b"BYE", b"bye", b"ByE\r", b"  bye\t", b"BYE\r\r"]


@pytest.mark.parametrize("before", EDGES)
@pytest.mark.parametrize("after", EDGES)
def test_json_white_space_may_surround_a_request(before: bytes, after: bytes) -> None:
    assert Talker().line(before + PING + after)["id"] == 1
    assert Talker().hello().line(before + b"[" + PING + b"]" + after)[0]["id"] == 1


@pytest.mark.parametrize("edge", NO_WHITE_SPACE)
@pytest.mark.parametrize("text", [PING, b"[" + PING + b"]"])
def test_anything_else_around_a_request_is_a_parse_error_at_its_byte(edge: bytes, text: bytes) -> None:
    for line, at in (
        (edge + text, 0),
        (b" " + edge + text, 1),
        (text + edge, len(text)),
        (text + b"\r" + edge, len(text) + 1),
    ):
        error = Talker().line(line)["error"]
        assert (error["code"], error["data"]["at"]) == (-32700, at), line


@pytest.mark.parametrize("edge", NO_WHITE_SPACE)
def test_a_line_of_something_else_is_neither_blank_nor_a_goodbye(edge: bytes) -> None:
    for line in (edge, edge + b"BYE", b"BYE" + edge):
        reply = Talker().frame(line)
        assert reply is not None
        assert not reply.close
        assert json.loads(reply.data)["error"]["code"] == -32700


@pytest.mark.parametrize("line", GOODBYES)
def test_a_goodbye_may_be_in_any_case_and_surrounded_by_white_space(line: bytes) -> None:
    reply = Talker().frame(line)
    assert reply is not None
    assert reply.close
    assert json.loads(reply.data)["result"]["status"] == "closed"


# ---------------------------------------------------------------------------------- a key given twice


def _post(items: str, rest: str = "") -> str:
    return f'{{"id":7,"method":"post","params":{{"postings":[{items}]{rest}}}}}'


def _item(pairs: str) -> str:
    return f'{{"id":"{ID}",{pairs}}}'


SALE = '{"type":"sale","occurred_at":"2024-01-02T03:04:05Z","lines":[{"quantity":1,"sku":"a"}]}'
OTHER = SALE.replace('"a"', '"b"')
GOOD = _item(f'"body":{SALE}')
TWICE = '{"type":"sale","type":"sale","occurred_at":"2024-01-02T03:04:05Z","lines":[{"quantity":1,"sku":"a"}]}'

# The line; the number of the error; its path; the id of the answer.
REPEATED = [
    ('{"id":7,"method":"ping","method":"ping"}', -32600, "$.method", 7),
    ('{"method":"ping","id":7,"id":8}', -32600, "$.id", None),
    ('{"id":7,"method":"ping","params":{},"params":{}}', -32600, "$.params", 7),
    ('{"id":7,"method":"ping","p\\u0061rams":{},"params":{}}', -32600, "$.params", 7),
    ('{"id":"{}","method":"ping","params":{},"params":{}}', -32600, "$.params", "{}"),
    ('{"jsonrpc":"2.0","id":7,"method":"ping","jsonrpc":"2.0"}', -32600, "$.jsonrpc", 7),
    (_post(GOOD)[:-1] + ',"params":{"postings":[]}}', -32600, "$.params", 7),
    (
        '{"id":7,"method":"ping","params":{"now":"2024-01-02T03:04:05Z","now":"2024-01-02T03:04:05Z"}}',
        -32602,
        "$.now",
        7,
    ),
    ('{"id":7,"method":"ping","params":{"outbox":{"pending":1,"pending":1}}}', -32602, "$.outbox.pending", 7),
    ('{"id":7,"method":"hello","params":{"terminal":"a","terminal":"b"}}', -32602, "$.terminal", 7),
    ('{"id":7,"method":"stock","params":{"sku":"a","sku":"a"}}', -32602, "$.sku", 7),
    (_post(GOOD, ',"postings":[]'), -32602, "$.postings", 7),
    (_post(GOOD, f',"postings":[{GOOD}]'), -32602, "$.postings", 7),
    (_post(f'{GOOD},{_item(f"""{chr(34)}body{chr(34)}:{SALE},"body":{OTHER}""")}'), -32602, "$.postings[1].body", 7),
    (_post(_item(f'"body":{SALE},"body":{SALE}')), -32602, "$.postings[0].body", 7),
    (_post(_item(f'"body":1,"body":{SALE}')), -32602, "$.postings[0].body", 7),
    (_post(_item(f'"body":{{"ext":{SALE}}},"body":{SALE}')), -32602, "$.postings[0].body", 7),
    (_post(_item(f'"seq":1,"body":{SALE},"seq":1')), -32602, "$.postings[0].seq", 7),
    (_post(_item(f'"id":"{ID}","body":{SALE}')), -32602, "$.postings[0].id", 7),
    (_post(_item(f'"body":{SALE},"\\u0069d":"{ID}"')), -32602, "$.postings[0].id", 7),
    # Two ids without dashes are as much shorter as the second "seq" is longer.
    (
        _post(",".join(_item('"body":{}').replace("-", "") for _ in "ab")[:-1] + ',"seq":1,"seq":1}'),
        -32602,
        "$.postings[1].seq",
        7,
    ),
]


@pytest.mark.parametrize(("line", "number", "path", "answered"), REPEATED)
def test_a_key_given_twice_is_refused_by_its_path_and_nothing_is_done(
    line: str, number: int, path: str, answered: object
) -> None:
    talker = Talker().hello()
    done = len(talker.memory.works)
    for answer in (talker.line(line), talker.line(line.replace(",", " , ")), talker.line(f"[{line}]")[0]):
        data = answer["error"]["data"]
        assert (answer["error"]["code"], data["path"], answer["id"]) == (number, path, answered)
        assert (data["expected"], data["came"]) == ("every key once", f'"{path.rpartition(".")[2]}" twice')
    assert len(talker.memory.works) == done


def test_a_key_twice_in_one_body_rejects_that_posting_alone() -> None:
    other = ID[:-1] + "2"
    frame = _post(_item(f'"body":{TWICE}') + "," + _item(f'"body":{SALE}').replace(ID, other))
    for line in (frame, frame.replace('"body"', ' "body"')):
        answer = Talker().hello().line(line)
        assert [result["status"] for result in answer["result"]["results"]] == ["rejected", "posted"]


def test_keys_in_any_order_and_equal_names_in_different_objects_are_no_repetition() -> None:
    talker = Talker().hello()
    body = SALE[:-1] + ',"ext":{"id":{"id":1},"body":{"body":{}},"params":[{"id":2},{"id":3}]}}'
    line = f'{{ "params": {{"postings": [{{"body": {body}, "seq": 1, "id": "{ID}"}}]}}, "method": "post", "id": "id" }}'
    assert talker.line(line)["result"]["results"][0]["status"] == "posted"
    work = talker.memory.works[-1]
    assert isinstance(work, Post)
    assert work.items[0].raw == body.encode()


# ---------------------------------------------------------------------------------- requests and batches


def test_blank_lines_are_ignored() -> None:
    assert Talker().frame(b"") is None
    assert Talker().frame(b" \t" * 50) is None


@pytest.mark.parametrize("request_id", [1, 0, -5, "a", "", None, 2**63 - 1])
def test_the_reply_carries_the_id_of_the_request(request_id: object) -> None:
    answer = Talker().line(json.dumps({"id": request_id, "method": "ping"}))
    assert answer == {"jsonrpc": "2.0", "id": request_id, "result": {"server_time": "2023-11-14T22:13:20Z"}}


@pytest.mark.parametrize("method", ["ping", "stock", "no.such.method"])
def test_a_notification_is_carried_out_and_never_answered(method: str) -> None:
    talker = Talker().hello()
    assert talker.frame(json.dumps({"method": method}).encode()) is None
    assert len(talker.memory.works) == (1 if method == "no.such.method" else 2)


def test_a_batch_is_answered_by_an_array_in_order_without_the_notifications() -> None:
    talker = Talker().hello()
    batch = [
        {"id": 1, "method": "hello", "params": {"terminal": "t"}},
        {"method": "ping"},
        {"id": 2, "method": "stock"},
        {"id": 3, "method": "what"},
        5,
    ]
    answers = talker.line(json.dumps(batch))
    assert [answer["id"] for answer in answers] == [1, 2, 3, None]
    assert ["result" in answer for answer in answers] == [True, True, False, False]
    assert [answers[2]["error"]["code"], answers[3]["error"]["code"]] == [-32601, -32600]


def test_a_batch_of_notifications_is_not_answered() -> None:
    assert Talker().hello().frame(b'[{"method":"ping"},{"method":"ping"}]') is None


@pytest.mark.parametrize(("count", "answered"), [(0, False), (3, True), (4, False)])
def test_a_batch_has_at_least_one_and_not_too_many_requests(count: int, answered: bool) -> None:
    talker = Talker(settings=Settings(max_batch_requests=3)).hello()
    answer = talker.line(json.dumps([{"id": 1, "method": "ping"}] * count))
    if answered:
        assert len(answer) == count
    else:
        assert answer["id"] is None
        assert answer["error"]["data"]["came"] == str(count)
        assert answer["error"]["code"] == -32600


def test_the_replies_to_a_batch_are_bounded() -> None:
    talker = Talker(settings=Settings(batch_reply_bytes_max=100)).hello()
    answers = talker.line(json.dumps([{"id": at, "method": "ping"} for at in range(4)]))
    assert ["result" in answer for answer in answers] == [True, True, False, False]
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3]
    assert answers[3]["error"]["data"] == {"name": "too_large", "retryable": False, "limit": 100}


def test_nothing_in_a_batch_is_carried_out_after_a_goodbye() -> None:
    talker = Talker().hello()
    done = len(talker.memory.works)
    reply = talker.frame(b'[{"id":1,"method":"bye"},{"id":2,"method":"hello","params":{"terminal":"t"}}]')
    assert reply is not None
    assert reply.close
    assert len(json.loads(reply.data)) == 1
    assert len(talker.memory.works) == done + 1


@pytest.mark.parametrize("method", ["watsh", "Stock", "", "rpc.other"])
def test_an_unknown_method_is_told_those_that_exist(method: str) -> None:
    error = Talker().hello().error(method)
    assert error["code"] == -32601
    assert error["data"]["path"] == "$.method"
    assert error["data"]["expected"] == f"one of {', '.join(sorted(TILL_METHODS))}"
    assert error["data"]["came"] == repr(method)


@pytest.mark.parametrize("field", ["skus", "locations"])
def test_more_names_than_a_page_holds_are_refused_before_the_store(field: str) -> None:
    talker = Talker().hello()
    error = talker.error("stock", **{field: [f"n{number}" for number in range(10_001)]})
    assert (error["code"], error["data"]["path"], error["data"]["came"]) == (-32602, f"$.{field}", "10001")
    assert not any(isinstance(work, Stock) for work in talker.memory.works)
