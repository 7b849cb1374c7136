"""Bytes to frames: wherever they are cut, and up to the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pos_client.protocol.framing import FrameTooLong, LineFramer


def feed(framer: LineFramer, *pieces: bytes) -> list[bytes]:
    return [line for piece in pieces for line in framer.feed(piece)]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"a\n"], [b"a"]),
        ([b"a\r\n"], [b"a"]),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a\r\nb\r\n"], [b"a", b"b"]),
        ([b"a", b"b\n"], [b"ab"]),
        ([b"a\r", b"\nb", b"\n"], [b"a", b"b"]),
        ([b"a\nb", b"c\nd"], [b"a", b"bc"]),
        ([b"\n", b"\r\n", b"\n\n"], [b"", b"", b"", b""]),
        ([b"a\rb\n"], [b"a\rb"]),
        ([b""], []),
        ([b"abc"], []),
    ],
)
def test_lines_end_at_line_feeds_wherever_the_bytes_are_cut(pieces: list[bytes], lines: list[bytes]) -> None:
    assert feed(LineFramer(), *pieces) == lines


@given(st.lists(st.binary(max_size=12).filter(lambda line: not {10, 13} & set(line))), st.data())
def test_any_cut_of_the_same_bytes_gives_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    framer, found = LineFramer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += feed(framer, stream[:size])
        stream = stream[size:]
    assert found == lines
    assert framer.pending_bytes == 0


@pytest.mark.parametrize("pieces", [[b"12345678\n"], [b"1234", b"5678\n"], [b"12345678", b"\n"], [b"a\n12345678\n"]])
def test_a_line_of_exactly_the_limit_passes(pieces: list[bytes]) -> None:
    assert feed(LineFramer(9), *pieces)[-1] == b"12345678"


@pytest.mark.parametrize(
    "pieces",
    [[b"123456789\n"], [b"12345678\r\n"], [b"1234567890"], [b"12345", b"67890"], [b"12345", b"6789\n"]],
)
def test_a_longer_line_is_too_large_even_before_it_ends(pieces: list[bytes]) -> None:
    framer = LineFramer(9)
    with pytest.raises(FrameTooLong) as caught:
        feed(framer, *pieces)
    assert caught.value.limit_bytes == 9


def test_lines_before_one_that_is_too_large_are_still_given_out() -> None:
    lines = LineFramer(5).feed(b"a\nb\n123456789\nc\n")
    assert [next(lines), next(lines)] == [b"a", b"b"]
    with pytest.raises(FrameTooLong):
        next(lines)


def test_what_is_pending_is_counted() -> None:
    framer = LineFramer()
    feed(framer, b"one\ntw")
    assert framer.pending_bytes == 2
