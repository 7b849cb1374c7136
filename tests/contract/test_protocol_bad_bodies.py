"""What can never be posted is rejected alone: where, what was expected and what came; its neighbour is posted."""

import json

import pytest

from inventory_server.config import Settings
from inventory_server.domain.requests import Post
from tests.support.edge import ID, Talker

NEIGHBOUR = ID[:-1] + "2"
HEAD = '"type":"sale","occurred_at":"2024-01-02T03:04:05Z"'


def _sale(line: str = '"sku":"a","quantity":1', more: str = "") -> str:
    return f'{{{HEAD},"lines":[{{{line}}}]{more}}}'


def _quantity(text: str) -> str:
    return _sale(f'"sku":"a","quantity":{text}')


def _body(more: str) -> str:
    return f'{{"occurred_at":"2024-01-02T03:04:05Z",{more}}}'


LINES = '"lines":[{"sku":"a","quantity":1}]'

# The body as sent; what its refusal says.
REFUSED: list[tuple[str, str]] = [
    ("5", "$: expected an object, got 5"),
    ("null", "$: expected an object, got null"),
    ("{}", "$.type: expected a value, got nothing"),
    ('{"type":"sale"}', "$.occurred_at: expected a value, got nothing"),
    (_body('"type":"gift",' + LINES), "$.type: expected one of sale, return,"),
    (_body('"type":5,' + LINES), "$.type: expected text, got 5"),
    (f"{{{HEAD}}}", "$.lines: expected 1 to 3 lines, got 0"),
    (f'{{{HEAD},"lines":[]}}', "$.lines: expected 1 to 3 lines, got 0"),
    (f'{{{HEAD},"lines":[{",".join([json.dumps({"sku": "a", "quantity": 1})] * 4)}]}}', "got 4"),
    (f'{{{HEAD},"lines":{{}}}}', "$.lines: expected an array, got {}"),
    (_quantity("true"), "$.lines[0].quantity: expected an integer or a number, got true"),
    (_quantity("null"), "$.lines[0].quantity: expected an integer or a number, got null"),
    (_quantity("[]"), "$.lines[0].quantity"),
    (_quantity('""'), "$.lines[0].quantity: expected an exact number"),
    (_quantity('"lots"'), "$.lines[0].quantity: expected an exact number"),
    (_quantity('"NaN"'), "$.lines[0].quantity"),
    (_quantity('"Infinity"'), "$.lines[0].quantity"),
    (_quantity("1e400"), "$.lines[0].quantity: expected an exact number with at most 5 decimals"),
    (_quantity('"1e999999999"'), "$.lines[0].quantity"),
    (_quantity("1e-400"), "$.lines[0].quantity"),
    (_quantity("0.000001"), "got 0.000001"),
    (_quantity('"0.000001"'), "got 0.000001"),
    (_quantity("10000000000"), "got 10000000000"),
    (_quantity("-10000000000"), "got -10000000000"),
    (_quantity("1000000000.00001"), "$.lines[0].quantity"),
    (_quantity("1000001"), "exact number with at most 5 decimals and |quantity| ≤ 1,000,000, got 1000001"),
    (_quantity("-1000001"), "|quantity| ≤ 1,000,000, got -1000001"),
    (_quantity('"1000000.00001"'), "$.lines[0].quantity: expected an exact number"),
    (_quantity("9" * 5_000), "$.lines[0].quantity"),
    (_quantity('"1_000"'), "quantity: expected an exact number"),
    (_quantity('" 1"'), "quantity: expected an exact number"),
    (_quantity('"\\u0661"'), "quantity: expected an exact number"),
    (_sale('"quantity":1'), "$.lines[0]: expected either a sku or a gtin, got neither"),
    (_sale('"sku":"a","gtin":"12345678","quantity":1'), "got both"),
    (_sale('"sku":"","quantity":1'), "$.lines[0].sku: expected 1 to 64 characters"),
    (_sale('"sku":"a\\u0000","quantity":1'), "$.lines[0].sku"),
    (_sale(f'"sku":"{"a" * 65}","quantity":1'), "$.lines[0].sku"),
    (_sale('"sku":5,"quantity":1'), "$.lines[0].sku: expected text, got 5"),
    (_sale('"sku":"a","quantity":1,"unit_price":0.000001'), "$.lines[0].unit_price"),
    (_sale('"sku":"a","quantity":1,"currency":"euro"'), "$.lines[0].currency: expected an ISO 4217 code"),
    (_sale('"sku":"a","quantity":1,"price":5'), "$.lines[0].price: expected a known field"),
    (_sale('"sku":"a"'), "$.lines[0].quantity: expected a value, got nothing"),
    (_sale('"sku":"a","sku":"b","quantity":1'), 'expected every key once, got "sku" twice'),
    (_sale(more=',"type":"return"'), 'expected every key once, got "type" twice'),
    (_sale(more=',"ext":{"a":1,"a":2}'), 'expected every key once, got "a" twice'),
    (_sale(more=',"ext":{"a":18446744073709551616}'), "a signed 64-bit integer"),
    (_sale(more=',"ext":{"a":-9223372036854775809}'), "a signed 64-bit integer"),
    (_sale(more=',"ext":{"a":"\\u0000"}'), "text without NUL"),
    (_sale(more=',"ext":{"\\u0000":1}'), "text without NUL"),
    (_sale(more=',"ext":{"a":' + "[" * 30 + "]" * 30 + "}"), "expected depth ≤ 28 in a body"),
    (_sale(more=',"ext":[]'), "$.ext: expected a JSON object, got []"),
    (_sale(more=',"ext":5'), "$.ext: expected a JSON object"),
    (_sale(more=',"reference":"\\u0000"'), "text without NUL"),
    (_sale(more=f',"reference":"{"r" * 257}"'), "$.reference: expected text of at most 256 characters"),
    (_sale(more=',"note":"x"'), "$.note: expected a known field"),
    (_sale(more=',"location":""'), "$.location"),
    (_sale(more=f',"voids":"{ID}"'), "$.voids: expected this field only on a void, got it on type sale"),
    (
        _sale(more=',"other_location":"b"'),
        "$.other_location: expected this field only on a transfer_out or a transfer_in, got it on type sale",
    ),
    (_sale(more=',"expires_at":"2024-01-02T03:04:05Z"'), "$.expires_at: expected this field only on a reserve"),
    (_sale(more=',"reservation":"x"'), "$.reservation: expected a UUID"),
    (
        _body('"type":"return",' + LINES + f',"reservation":"{ID}"'),
        "$.reservation: expected this field only on a sale or a release",
    ),
    (
        _body('"type":"transfer_out",' + LINES),
        "$.other_location: expected the other location of the transfer, got nothing",
    ),
    (_body('"type":"void"'), "$.voids: expected the id of the posting to reverse, got nothing"),
    (_body(f'"type":"void","voids":"{ID}",{LINES}'), "$.lines: expected no lines on a void"),
    (f'{{"type":"sale","occurred_at":"2024-01-02T03:04:05",{LINES}}}', "$.occurred_at: expected RFC 3339 with offset"),
    (f'{{"type":"sale","occurred_at":"2024-13-02T03:04:05Z",{LINES}}}', "$.occurred_at: expected RFC 3339 with offset"),
    (
        f'{{"type":"sale","occurred_at":1704164645,{LINES}}}',
        "$.occurred_at: expected RFC 3339 with offset, got 1704164645",
    ),
]

