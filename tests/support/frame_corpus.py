"""Frames that a decoder has once stumbled over, or might: what the fuzzing of the protocol begins with.

A frame that fuzzing finds is added here, in the words of what was wrong with it.
"""

from __future__ import annotations

from tests.support.edge import ID

_SALE = b'{"type":"sale","occurred_at":"2024-01-02T03:04:05Z","lines":[{"sku":"a","quantity":1}]}'
_POST = b'{"id":1,"method":"post","params":{"postings":[{"id":"%s","body":%s}]}}'


def post(body: bytes) -> bytes:
    """A frame that posts one body."""
    return _POST % (ID.encode(), body)


def sale_of(quantity: bytes, sku: bytes = b'"a"') -> bytes:
    """A frame that sells one line."""
    return post(_SALE.replace(b'"quantity":1', b'"quantity":' + quantity).replace(b'"a"', sku))


CORPUS: dict[str, bytes] = {
    "a sale": post(_SALE),
    "a question": b'{"jsonrpc":"2.0","id":1,"method":"stock","params":{"sku":"a","location":"store"}}',
    "a list": b'{"id":1,"method":"postings","params":{"from":"2024-01-02","limit":1}}',
    "a batch": b'[{"id":1,"method":"ping"},{"method":"ping"},{"id":2,"method":"ping","params":{}}]',
    "a goodbye": b'{"id":1,"method":"bye","params":{"last_seq":1,"count":1,"quantity":-1.5,"pending":0}}',
    "a tick clock": b'{"id":1,"method":"ping","params":{"boot":"%s","tick_ms":1}}' % ID.encode(),
    "an empty batch": b"[]",
    "a batch in a batch": b'[[{"id":1,"method":"ping"}]]',
    "a number alone": b"1",
    "a text alone": b'"ping"',
    "a key twice": b'{"id":1,"method":"ping","method":"bye"}',
    "a key twice, once escaped": b'{"id":1,"method":"ping","m\\u0065thod":"bye"}',
    "a key twice in a body": post(_SALE[:-1] + b',"type":"void"}'),
    "a key twice in ext": post(_SALE[:-1] + b',"ext":{"a":1,"a":2}}'),
    "a byte order mark": b'\xef\xbb\xbf{"id":1,"method":"ping"}',
    "UTF-16": '{"id":1,"method":"ping"}'.encode("utf-16"),
    "an overlong slash": b'{"id":1,"method":"\xc0\xaf"}',
    "half of a surrogate pair": b'{"id":"\\ud800","method":"ping"}',
    "a surrogate in UTF-8": b'{"id":"\xed\xa0\x80","method":"ping"}',
    "NUL in a text": b'{"id":"\\u0000","method":"ping"}',
    "NUL in a SKU": sale_of(b"1", b'"a\\u0000b"'),
    "a raw control character": b'{"id":"\x01","method":"ping"}',
    "an escape that is none": b'{"id":"\\x41","method":"ping"}',
    "NaN": sale_of(b"NaN"),
    "infinity": sale_of(b"-Infinity"),
    "a number without end": sale_of(b"9" * 400),
    "a huge exponent": sale_of(b"1e999999999"),
    "a tiny exponent": sale_of(b"1e-999999999"),
    "a number that looks whole": sale_of(b"1e2"),
    "minus zero": sale_of(b"-0.0"),
    "a plus sign": sale_of(b"+1"),
    "a leading zero": sale_of(b"01"),
    "a bare point": sale_of(b".5"),
    "hexadecimal": sale_of(b"0x10"),
    "a quantity as a text": sale_of(b'"1.5"'),
    "a quantity in other digits": sale_of('"١"'.encode()),
    "one more than 64 bits": b'{"id":9223372036854775808,"method":"ping"}',
    "the least of 64 bits": b'{"id":-9223372036854775808,"method":"ping"}',
    "a fraction as id": b'{"id":1.5,"method":"ping"}',
    "true as id": b'{"id":true,"method":"ping"}',
    "null as params": b'{"id":1,"method":"ping","params":null}',
    "a list as params": b'{"id":1,"method":"ping","params":[]}',
    "jsonrpc 1.0": b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    "a comment": b'{"id":1/**/,"method":"ping"}',
    "a trailing comma": b'{"id":1,"method":"ping",}',
    "single quotes": b"{'id':1,'method':'ping'}",
    "two values": b'{"id":1,"method":"ping"}{"id":2,"method":"ping"}',
    "something behind it": b'{"id":1,"method":"ping"} x',
    "an open bracket": b'[{"id":1,"method":"ping"}',
    "an instant in year 0": post(_SALE.replace(b"2024-01", b"0000-01")),
    "an instant in year 1": post(_SALE.replace(b"2024-01-02T03:04:05Z", b"0001-01-01T00:00:00+14:00")),
    "an instant in year 9999": post(_SALE.replace(b"2024-01-02T03:04:05Z", b"9999-12-31T23:59:59.9999999-14:00")),
    "a leap second": post(_SALE.replace(b"03:04:05Z", b"23:59:60Z")),
    "an instant without offset": post(_SALE.replace(b"05Z", b"05")),
    "no lines": post(_SALE.replace(b'[{"sku":"a","quantity":1}]', b"[]")),
    "a void without a target": post(b'{"type":"void","occurred_at":"2024-01-02T03:04:05Z"}'),
    "a void of itself": post(b'{"type":"void","occurred_at":"2024-01-02T03:04:05Z","voids":"%s"}' % ID.encode()),
    "a pair of braces": b"{}",
    "white space": b" \t\r ",
    "BYE in a frame": b'{"method":"BYE"}',
}