# The quantity as sent; what it counts for, in units of 10⁻⁵.
TAKEN: list[tuple[str, int]] = [
    ("1", 100_000),
    ("-1", -100_000),
    ("0", 0),
    ("-0", 0),
    ("1.5", 150_000),
    ('"1.50"', 150_000),
    ("0.00001", 1),
    ("1.000000000", 100_000),
    ("1e3", 100_000_000),
    ('"1E-5"', 1),
    ("1000000", 10**11),
    ('"-1000000.00000"', -(10**11)),
    ("0.1", 10_000),
]


def _post(body: str, talker: Talker) -> list[dict[str, str]]:
    neighbour = json.dumps({"id": NEIGHBOUR, "body": json.loads(_sale())})
    line = f'{{"id":1,"method":"post","params":{{"postings":[{{"id":"{ID}","body":{body}}},{neighbour}]}}}}'
    results: list[dict[str, str]] = talker.line(line)["result"]["results"]
    return results


@pytest.mark.parametrize(("body", "reason"), REFUSED, ids=lambda value: value[:70])
def test_a_body_that_can_never_be_posted_is_rejected_alone(body: str, reason: str) -> None:
    bad, good = _post(body, Talker(settings=Settings(max_lines=3)).hello())
    assert bad["status"] == "rejected"
    assert reason in bad["reason"]
    assert good["status"] == "posted"


@pytest.mark.parametrize(("text", "units"), TAKEN)
def test_a_quantity_counts_exactly_what_was_written(text: str, units: int) -> None:
    talker = Talker().hello()
    assert _post(_quantity(text), talker)[0]["status"] == "posted"
    work = talker.memory.works[-1]
    assert isinstance(work, Post)
    assert work.items[0].quantities == [units]


# The till's limit, who posts, the quantity; whether it is posted.
LIMITED: list[tuple[int, str, str, bool]] = [
    (1_000_000, "till-1", "1000000", True),
    (1_000_000, "till-1", "1000001", False),
    (1_000_000, "operator-1", "1000001", True),
    (1_000_000, "operator-1", "1000000000", True),
    (1_000_000, "operator-1", "1000000001", False),
    (5_000_000, "till-1", "5000000", True),
    (5_000_000, "till-1", "-5000000.00001", False),
    (100, "till-1", "100.00001", False),
    (100, "operator-1", "100.00001", True),
]


@pytest.mark.parametrize(("limit", "terminal", "quantity", "expected"), LIMITED)
def test_a_till_may_post_less_of_a_line_than_an_operator(
    limit: int, terminal: str, quantity: str, expected: bool
) -> None:
    talker = Talker(settings=Settings(till_quantity_max=limit)).hello(terminal)
    result = _post(_quantity(quantity), talker)[0]
    assert (result["status"] == "posted") is expected
    if not expected:
        assert "$.lines[0].quantity: expected an exact number" in result["reason"]


def test_not_a_number_makes_the_whole_frame_no_json_text() -> None:
    frame = f'{{"id":1,"method":"post","params":{{"postings":[{{"id":"{ID}","body":{_quantity("NaN")}}}]}}}}'
    assert Talker().hello().line(frame)["error"]["data"]["name"] == "parse_error"
